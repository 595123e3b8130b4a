#include "tests/unit/daemon_store_fixture.h"

#include <sys/stat.h>

#include "daemon/tables.h"

static struct db *open_tables(struct loop *loop)
{
    struct error error;
    struct db *db = tables_open(loop->path, &error);
    if (!db)
        fail_msg("%s", error.text);
    return db;
}

static void script(struct db *db, const char *sql)
{
    struct error error;
    if (!db_script(db, sql, &error))
        fail_msg("%s", error.text);
}

static int64_t number(struct db *db, const char *sql)
{
    struct error error;
    int64_t value = -1;
    struct statement *s = statement_new(db, sql);
    while (statement_next(s))
        value = column_integer(s, 0);
    if (!statement_finish(s, &error))
        fail_msg("%s", error.text);
    statement_free(s);
    return value;
}

static void a_new_file_has_it_all(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    struct db *db = open_tables(loop);
    assert_int_equal(number(db, "PRAGMA application_id"), 0x67616974);
    assert_int_equal(number(db, "PRAGMA user_version"), TABLES_VERSION);
    for (int i = 0; i < setting_count; i++) {
        const struct setting *setting = &setting_table[i];
        char *sql = xprintf("SELECT count(%s) FROM result", setting->name);
        assert_int_equal(number(db, sql), 0);
        free(sql);
        sql = xprintf("SELECT count(%s) FROM curve", setting->name);
        assert_int_equal(number(db, sql), 0);
        free(sql);
    }
    db_close(db);
    loop_remove(loop);
}

static void opening_again_changes_nothing(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    struct db *db = open_tables(loop);
    int64_t before = number(db, "PRAGMA schema_version");
    db_close(db);
    db = open_tables(loop);
    assert_int_equal(number(db, "PRAGMA schema_version"), before);
    db_close(db);
    loop_remove(loop);
}

/* A file from before a setting was in the table. */
static void missing_settings_become_columns(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    struct db *db = open_tables(loop);
    script(db, "DROP VIEW result; DROP VIEW curve; "
               "ALTER TABLE run DROP COLUMN learning_rate; "
               "ALTER TABLE run DROP COLUMN precision; "
               "INSERT INTO run (key, dataset_digest, steps_per_epoch) "
               "VALUES ('k', 'd', 10)");
    db_close(db);
    db = open_tables(loop);
    assert_int_equal(number(db, "SELECT count(*) FROM run WHERE "
                                "learning_rate = 0.0001 AND "
                                "precision = 'float32'"),
                     1);
    assert_int_equal(number(db, "SELECT count(*) FROM result"), 0);
    db_close(db);
    loop_remove(loop);
}

static void an_old_view_is_replaced(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    struct db *db = open_tables(loop);
    script(db, "DROP VIEW result; CREATE VIEW result AS SELECT 7 AS job");
    db_close(db);
    db = open_tables(loop);
    assert_int_equal(number(db, "SELECT count(*) FROM result"), 0);
    db_close(db);
    loop_remove(loop);
}

static void a_newer_version_is_refused(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    struct db *db = open_tables(loop);
    script(db, "PRAGMA user_version = 9");
    db_close(db);
    struct error error;
    assert_null(loop_open_store(loop, &error));
    assert_int_equal(error.code, ERROR_CORRUPT);
    char *text = xprintf("database \"%s\" is of version 9; this gaitd knows "
                         "up to 2",
                         loop->path);
    assert_string_equal(error.text, text);
    free(text);
    loop_remove(loop);
}

static void somebody_elses_file_is_left_alone(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    struct error error;
    struct db *db = db_open(loop->path, DB_WRITE, &error);
    script(db, "PRAGMA journal_mode = DELETE; CREATE TABLE theirs (i)");
    db_close(db);
    assert_null(tables_open(loop->path, &error));
    char *text = xprintf("\"%s\" is not a database of gaitd", loop->path);
    assert_string_equal(error.text, text);
    free(text);
    db = db_open(loop->path, DB_READ, &error);
    assert_int_equal(number(db, "SELECT count(*) FROM pragma_journal_mode "
                                "WHERE journal_mode = 'delete'"),
                     1);
    db_close(db);
    loop_remove(loop);
}

static void a_file_that_is_no_database_is_refused(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    FILE *file = fopen(loop->path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("not a database, ", file);
    fclose(file);
    struct error error;
    assert_null(tables_open(loop->path, &error));
    assert_non_null(strstr(error.text, "file is not a database"));
    loop_remove(loop);
}

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("no file \"%s\": tests run in the repository", path);
    char *text = xcalloc(1, 1 << 20);
    assert_in_range(fread(text, 1, (1 << 20) - 1, file), 1, (1 << 20) - 2);
    fclose(file);
    return text;
}

/* tests/golden/database-<version>.sql: what released versions wrote. */
static void old_files_open(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    struct error error;
    struct db *db = db_open(loop->path, DB_WRITE, &error);
    char *text = read_text("tests/golden/database-1.sql");
    script(db, text);
    free(text);
    db_close(db);
    if (!loop_open_store(loop, &error))
        fail_msg("%s", error.text);
    loop_open_reader(loop, 10);
    struct cJSON *a = ask(loop, "results", "{'target': 'grid'}", NULL);
    static const char *const states[] = {"done", "failed", "queued"};
    for (int i = 0; i < 3; i++) {
        const struct cJSON *row =
            cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(a, "rows"), i);
        assert_string_equal(json_text_or(row, "state", ""), states[i]);
        assert_true(json_real_or(row, "peak_test_accuracy", -1) ==
                    row_at(20 - 10 * i).test_accuracy);
    }
    cJSON_Delete(a);
    store_slot_open(loop->store, 0, "cpu:0", CLASS);
    WAIT_FOR(loop, loop->dispatch_count == 1);
    assert_int_equal(last_dispatch(loop)->job, 3);
    assert_int_equal(last_dispatch(loop)->step, 0);
    assert_int_equal(last_dispatch(loop)->settings.seed, 201);
    loop_end(loop);
}

/* Every column and index, in an order of their own. */
static char *describe(struct db *db)
{
    struct error error;
    char *text = NULL;
    struct statement *s = statement_new(
        db, "SELECT group_concat(line, char(10)) FROM (SELECT m.name || ' ' || "
            "p.name || ' ' || p.type || ' ' || p.\"notnull\" || ' ' || "
            "ifnull(p.dflt_value, '') || ' ' || p.pk AS line "
            "FROM sqlite_schema m, pragma_table_info(m.name) p "
            "WHERE m.type = 'table' UNION ALL SELECT m.name || ' ' || m.sql "
            "FROM sqlite_schema m WHERE m.type = 'index' AND m.sql IS NOT NULL "
            "ORDER BY 1)");
    if (statement_next(s))
        text = xstrdup(column_text(s, 0));
    if (!statement_finish(s, &error))
        fail_msg("%s", error.text);
    statement_free(s);
    return text;
}

static void an_old_file_becomes_like_a_new_one(void **state)
{
    (void)state;
    struct loop *old = loop_new(), *new = loop_new();
    struct error error;
    struct db *db = db_open(old->path, DB_WRITE, &error);
    char *text = read_text("tests/golden/database-1.sql");
    script(db, text);
    free(text);
    db_close(db);
    db = open_tables(old);
    char *is = describe(db);
    db_close(db);
    db = open_tables(new);
    char *wanted = describe(db);
    db_close(db);
    assert_string_equal(is, wanted);
    free(is);
    free(wanted);
    loop_remove(old);
    loop_remove(new);
}

static void make_old(struct loop *loop)
{
    struct error error;
    struct db *db = db_open(loop->path, DB_WRITE, &error);
    char *text = read_text("tests/golden/database-1.sql");
    script(db, text);
    free(text);
    db_close(db);
}

static void an_old_file_is_backed_up_first(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    struct error error;
    make_old(loop);
    db_close(open_tables(loop));
    char *file = xprintf("%s.version-1.backup", loop->path);
    struct db *db = db_open(file, DB_READ, &error);
    assert_non_null(db);
    assert_int_equal(number(db, "PRAGMA user_version"), 1);
    assert_int_equal(number(db, "SELECT count(*) FROM job"), 3);
    assert_int_equal(number(db, "SELECT count(*) FROM history"), 6);
    db_close(db);
    free(file);
    loop_remove(loop);
}

/* What cannot be backed up is left as it was. */
static void an_old_file_without_a_backup_is_refused(void **state)
{
    (void)state;
    struct loop *loop = loop_new();
    struct error error;
    make_old(loop);
    char *file = xprintf("%s.version-1.backup", loop->path);
    assert_int_equal(mkdir(file, 0700), 0);
    assert_null(tables_open(loop->path, &error));
    char *begin = xprintf("database \"%s\" is of version 1 and is brought up "
                          "to 2 only once it is backed up: ",
                          loop->path);
    assert_memory_equal(error.text, begin, strlen(begin));
    struct db *db = db_open(loop->path, DB_READ, &error);
    assert_int_equal(number(db, "PRAGMA user_version"), 1);
    db_close(db);
    rmdir(file);
    free(begin);
    free(file);
    loop_remove(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_file_has_it_all),
        cmocka_unit_test(opening_again_changes_nothing),
        cmocka_unit_test(missing_settings_become_columns),
        cmocka_unit_test(an_old_view_is_replaced),
        cmocka_unit_test(a_newer_version_is_refused),
        cmocka_unit_test(somebody_elses_file_is_left_alone),
        cmocka_unit_test(a_file_that_is_no_database_is_refused),
        cmocka_unit_test(old_files_open),
        cmocka_unit_test(an_old_file_becomes_like_a_new_one),
        cmocka_unit_test(an_old_file_is_backed_up_first),
        cmocka_unit_test(an_old_file_without_a_backup_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
