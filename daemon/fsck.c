#include "daemon/fsck.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/fsck_rule.h"
#include "daemon/run_folder.h"
#include "schema/json.h"
#include "schema/memory.h"

enum { TOLD = 100 }; /* of one check */

struct fsck {
    struct db *db;
    const char *run_dir;
    struct cJSON *findings;
    const char *check;
    int64_t told; /* of this check */
    int64_t count, checkpoints;
    bool is_stopped;
};

static void find(struct fsck *fsck, const char *text, const char *advice)
{
    fsck->count++;
    if (fsck->told++ >= TOLD)
        return;
    struct cJSON *finding = cJSON_CreateObject();
    cJSON_AddStringToObject(finding, "check", fsck->check);
    cJSON_AddStringToObject(finding, "text", text);
    cJSON_AddStringToObject(finding, "advice", advice);
    cJSON_AddItemToArray(fsck->findings, finding);
}

static void begin(struct fsck *fsck, const char *check)
{
    fsck->check = check;
    fsck->told = 0;
}

/* A question that cannot be asked is a finding too. */
static void end(struct fsck *fsck, struct statement *s)
{
    struct error error;
    if (statement_finish(s, &error))
        return;
    if (error.code == ERROR_BUSY)
        fsck->is_stopped = true;
    else
        find(fsck, error.text, "stop gaitd and put back a backup");
}

static void check_rule(struct fsck *fsck, const struct fsck_rule *rule)
{
    begin(fsck, rule->name);
    struct statement *s = db_sql(fsck->db, rule->sql);
    while (statement_next(s))
        find(fsck, column_text(s, 0), rule->advice);
    end(fsck, s);
}

/* Checkpoints. */

struct checkpoint {
    int64_t run;
    char key[33];
    struct saved_checkpoint saved;
};

/* Workers add and remove files of the runs that they have, and say so later. */
static const char every_checkpoint[] =
    "SELECT c.run_id, r.key, c.step, c.attempt, c.bytes, c.file, c.hash "
    "FROM checkpoint c JOIN run r ON r.id = c.run_id WHERE NOT EXISTS (SELECT "
    "1 FROM job j JOIN attempt a ON a.job_id = j.id WHERE j.run_id = r.id "
    "AND a.ended_at IS NULL) AND r.key NOT LIKE 'deleted-%'";
static const char one_checkpoint[] =
    "SELECT 1 FROM checkpoint c WHERE c.run_id = ? AND c.file = ? "
    "AND c.hash = ? AND NOT EXISTS (SELECT 1 FROM job j JOIN attempt a "
    "ON a.job_id = j.id WHERE j.run_id = c.run_id AND a.ended_at IS NULL)";

static struct checkpoint *list_checkpoints(struct fsck *fsck, int64_t *count)
{
    struct checkpoint *list = NULL;
    int64_t room = 0;
    struct statement *s = db_sql(fsck->db, every_checkpoint);
    for (*count = 0; statement_next(s); ++*count) {
        if (*count == room) {
            room = 2 * room + 64;
            list = xrealloc(list, (size_t)room * sizeof *list);
        }
        struct checkpoint *one = &list[*count];
        one->run = column_integer(s, 0);
        column_copy(s, 1, one->key, sizeof one->key);
        one->saved.step = column_integer(s, 2);
        one->saved.attempt = column_integer(s, 3);
        one->saved.bytes = column_integer(s, 4);
        column_copy(s, 5, one->saved.file, sizeof one->saved.file);
        column_copy(s, 6, one->saved.hash, sizeof one->saved.hash);
    }
    end(fsck, s);
    return list;
}

/* It may have been removed since it was listed, by the keeper or a worker. */
static bool is_still_there(struct fsck *fsck, const struct checkpoint *one)
{
    struct statement *s = db_sql(fsck->db, one_checkpoint);
    bind_integer(s, one->run);
    bind_text(s, one->saved.file);
    bind_text(s, one->saved.hash);
    bool is_there = statement_next(s);
    end(fsck, s);
    return is_there;
}

static void check_file(struct fsck *fsck, const struct checkpoint *one)
{
    struct error error;
    char name[RUN_FOLDER_BYTES], folder[PATH_BYTES];
    run_folder_print(name, one->run, one->key);
    if ((path_join(folder, fsck->run_dir, name, &error) &&
         run_file_check(folder, &one->saved, &error)) ||
        !is_still_there(fsck, one))
        return;
    error_prefix(&error, "run %lld", (long long)one->run);
    find(fsck, error.text,
         "nothing: its run goes on from an older one, or from the beginning");
}

static void check_checkpoints(struct fsck *fsck)
{
    begin(fsck, "checkpoints");
    struct checkpoint *list = list_checkpoints(fsck, &fsck->checkpoints);
    for (int64_t i = 0; i < fsck->checkpoints && !fsck->is_stopped; i++) {
        check_file(fsck, &list[i]);
        fsck->is_stopped |= db_is_stopped(fsck->db);
    }
    free(list);
}

struct cJSON *fsck_run(struct db *db, const char *run_dir, struct error *error)
{
    struct fsck fsck = {.db = db, .run_dir = run_dir};
    fsck.findings = cJSON_CreateArray();
    for (int i = 0; i < fsck_rule_count && !fsck.is_stopped; i++)
        check_rule(&fsck, &fsck_rules[i]);
    if (!fsck.is_stopped)
        check_checkpoints(&fsck);
    if (fsck.is_stopped) {
        cJSON_Delete(fsck.findings);
        error_set(error, ERROR_BUSY, "gaitd is shutting down");
        return NULL;
    }
    struct cJSON *result = cJSON_CreateObject();
    cJSON_AddItemToObject(result, "findings", fsck.findings);
    cJSON_AddItemToObject(result, "count", json_integer(fsck.count));
    cJSON_AddItemToObject(result, "rules", json_integer(fsck_rule_count));
    cJSON_AddItemToObject(result, "checkpoints",
                          json_integer(fsck.checkpoints));
    return result;
}
