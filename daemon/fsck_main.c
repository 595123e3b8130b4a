/* gaitd --fsck: for when gaitd is not running, or does not start.
 *
 * What the ledger lists beyond the database goes into a table `missing` of this
 * connection alone, which stands in front of the database's: so the rules tell
 * of both.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/config.h"
#include "daemon/fsck.h"
#include "daemon/fsck_rule.h"
#include "daemon/ledger.h"
#include "daemon/lock.h"
#include "daemon/missing.h"
#include "daemon/tables.h"
#include "schema/json.h"
#include "schema/memory.h"

static const char own_missing[] =
    "CREATE TEMP TABLE missing (kind TEXT, name TEXT, item INTEGER, "
    "first INTEGER, last INTEGER, count INTEGER, at REAL, "
    "PRIMARY KEY (kind, name, item));"
    "INSERT INTO temp.missing SELECT kind, name, item, first, last, count, at "
    "FROM main.missing";

static void print(const char *check, const char *text, const char *advice)
{
    printf("%s: %s; %s\n", check, text, advice);
}

/* Returns the findings; *is_readable: more can be said. */
static int check_ledger(struct db *db, const struct ledger_content *ledger,
                        bool *is_readable, struct error *error)
{
    int64_t number;
    *is_readable = false;
    if (!ledger_number(db, &number, error) ||
        !db_script(db, own_missing, error) ||
        !missing_add(db, ledger, number, 0, error))
        return -1;
    *is_readable = number >= ledger->copying;
    if (ledger->last <= number)
        return 0;
    struct error text;
    error_set(&text, ERROR_NONE,
              "the write-ahead log ends with transaction %lld, %lld were "
              "committed",
              (long long)number, (long long)ledger->last);
    print("ledger", text.text,
          *is_readable ? "what is missing is said below"
          : ledger->copying == ledger->base
              ? "it ends before what is in the database already: gaitd sets it "
                "aside when it starts; what is missing then is told by gaitctl "
                "fsck"
              : "it ends before pages that may be in the database already, "
                "which cannot be read: put back a backup");
    return 1;
}

static int print_findings(const struct cJSON *result)
{
    const struct cJSON *finding;
    cJSON_ArrayForEach(finding,
                       cJSON_GetObjectItemCaseSensitive(result, "findings"))
    {
        print(json_text_or(finding, "check", ""),
              json_text_or(finding, "text", ""),
              json_text_or(finding, "advice", ""));
    }
    return (int)json_integer_or(result, "count", 0);
}

static int check_all(struct db *db, const struct config *config,
                     const struct ledger_content *ledger, struct error *error)
{
    bool is_readable;
    int found = check_ledger(db, ledger, &is_readable, error);
    if (found < 0 || !is_readable)
        return found;
    struct cJSON *result = fsck_run(db, config->run_dir, error);
    if (!result)
        return -1;
    int count = print_findings(result);
    printf("%d rules, %lld checkpoints: ", fsck_rule_count,
           (long long)json_integer_or(result, "checkpoints", 0));
    if (found + count)
        printf("%d finding%s\n", found + count, found + count == 1 ? "" : "s");
    else
        puts("all is well");
    cJSON_Delete(result);
    return found + count;
}

static int check_database(const struct config *config, const char *path,
                          struct error *error)
{
    char file[PATH_BYTES];
    struct ledger_content ledger;
    if (access(path, F_OK) != 0) {
        error_set(error, ERROR_NOT_FOUND, "there is no database \"%s\"", path);
        return -1;
    }
    if (!tables_check(path, error) ||
        !path_join(file, config->state_dir, "gaitd.sqlite-ledger", error) ||
        !ledger_content_read(&ledger, file, error))
        return -1;
    struct db *db = db_open(path, DB_READ, error);
    int found = db ? check_all(db, config, &ledger, error) : -1;
    db_close(db);
    ledger_content_release(&ledger);
    return found;
}

static int check_state(const struct config *config, struct error *error)
{
    char path[PATH_BYTES];
    struct lock lock = {.descriptor = -1};
    if (!path_join(path, config->state_dir, "lock", error))
        return -1;
    char *what = xprintf("state folder \"%s\"", config->state_dir);
    bool is_ours = lock_take(&lock, path, what, error);
    free(what);
    if (!is_ours) {
        error_prefix(error, "ask it with gaitctl fsck");
        return -1;
    }
    int found = path_join(path, config->state_dir, "gaitd.sqlite", error)
                    ? check_database(config, path, error)
                    : -1;
    lock_release(&lock);
    return found;
}

int fsck_main(const struct config *config)
{
    struct error error;
    int found = check_state(config, &error);
    if (found < 0)
        fprintf(stderr, "gaitd: %s\n", error.text);
    return found != 0;
}
