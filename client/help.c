#include "client/help.h"

#include <string.h>

#include "client/exits.h"

enum { NAME_CELLS = 26 };

static const struct line {
    const char *title; /* of the group that begins, or NULL */
    const struct command *command;
} lines[] = {
#define TITLE_LINE(title) {title, NULL},
#define COMMAND_LINE(name) {NULL, &command_##name},
    COMMAND_GROUPS(TITLE_LINE, COMMAND_LINE)};
enum { LINES = sizeof lines / sizeof *lines };

void help_usage(FILE *file)
{
    const char *title = "";
    fputs("usage: gaitctl COMMAND [WORDS] [--FLAGS]\n\n", file);
    for (int i = 0; i < LINES; i++) {
        const struct command *command = lines[i].command;
        if (command != NULL)
            fprintf(file, "%-8s%-8s  %s\n", title, command->name,
                    command->summary);
        title = command == NULL ? lines[i].title : "";
    }
    fputs("\n"
          "gaitctl help COMMAND says more; gaitctl help exit lists the exit\n"
          "statuses.  Jobs and sweeps are named by id (12), range (3..9), "
          "sweep\n"
          "name, or last: the sweep that you submitted last.  Data goes to "
          "stdout\n"
          "as -o table, json, jsonl or csv; everything else to stderr.\n",
          file);
}

void help_exits(FILE *file)
{
    fputs("exit status:\n", file);
#define EXIT_LINE(name, status, meaning)                                       \
    fprintf(file, "  %3d  %s\n", status, meaning);
    EXITS(EXIT_LINE)
}

static void put_option(FILE *file, const struct option *option)
{
    char name[64];
    char letter[] = {'-', option->letter, ',', ' ', '\0'};
    snprintf(name, sizeof name, "%s--%s%s%s", option->letter ? letter : "",
             option->name, option->argument != NULL ? " " : "",
             option->argument != NULL ? option->argument : "");
    for (char *c = name; *c != ' ' && *c != '\0'; c++)
        *c = *c == '_' ? '-' : *c;
    fprintf(file, "  %-*s %s\n", NAME_CELLS, name, option->help);
}

static void put_setting(FILE *file, const struct setting *setting)
{
    static const char *const types[] = {
        [SETTING_TEXT] = "TEXT",
        [SETTING_INTEGER] = "INTEGER",
        [SETTING_REAL] = "REAL",
        [SETTING_BOOLEAN] = "",
    };
    char name[64];
    snprintf(name, sizeof name, "--%s %s", setting->name, types[setting->type]);
    bool has_words = setting->type == SETTING_TEXT && *setting->words != '\0';
    size_t length = strlen(setting->words);
    while (length > 0 && setting->words[length - 1] == ' ')
        length--;
    fprintf(file, "  %-*s %s", NAME_CELLS, name, setting->help);
    if (has_words)
        fprintf(file, ": %.*s", (int)length, setting->words);
    fprintf(file, " (%s)\n", setting->initial);
}

void help_command(FILE *file, const struct command *command,
                  const struct option_table *common)
{
    fprintf(file, "usage: gaitctl %s%s%s\n\n%s.\n", command->name,
            *command->synopsis != '\0' ? " " : "", command->synopsis,
            command->summary);
    if (command->details != NULL)
        fprintf(file, "\n%s", command->details);
    fputs("\nflags:\n", file);
    for (int i = 0; i < command->options.count; i++)
        put_option(file, &command->options.options[i]);
    for (int i = 0; i < common->count; i++)
        put_option(file, &common->options[i]);
    if (!command->has_settings)
        return;
    fputs("\nsettings, as flags (and their defaults):\n", file);
    for (int i = 0; i < setting_count; i++)
        put_setting(file, &setting_table[i]);
}
