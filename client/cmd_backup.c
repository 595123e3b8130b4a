/* cmd_backup.c: a copy of the database, while gaitd goes on. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/command.h"
#include "client/connection.h"
#include "client/exits.h"
#include "client/text.h"
#include "schema/json.h"
#include "schema/paths.h"

static const struct column columns[] = {
    {"file", NULL, COLUMN_TEXT, true},
    {"bytes", NULL, COLUMN_NUMBER, true},
};

/* gaitd's working folder is another one. */
static bool make_absolute(char path[PATH_BYTES], const char *file,
                          struct error *error)
{
    char folder[PATH_BYTES];
    if (file[0] == '/') {
        snprintf(path, PATH_BYTES, "%s", file);
        return true;
    }
    if (!getcwd(folder, sizeof folder))
        return error_set(error, ERROR_IO, "cannot tell the folder: %s",
                         strerror(errno));
    return path_join(path, folder, file, error);
}

static struct cJSON *request(const char *file, bool force, struct error *error)
{
    struct connection connection;
    struct cJSON *answer = NULL, *params = cJSON_CreateObject();
    cJSON_AddStringToObject(params, "file", file);
    cJSON_AddBoolToObject(params, "force", force);
    if (connection_open(&connection, error))
        answer = connection_request(&connection, "backup", params, error);
    else
        cJSON_Delete(params);
    connection_close(&connection);
    return answer;
}

static int run(struct client *client, struct error *error)
{
    char path[PATH_BYTES];
    if (!make_absolute(path, client->options.words[0], error))
        return -1;
    struct cJSON *answer =
        request(path, options_is(&client->options, "force"), error);
    if (answer == NULL)
        return -1;
    char *file = text_cleaned(json_text_or(answer, "file", ""));
    fprintf(stderr, "%s: %lld bytes\n", file,
            (long long)json_integer_or(answer, "bytes", 0));
    free(file);
    if (client->output.format != OUTPUT_TABLE)
        output_object(&client->output, answer, columns,
                      sizeof columns / sizeof *columns);
    cJSON_Delete(answer);
    return EXIT_GOOD;
}

static const struct option options[] = {
    {"force", 0, OPTION_BOOLEAN, NULL, "replace an earlier backup"},
};

const struct command command_backup = {
    .name = "backup",
    .synopsis = "FILE [--force]",
    .summary = "copy the database, of one moment, while gaitd goes on",
    .details =
        "gaitd writes the file, with its own rights, so this is for its owner\n"
        "and root.  It is there when it is whole and on disk.  Checkpoints "
        "are\n"
        "not in it: they can be computed again.  To put it back, stop gaitd,\n"
        "remove gaitd.sqlite* from the state folder and copy it there as\n"
        "gaitd.sqlite.\n",
    .options = OPTION_TABLE(options),
    .words_least = 1,
    .words_most = 1,
    .run = run,
};
