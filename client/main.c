/* main.c: gaitctl, the client of gaitd.
 *
 * Finds the command, reads its flags, runs it, and turns what happened into
 * an exit status.  Usage and help are made from the commands' own entries.
 */
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/command.h"
#include "client/exits.h"
#include "client/help.h"
#include "schema/json.h"
#include "schema/nearest.h"

static const struct option common_options[] = {
    {"output", 'o', OPTION_TEXT, "FORMAT", "table, json, jsonl or csv (table)"},
    {"help", 'h', OPTION_BOOLEAN, NULL, "say what the command does"},
};
static const struct option_table common = OPTION_TABLE(common_options);

static const struct command *const commands[] = {
#define COMMAND_ENTRY(name) &command_##name,
    COMMANDS(COMMAND_ENTRY) NULL};

static const struct command *find(const char *name)
{
    for (int i = 0; commands[i] != NULL; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int refuse_command(const char *name)
{
    struct error error;
    struct nearest nearest;
    nearest_init(&nearest, name);
    for (int i = 0; commands[i] != NULL; i++)
        nearest_try(&nearest, commands[i]->name);
    if (*name == '-')
        error_set(&error, ERROR_PARAMS,
                  "\"%s\": flags come behind the command; gaitctl help lists "
                  "them",
                  name);
    else if (nearest.word != NULL)
        error_set(&error, ERROR_PARAMS,
                  "\"%s\": unknown command, did you mean \"%s\"?", name,
                  nearest.word);
    else
        error_set(&error, ERROR_PARAMS,
                  "\"%s\": unknown command; gaitctl help lists them", name);
    return exit_report(&error);
}

/* What is still in stdout's buffer goes out, or the status says it did not. */
static int finish(FILE *file, int status)
{
    struct output output = {.file = file};
    struct error error;
    bool is_pipe_closed;
    if (output_flush(&output, &is_pipe_closed, &error))
        return status;
    return is_pipe_closed ? 128 + SIGPIPE : exit_report(&error);
}

static bool check_words(const struct client *client, struct error *error)
{
    const struct command *command = client->command;
    int count = client->options.word_count;
    if (count < command->words_least)
        return error_set(error, ERROR_PARAMS, "usage: gaitctl %s %s",
                         command->name, command->synopsis);
    if (count > command->words_most)
        return error_set(error, ERROR_PARAMS,
                         "\"%s\": unexpected word; usage: gaitctl %s %s",
                         client->options.words[command->words_most],
                         command->name, command->synopsis);
    return true;
}

static int run(const struct command *command, int count, char **arguments)
{
    struct client client = {.command = command};
    struct error error = {.code = ERROR_NONE};
    int status = -1;
    style_init(&client.err, STDERR_FILENO);
    bool good = options_init(&client.options, &command->options, &common,
                             command->has_settings, count, arguments, &error);
    if (good && options_is(&client.options, "help")) {
        help_command(stdout, command, &common);
        status = EXIT_GOOD;
    } else if (good && check_words(&client, &error) &&
               output_init(&client.output, stdout,
                           options_text(&client.options, "output"), &error)) {
        status = command->run(&client, &error);
    }
    if (status < 0)
        status = exit_report(&error);
    options_release(&client.options);
    return finish(stdout, status);
}

static int help(const char *name)
{
    if (name != NULL && strcmp(name, "exit") == 0) {
        help_exits(stdout);
        return finish(stdout, EXIT_GOOD);
    }
    const struct command *command = name != NULL ? find(name) : NULL;
    if (name != NULL && command == NULL)
        return refuse_command(name);
    if (command != NULL)
        help_command(stdout, command, &common);
    else
        help_usage(stdout);
    return finish(stdout, EXIT_GOOD);
}

static bool is_one_of(const char *word, const char *a, const char *b)
{
    return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

/* A socket must not become the stdout that somebody closed.  What stands in
 * for it fails when it is used. */
static bool keep_standard_files(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return false;
    return true;
}

int main(int count, char **arguments)
{
    if (!keep_standard_files())
        return EXIT_FAILED;
    json_init();
    setlocale(LC_CTYPE, "");
    /* Ends quietly under `| head`, whoever started us ignored it or not. */
    signal(SIGPIPE, SIG_DFL);
    if (count < 2) {
        help_usage(stderr);
        return EXIT_USAGE;
    }
    const char *name = arguments[1];
    if (is_one_of(name, "--version", "version")) {
        printf("gaitctl %s\n", GAITD_VERSION);
        return finish(stdout, EXIT_GOOD);
    }
    if (is_one_of(name, "--help", "-h") || strcmp(name, "help") == 0)
        return help(count > 2 ? arguments[2] : NULL);
    const struct command *command = find(name);
    if (command == NULL)
        return refuse_command(name);
    return run(command, count - 2, arguments + 2);
}
