/* clock.h: what time it is. */
#ifndef DAEMON_CLOCK_H
#define DAEMON_CLOCK_H

double clock_wall(void);      /* seconds since 1970, as stored */
double clock_monotonic(void); /* seconds; of use as a difference only */

#endif
