/* db.c on files of its own. */
#include "tests/unit/daemon_store_fixture.h"

#include "daemon/db.h"

struct files {
    struct loop *loop; /* its folder and path only */
    struct db *db;
};

static struct files open_files(void)
{
    struct error error;
    struct files f = {.loop = loop_new()};
    f.db = db_open(f.loop->path, DB_WRITE, &error);
    if (!f.db)
        fail_msg("%s", error.text);
    return f;
}

static void close_files(struct files *f)
{
    db_close(f->db);
    loop_remove(f->loop);
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

static void values_come_back(void **state)
{
    (void)state;
    struct files f = open_files();
    struct error error;
    script(f.db, "CREATE TABLE t (i INTEGER, r REAL, s TEXT, n REAL)");
    for (int i = 0; i < 3; i++) {
        struct statement *s = db_sql(f.db, "INSERT INTO t VALUES (?, ?, ?, ?)");
        bind_integer(s, INT64_MIN + i);
        bind_real(s, 0.1 + i);
        bind_text(s, "it's");
        bind_real(s, NAN);
        assert_true(statement_run(s, &error));
        assert_int_equal(db_last_id(f.db), i + 1);
    }
    struct statement *s = db_sql(f.db, "SELECT i, r, s, n FROM t");
    assert_true(statement_next(s));
    assert_true(column_integer(s, 0) == INT64_MIN);
    assert_true(column_real(s, 1) == 0.1);
    assert_string_equal(column_text(s, 2), "it's");
    assert_true(column_is_null(s, 3));
    assert_true(isnan(column_real(s, 3)));
    assert_int_equal(column_integer_or(s, 3, -7), -7);
    char cut[3];
    column_copy(s, 2, cut, sizeof cut);
    assert_string_equal(cut, "it");
    assert_true(statement_finish(s, &error));
    close_files(&f);
}

static void a_failure_shows_at_the_end(void **state)
{
    (void)state;
    struct files f = open_files();
    struct error error = {0};
    script(f.db, "CREATE TABLE t (i INTEGER UNIQUE)");
    for (int i = 0; i < 2; i++) {
        struct statement *s = db_sql(f.db, "INSERT INTO t VALUES (?)");
        bind_integer(s, 1);
        assert_int_equal(statement_run(s, &error), i == 0);
    }
    assert_int_equal(error.code, ERROR_IO);
    assert_non_null(strstr(error.text, "UNIQUE constraint failed: t.i"));
    assert_non_null(strstr(error.text, f.loop->path));
    assert_int_equal(db_trouble(f.db), DB_FINE);

    struct statement *s = db_sql(f.db, "SELECT missing FROM t WHERE i = ?");
    bind_integer(s, 1);
    assert_false(statement_next(s));
    assert_false(statement_finish(s, &error));
    assert_non_null(strstr(error.text, "no such column: missing"));
    close_files(&f);
}

static void savepoints_undo_one_part(void **state)
{
    (void)state;
    struct files f = open_files();
    struct error error;
    script(f.db, "CREATE TABLE t (i INTEGER)");
    assert_true(db_begin(f.db, &error));
    assert_true(db_in_transaction(f.db));
    for (int i = 1; i <= 3; i++) {
        assert_true(db_savepoint(f.db, &error));
        struct statement *s = db_sql(f.db, "INSERT INTO t VALUES (?)");
        bind_integer(s, i);
        assert_true(statement_run(s, &error));
        if (i == 2)
            db_undo(f.db);
        else
            assert_true(db_release(f.db, &error));
    }
    assert_true(db_commit(f.db, &error));
    assert_false(db_in_transaction(f.db));
    assert_int_equal(number(f.db, "SELECT sum(i) FROM t"), 4);
    assert_true(db_begin(f.db, &error));
    script(f.db, "DELETE FROM t");
    db_rollback(f.db);
    db_rollback(f.db);
    assert_int_equal(number(f.db, "SELECT count(*) FROM t"), 2);
    close_files(&f);
}

static void readers_see_one_state_and_cannot_write(void **state)
{
    (void)state;
    struct files f = open_files();
    struct error error;
    script(f.db, "CREATE TABLE t (i INTEGER); INSERT INTO t VALUES (1)");
    struct db *reader = db_open(f.loop->path, DB_READ, &error);
    assert_non_null(reader);
    assert_true(db_begin(reader, &error));
    assert_int_equal(number(reader, "SELECT count(*) FROM t"), 1);
    script(f.db, "INSERT INTO t VALUES (2)");
    assert_int_equal(number(reader, "SELECT count(*) FROM t"), 1);
    db_rollback(reader);
    assert_int_equal(number(reader, "SELECT count(*) FROM t"), 2);
    assert_false(db_script(reader, "INSERT INTO t VALUES (3)", &error));
    assert_non_null(strstr(error.text, "readonly"));
    db_close(reader);
    close_files(&f);
}

static void commits_are_synced(void **state)
{
    (void)state;
    struct files f = open_files();
    assert_int_equal(number(f.db, "PRAGMA synchronous"), 2);
    assert_int_equal(number(f.db, "PRAGMA foreign_keys"), 1);
    assert_int_equal(number(f.db, "SELECT count(*) FROM pragma_journal_mode "
                                  "WHERE journal_mode = 'wal'"),
                     1);
    close_files(&f);
}

static void the_wal_is_copied_when_asked(void **state)
{
    (void)state;
    struct files f = open_files();
    struct error error;
    script(f.db, "CREATE TABLE t (b BLOB)");
    script(f.db, "INSERT INTO t VALUES (randomblob(9000000))");
    assert_true(db_wal_pages(f.db) > 2000); /* nobody copied it before */
    assert_true(db_checkpoint(f.db, &error));
    assert_int_equal(db_wal_pages(f.db), 0);
    script(f.db, "INSERT INTO t VALUES (1)");
    assert_true(db_wal_pages(f.db) > 0 && db_wal_pages(f.db) < 10);
    close_files(&f);
}

static void a_deadline_ends_a_query(void **state)
{
    (void)state;
    struct files f = open_files();
    struct error error = {0};
    db_deadline(f.db, 0.05);
    struct statement *s = statement_new(
        f.db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
              "SELECT count(*) FROM n");
    assert_false(statement_next(s));
    assert_false(statement_finish(s, &error));
    statement_free(s);
    assert_int_equal(error.code, ERROR_BUSY);
    assert_string_equal(error.text, "took longer than 0.05 s");
    db_deadline(f.db, 0);
    assert_int_equal(number(f.db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
                                  "SELECT i + 1 FROM n WHERE i < 100000) "
                                  "SELECT count(*) FROM n"),
                     100000);
    close_files(&f);
}

static void a_missing_folder_is_an_error(void **state)
{
    (void)state;
    struct error error;
    assert_null(db_open("/nowhere/at/all.db", DB_WRITE, &error));
    assert_int_equal(error.code, ERROR_IO);
    assert_string_equal(
        error.text,
        "database \"/nowhere/at/all.db\": unable to open database file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_back),
        cmocka_unit_test(a_failure_shows_at_the_end),
        cmocka_unit_test(savepoints_undo_one_part),
        cmocka_unit_test(readers_see_one_state_and_cannot_write),
        cmocka_unit_test(commits_are_synced),
        cmocka_unit_test(the_wal_is_copied_when_asked),
        cmocka_unit_test(a_deadline_ends_a_query),
        cmocka_unit_test(a_missing_folder_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
