#include "worker/pace.h"

#include "schema/work.h"

/* Rows of an evaluation between two looks up, at most; and FLOPs a second of
 * one thread, of a slow machine that is busy with other things too. */
enum { CHUNK_ROWS = 1000 };
static const double slow_rate = 1e9;

void pace_init(struct pace *pace, const struct settings *settings, int width)
{
    *pace = (struct pace){
        .counted_s = work_piece(settings, width, CHUNK_ROWS) / slow_rate,
    };
}

void pace_start(struct pace *pace, double now)
{
    pace->last = now;
}

void pace_count(struct pace *pace, enum pace_kind kind, double now)
{
    pace->total_s[kind] += now - pace->last;
    pace->count[kind]++;
    pace->last = now;
}

double pace_expected(const struct pace *pace)
{
    double longest = 0;
    for (int kind = 0; kind < PACE_KINDS; kind++) {
        if (pace->count[kind] == 0)
            return pace->counted_s;
        double mean = pace->total_s[kind] / (double)pace->count[kind];
        longest = mean > longest ? mean : longest;
    }
    return longest;
}
