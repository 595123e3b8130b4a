/* fsck_rule.h: what must always be true of the database, as questions that find
 * nothing.
 *
 * Each is asked by itself, so that no snapshot is held for longer than one
 * takes.  Rows that a deletion under way has begun to remove are left out.
 */
#ifndef DAEMON_FSCK_RULE_H
#define DAEMON_FSCK_RULE_H

struct fsck_rule {
    const char *name;
    const char *sql;    /* a row per finding: its text */
    const char *advice; /* what to do, or what happens by itself */
};

extern const struct fsck_rule fsck_rules[];
extern const int fsck_rule_count;

#endif
