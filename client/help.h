/* help.h: usage and help, made from the tables of commands and settings. */
#ifndef CLIENT_HELP_H
#define CLIENT_HELP_H

#include <stdio.h>

#include "client/command.h"

void help_usage(FILE *file); /* all commands, by groups */
void help_exits(FILE *file); /* the exit statuses */

void help_command(FILE *file, const struct command *command,
                  const struct option_table *common);

#endif
