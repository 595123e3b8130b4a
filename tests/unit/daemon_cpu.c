#define _GNU_SOURCE /* nftw */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/cpu.h"
#include "daemon/folder.h"

/* A machine made of files, below a folder of the test's own. */
static char root[64];

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/gaitd_cpu_XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *status, int type,
                      struct FTW *place)
{
    (void)status, (void)type, (void)place;
    return remove(path);
}

static int remove_root(void **state)
{
    (void)state;
    return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[512];
    struct error error;
    snprintf(path, sizeof path, "%s/%s", root, folder);
    assert_true(folder_make(path, &error));
    snprintf(path, sizeof path, "%s/%s/%s", root, folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void write_siblings(int cpu, const char *text)
{
    char folder[128];
    snprintf(folder, sizeof folder, "sys/devices/system/cpu/cpu%d/topology",
             cpu);
    write_file(folder, "thread_siblings_list", text);
}

static struct cpu_mask mask_of(int count, const int *cpus)
{
    struct cpu_mask mask = {{false}};
    for (int i = 0; i < count; i++)
        mask.allowed[cpus[i]] = true;
    return mask;
}

/* Four cores of two threads: 0 and 4, 1 and 5, ... */
static void write_four_cores(void)
{
    for (int cpu = 0; cpu < 8; cpu++) {
        char text[16];
        snprintf(text, sizeof text, "%d,%d\n", cpu % 4, cpu % 4 + 4);
        write_siblings(cpu, text);
    }
}

static void threads_of_a_core_count_once(void **state)
{
    (void)state;
    write_four_cores();
    struct cpu_mask all = mask_of(8, (int[]){0, 1, 2, 3, 4, 5, 6, 7});
    assert_int_equal(cpu_cores(root, &all), 4);
}

static void only_allowed_cpus_count(void **state)
{
    (void)state;
    write_four_cores();
    struct cpu_mask second_threads = mask_of(2, (int[]){4, 6});
    assert_int_equal(cpu_cores(root, &second_threads), 2);
    struct cpu_mask one_core = mask_of(2, (int[]){1, 5});
    assert_int_equal(cpu_cores(root, &one_core), 1);
}

static void ranges_and_missing_files_are_read(void **state)
{
    (void)state;
    write_siblings(0, "0-1\n");
    write_siblings(1, "0-1\n");
    struct cpu_mask mask = mask_of(4, (int[]){0, 1, 2, 3});
    assert_int_equal(cpu_cores(root, &mask), 3);
}

static void no_groups_are_no_limit(void **state)
{
    (void)state;
    assert_true(isinf(cpu_quota(root)));
}

static void the_tightest_group_limits(void **state)
{
    (void)state;
    write_file("proc/self", "cgroup", "0::/a/b\n");
    write_file("sys/fs/cgroup/a/b", "cpu.max", "max 100000\n");
    write_file("sys/fs/cgroup/a", "cpu.max", "250000 100000\n");
    assert_float_equal(cpu_quota(root), 2.5, 0);
    write_file("sys/fs/cgroup", "cpu.max", "150000 100000\n");
    assert_float_equal(cpu_quota(root), 1.5, 0);
    write_file("sys/fs/cgroup/a/b", "cpu.max", "50000 100000\n");
    assert_float_equal(cpu_quota(root), 0.5, 0);
}

static void groups_of_version_1_limit(void **state)
{
    (void)state;
    write_file("proc/self", "cgroup",
               "5:cpuset:/x\n4:cpu,cpuacct:/job\n0::/\n");
    write_file("sys/fs/cgroup/cpu/job", "cpu.cfs_quota_us", "300000\n");
    write_file("sys/fs/cgroup/cpu/job", "cpu.cfs_period_us", "100000\n");
    write_file("sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "-1\n");
    write_file("sys/fs/cgroup/cpu", "cpu.cfs_period_us", "100000\n");
    assert_float_equal(cpu_quota(root), 3, 0);
}

static void slots_are_the_lesser_and_at_least_one(void **state)
{
    (void)state;
    write_four_cores();
    struct cpu_mask all = mask_of(8, (int[]){0, 1, 2, 3, 4, 5, 6, 7});
    assert_int_equal(cpu_slots(root, &all), 4);
    write_file("proc/self", "cgroup", "0::/\n");
    write_file("sys/fs/cgroup", "cpu.max", "250000 100000\n");
    assert_int_equal(cpu_slots(root, &all), 2);
    write_file("sys/fs/cgroup", "cpu.max", "50000 100000\n");
    assert_int_equal(cpu_slots(root, &all), 1);
    write_file("sys/fs/cgroup", "cpu.max", "9000000 100000\n");
    assert_int_equal(cpu_slots(root, &all), 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(threads_of_a_core_count_once),
        TEST(only_allowed_cpus_count),
        TEST(ranges_and_missing_files_are_read),
        TEST(no_groups_are_no_limit),
        TEST(the_tightest_group_limits),
        TEST(groups_of_version_1_limit),
        TEST(slots_are_the_lesser_and_at_least_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
