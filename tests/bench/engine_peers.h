/* engine_peers.h: other processes that work at the same time or in turns. */
#ifndef BENCH_ENGINE_PEERS_H
#define BENCH_ENGINE_PEERS_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

/* Runs `work` in `count` processes at once and sums what it returns.  `work`
 * calls peers_ready when it is set up, which waits for all the others. */
double peers_sum(int count, double (*work)(void *user, double seconds),
                 void *user, double seconds);
void peers_ready(void);

/* A script that answers each line with the seconds that it took to obey: wall
 * time, then processor time. */
struct peer {
    pid_t pid;
    FILE *in, *out;
};

/* False: it ended before it said "ready". */
bool peer_start(struct peer *peer, const char *script);
double peer_seconds(struct peer *peer, const char *line, bool is_cpu_time);
void peer_stop(struct peer *peer);

#endif
