#include "tests/bench/engine_peers.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* A child's two pipes: it says that it is ready, and is told to go. */
static struct {
    int ready, go;
} gate;

void peers_ready(void)
{
    char byte = 0;
    if (write(gate.ready, &byte, 1) != 1 || read(gate.go, &byte, 1) != 1)
        die("waiting for other processes");
}

static void get(int from, void *bytes, size_t count)
{
    if (read(from, bytes, count) != (ssize_t)count)
        die("a process that was measured ended early");
}

double peers_sum(int count, double (*work)(void *user, double seconds),
                 void *user, double seconds)
{
    int ready[2], go[2], results[2];
    char byte = 0;
    double sum = 0.0, one;
    if (pipe(ready) || pipe(go) || pipe(results))
        die("pipe");
    fflush(stdout);
    for (int i = 0; i < count; i++) {
        pid_t pid = fork();
        if (pid < 0)
            die("fork");
        if (pid > 0)
            continue;
        close(ready[0]);
        gate.ready = ready[1];
        gate.go = go[0];
        one = work(user, seconds);
        _exit(write(results[1], &one, sizeof one) != sizeof one);
    }
    close(ready[1]);
    close(results[1]);
    for (int i = 0; i < count; i++)
        get(ready[0], &byte, 1);
    for (int i = 0; i < count; i++)
        if (write(go[1], &byte, 1) != 1)
            die("write");
    for (int i = 0; i < count; i++, sum += one) {
        get(results[0], &one, sizeof one);
        wait(NULL);
    }
    close(ready[0]);
    close(go[0]);
    close(go[1]);
    close(results[0]);
    return sum;
}

/* --- a script ------------------------------------------------------------ */

static bool answer(struct peer *peer, char *line, int bytes)
{
    return fgets(line, bytes, peer->out) != NULL;
}

bool peer_start(struct peer *peer, const char *script)
{
    int in[2], out[2];
    char line[80];
    if (pipe(in) || pipe(out))
        die("pipe");
    fflush(stdout);
    peer->pid = fork();
    if (peer->pid < 0)
        die("fork");
    if (peer->pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        close(in[1]);
        close(out[0]);
        execl(script, script, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    peer->in = fdopen(in[1], "w");
    peer->out = fdopen(out[0], "r");
    if (!peer->in || !peer->out)
        die("fdopen");
    if (answer(peer, line, sizeof line))
        return true;
    peer_stop(peer);
    return false;
}

double peer_seconds(struct peer *peer, const char *line, bool is_cpu_time)
{
    char text[80];
    fprintf(peer->in, "%s\n", line);
    fflush(peer->in);
    if (!answer(peer, text, sizeof text))
        die("the script ended early");
    char *rest;
    double wall = strtod(text, &rest);
    return is_cpu_time ? strtod(rest, NULL) : wall;
}

void peer_stop(struct peer *peer)
{
    fclose(peer->in);
    fclose(peer->out);
    waitpid(peer->pid, NULL, 0);
}
