/* A worker that trains nothing: it takes a job and answers at once what
 * protocol.md asks for, a row per epoch.  What it costs is what the protocol
 * costs.  `--identify` and `--prepare` are left to the real one beside it, and
 * so is its hello, so that gaitd cannot tell them apart. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES = 65536, TEXT_BYTES = 1 << 20 };

struct job {
    long long attempt, to_epoch, sequence, steps_per_epoch;
};

/* The number behind "name": in a line of JSON. */
static long long number(const char *line, const char *name, long long otherwise)
{
    char key[64];
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(line, key);
    return at ? strtoll(at + strlen(key), NULL, 10) : otherwise;
}

static void say_row(struct job *job, long long epoch)
{
    long long step = epoch * job->steps_per_epoch;
    printf("{\"type\":\"row\",\"attempt\":%lld,\"sequence\":%lld,\"step\":%lld,"
           "\"epoch\":%lld,\"train_accuracy\":0.5,\"train_loss\":1.5,"
           "\"valid_accuracy\":null,\"valid_loss\":null,\"test_accuracy\":%g,"
           "\"test_loss\":1.25,\"state_hash\":\"%032llx\",\"seconds\":0.5}\n",
           job->attempt, job->sequence++, step, epoch,
           0.1 + (double)(epoch % 90) / 100, step);
}

static void train(const char *line)
{
    struct job job = {
        .attempt = number(line, "attempt", 0),
        .to_epoch = number(line, "to_epoch", 0),
    };
    job.steps_per_epoch =
        number(line, "train_rows", 60) / number(line, "batch_size", 60);
    printf("{\"type\":\"started\",\"attempt\":%lld,\"sequence\":%lld,"
           "\"step\":0}\n",
           job.attempt, job.sequence++);
    for (long long epoch = 0; epoch <= job.to_epoch; epoch++)
        say_row(&job, epoch);
    long long step = job.to_epoch * job.steps_per_epoch;
    printf("{\"type\":\"done\",\"attempt\":%lld,\"sequence\":%lld,"
           "\"step\":%lld,\"state_hash\":\"%032llx\"}\n",
           job.attempt, job.sequence++, step, step);
    fflush(stdout);
}

static int say_hello(const char *worker)
{
    char command[4200], line[LINE_BYTES];
    snprintf(command, sizeof command, "'%s' --identify", worker);
    FILE *pipe = popen(command, "r");
    if (!pipe || !fgets(line, sizeof line, pipe))
        return 1;
    pclose(pipe);
    fputs(line, stdout);
    return fflush(stdout);
}

int main(int argc, char **argv)
{
    static char line[LINE_BYTES], text[TEXT_BYTES];
    char worker[4096];
    ssize_t length = readlink("/proc/self/exe", worker, sizeof worker - 32);
    if (length < 0)
        return 1;
    worker[length] = '\0';
    char *end = strrchr(worker, '/'); /* build/bench/stub-worker */
    *end = '\0';
    snprintf(strrchr(worker, '/'), 32, "/gait-worker");
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--identify") || !strcmp(argv[i], "--prepare")) {
            argv[0] = worker;
            execv(worker, argv);
            return 1;
        }
    setvbuf(stdout, text, _IOFBF, sizeof text);
    if (say_hello(worker))
        return 1;
    while (fgets(line, sizeof line, stdin)) {
        if (strstr(line, "\"type\":\"start\"")) {
            train(line);
        } else if (strstr(line, "\"type\":\"ping\"")) {
            fputs("{\"type\":\"pong\"}\n", stdout);
            fflush(stdout);
        } else if (strstr(line, "\"type\":\"quit\"")) {
            break;
        }
    }
    return 0;
}
