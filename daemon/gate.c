#include "daemon/gate.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "schema/memory.h"

struct gate {
    pthread_mutex_t mutex; /* guards the rest */
    pthread_cond_t changed;
    int inside;
    bool is_closed;
};

struct gate *gate_new(void)
{
    struct gate *gate = xcalloc(1, sizeof *gate);
    pthread_mutex_init(&gate->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&gate->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return gate;
}

void gate_free(struct gate *gate)
{
    if (!gate)
        return;
    pthread_cond_destroy(&gate->changed);
    pthread_mutex_destroy(&gate->mutex);
    free(gate);
}

void gate_enter(struct gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    while (gate->is_closed)
        pthread_cond_wait(&gate->changed, &gate->mutex);
    gate->inside++;
    pthread_mutex_unlock(&gate->mutex);
}

void gate_leave(struct gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    gate->inside--;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
}

bool gate_close(struct gate *gate, double seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    double end = (double)until.tv_nsec + seconds * 1e9;
    until.tv_sec += (time_t)(end / 1e9);
    until.tv_nsec = (long)end % 1000000000;
    pthread_mutex_lock(&gate->mutex);
    gate->is_closed = true;
    int result = 0;
    while (gate->inside > 0 && result == 0)
        result = pthread_cond_timedwait(&gate->changed, &gate->mutex, &until);
    bool is_empty = gate->inside == 0;
    pthread_mutex_unlock(&gate->mutex);
    return is_empty;
}

void gate_open(struct gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    gate->is_closed = false;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
}
