/* What SQLite alone takes for what a job writes: the same rows in the same
 * tables as gaitd, a durable commit for each job, and nothing else.
 *
 *     commit DATABASE       of gaitd, stopped, with queued jobs; changes it;
 *                           prints the milliseconds of CPU a job
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* A job ends and the next one begins, in the order in which gaitd says it; ?1
 * is the job that ends.  Jobs and runs have the same ids in a new database. */
static const char *const statements[] = {
    "UPDATE attempt SET pid = 1, from_step = 0 WHERE id = ?1",
    "INSERT INTO history VALUES (?1, 0, 0, 0.5, 1.5, NULL, NULL, 0.1, 1.25, "
    "'00000000000000000000000000000000', 0.5)",
    "UPDATE run SET step = 0, epochs_done = 0, "
    "state_hash = '00000000000000000000000000000000' WHERE id = ?1",
    "UPDATE attempt SET ended_at = 1.5, outcome = 'done', step = 0, "
    "seconds = 0.001 WHERE id = ?1",
    "UPDATE job SET state = 'done', finished_at = 1e9 + id, "
    "final_train_accuracy = 0.5, final_test_accuracy = 0.1, "
    "final_test_loss = 1.25, peak_train_accuracy = 0.5, "
    "peak_test_accuracy = 0.1 WHERE id = ?1",
    "UPDATE run SET device_class = 'a device class of some length threads-1' "
    "WHERE id = ?1 + 1",
    "UPDATE job SET state = 'running', is_ready = 0, attempts = 1, "
    "lane = lane || ' a device class of some length threads-1', "
    "started_at = 1.5 WHERE id = ?1 + 1",
    "INSERT INTO attempt (id, job_id, number, device, started_at) "
    "VALUES (?1 + 1, ?1 + 1, 1, 'cpu', 1.5)",
    "INSERT INTO owner VALUES (0, ?1) ON CONFLICT DO UPDATE SET turn = ?1",
    "UPDATE job_count SET count = count + 1 WHERE sweep_id = 1 AND "
    "state = 'done'",
    "UPDATE job_count SET count = count - 1 WHERE sweep_id = 1 AND "
    "state = 'queued'",
    "UPDATE job_total SET count = count + 1 WHERE state = 'done'",
    "UPDATE job_total SET count = count - 1 WHERE state = 'queued'",
    "UPDATE ledger SET number = ?1",
};
enum { STATEMENTS = sizeof statements / sizeof *statements };

static void check(sqlite3 *db, int result)
{
    if (result == SQLITE_OK || result == SQLITE_DONE || result == SQLITE_ROW)
        return;
    fprintf(stderr, "commit: %s\n", sqlite3_errmsg(db));
    exit(1);
}

static void run(sqlite3 *db, const char *sql)
{
    check(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

static int count_queued(sqlite3 *db)
{
    sqlite3_stmt *s;
    check(db, sqlite3_prepare_v2(db, "SELECT count(*) FROM job", -1, &s, NULL));
    check(db, sqlite3_step(s));
    int count = sqlite3_column_int(s, 0);
    sqlite3_finalize(s);
    return count;
}

static double cpu(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    sqlite3 *db;
    sqlite3_stmt *prepared[STATEMENTS];
    if (argc != 2)
        return fputs("usage: commit DATABASE\n", stderr), 1;
    check(NULL, sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0));
    check(NULL, sqlite3_open(argv[1], &db));
    run(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
            "PRAGMA cache_size = -16384; PRAGMA ignore_check_constraints = ON");
    for (int i = 0; i < STATEMENTS; i++)
        check(db,
              sqlite3_prepare_v2(db, statements[i], -1, &prepared[i], NULL));
    int jobs = count_queued(db) - 1;
    double began = cpu();
    for (int job = 1; job <= jobs; job++) {
        run(db, "BEGIN IMMEDIATE");
        for (int i = 0; i < STATEMENTS; i++) {
            if (sqlite3_bind_parameter_count(prepared[i]))
                check(db, sqlite3_bind_int(prepared[i], 1, job));
            check(db, sqlite3_step(prepared[i]));
            check(db, sqlite3_reset(prepared[i]));
        }
        run(db, "COMMIT");
    }
    printf("%.4f\n", (cpu() - began) / jobs * 1e3);
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(prepared[i]);
    sqlite3_close(db);
    return 0;
}
