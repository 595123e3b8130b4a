/* cmd_queue.c: orders to jobs: hold, release, pause, resume, cancel. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "client/command.h"
#include "client/connection.h"
#include "client/exits.h"
#include "client/listing.h"

enum { COUNTS_MAX = 4 };

/* A command's method, what its answer counts, and how that is said.  The first
 * is told always, the others when there are any. */
struct order {
    const char *command, *method;
    struct column counts[COUNTS_MAX]; /* up to one without a key */
};

#define TOLD(member, words)                                                    \
    {                                                                          \
        member, words, COLUMN_NUMBER, true                                     \
    }
#define RELEASED                                                               \
    {                                                                          \
        TOLD("released", "released"), TOLD("already_released", "not held"),    \
            TOLD("already_final", "final already")                             \
    }

static const struct order orders[] = {
    {"cancel",
     "cancel",
     {TOLD("cancelled", "cancelled"),
      TOLD("stopping", "stopping at a checkpoint"),
      TOLD("already_final", "final already")}},
    {"hold",
     "hold",
     {TOLD("held", "held"), TOLD("running", "running on"),
      TOLD("already_held", "held already"),
      TOLD("already_final", "final already")}},
    {"release", "release", RELEASED},
    {"pause",
     "pause",
     {TOLD("held", "held"), TOLD("stopping", "stopping at a checkpoint"),
      TOLD("already_held", "held already"),
      TOLD("already_final", "final already")}},
    {"resume", "release", RELEASED},
};

static const struct order *find(const char *command)
{
    const struct order *order = orders;
    while (strcmp(order->command, command) != 0)
        order++;
    return order;
}

static int count_of(const struct order *order)
{
    int count = 0;
    while (count < COUNTS_MAX && order->counts[count].key != NULL)
        count++;
    return count;
}

static void say(const struct order *order, const struct cJSON *answer,
                const char *target)
{
    fprintf(stderr, "%s:", target);
    for (int i = 0; i < count_of(order); i++) {
        const struct column *column = &order->counts[i];
        int64_t count = json_integer_or(answer, column->key, 0);
        if (i == 0 || count > 0)
            fprintf(stderr, "%s %lld %s", i > 0 ? "," : "", (long long)count,
                    column->heading);
    }
    fputc('\n', stderr);
}

static int run(struct client *client, struct error *error)
{
    const struct order *order = find(client->command->name);
    const char *target = client_target(client);
    struct cJSON *answer =
        connection_ask(order->method, params_of_target(target), error);
    if (answer == NULL)
        return -1;
    say(order, answer, target);
    if (client->output.format != OUTPUT_TABLE)
        output_object(&client->output, answer, order->counts, count_of(order));
    cJSON_Delete(answer);
    return EXIT_GOOD;
}

const struct command command_cancel = {
    .name = "cancel",
    .synopsis = "TARGET",
    .summary = "cancel jobs; what they computed is kept",
    .details =
        "Running jobs checkpoint first: asking for them again goes on from "
        "there.\n",
    .words_least = 1,
    .words_most = 1,
    .run = run,
};

const struct command command_hold = {
    .name = "hold",
    .synopsis = "TARGET",
    .summary = "keep queued jobs from starting; running ones go on",
    .details =
        "They start after gaitctl release.  Of a whole sweep, jobs that it "
        "gets\n"
        "later are held too.  One whose epochs another job trains is done all\n"
        "the same.\n",
    .words_least = 1,
    .words_most = 1,
    .run = run,
};

const struct command command_release = {
    .name = "release",
    .synopsis = "TARGET",
    .summary = "let held jobs start, and a sweep that waits for another",
    .words_least = 1,
    .words_most = 1,
    .run = run,
};

const struct command command_pause = {
    .name = "pause",
    .synopsis = "TARGET",
    .summary = "stop running jobs at a checkpoint, and hold them",
    .details = "Queued jobs are held too.  A slot is free when its job has "
               "saved; after\n"
               "gaitctl resume it goes on from there, to the same history.\n",
    .words_least = 1,
    .words_most = 1,
    .run = run,
};

const struct command command_resume = {
    .name = "resume",
    .synopsis = "TARGET",
    .summary = "let paused jobs go on; the same as release",
    .words_least = 1,
    .words_most = 1,
    .run = run,
};
