#define _GNU_SOURCE /* sched_getaffinity */
#include "daemon/cpu.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/memory.h"
#include "schema/paths.h"

void cpu_mask_read(struct cpu_mask *mask)
{
    memset(mask, 0, sizeof *mask);
    size_t bytes = CPU_ALLOC_SIZE(CPU_MOST);
    cpu_set_t *set = xcalloc(1, bytes);
    if (sched_getaffinity(0, bytes, set) == 0)
        for (size_t cpu = 0; cpu < CPU_MOST; cpu++)
            mask->allowed[cpu] = CPU_ISSET_S(cpu, bytes, set);
    free(set);
}

/* The first line of a file, or false when it cannot be read. */
static bool first_line(char *text, int bytes, const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool has_line = fgets(text, bytes, file) != NULL;
    fclose(file);
    return has_line;
}

/* The lowest CPU of the core that `cpu` belongs to; itself when unknown. */
static int core_of(const char *root, int cpu)
{
    char path[PATH_BYTES], text[256];
    snprintf(path, sizeof path,
             "%s/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list",
             root, cpu);
    if (!first_line(text, sizeof text, path))
        return cpu;
    char *end;
    long first = strtol(text, &end, 10); /* "0-1" or "0,4": the lowest first */
    return end == text || first < 0 || first >= CPU_MOST ? cpu : (int)first;
}

int cpu_cores(const char *root, const struct cpu_mask *mask)
{
    struct cpu_mask seen = {{false}};
    int count = 0;
    for (int cpu = 0; cpu < CPU_MOST; cpu++) {
        if (!mask->allowed[cpu])
            continue;
        int core = core_of(root, cpu);
        count += !seen.allowed[core];
        seen.allowed[core] = true;
    }
    return count;
}

/* Version 2: "max 100000" or "150000 100000". */
static double quota_v2(const char *folder)
{
    char path[PATH_BYTES], text[128], *rest, *end;
    if (snprintf(path, sizeof path, "%s/cpu.max", folder) >= PATH_BYTES ||
        !first_line(text, sizeof text, path))
        return INFINITY;
    double quota = strtod(text, &rest);
    double period = strtod(rest, &end);
    return rest != text && end != rest && period > 0 ? quota / period
                                                     : INFINITY;
}

/* Version 1: two files, -1 for no limit. */
static double quota_v1(const char *folder)
{
    char path[PATH_BYTES], quota[64], period[64];
    if (snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder) >=
            PATH_BYTES ||
        !first_line(quota, sizeof quota, path))
        return INFINITY;
    if (snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder) >=
            PATH_BYTES ||
        !first_line(period, sizeof period, path))
        return INFINITY;
    double allowed = strtod(quota, NULL), of = strtod(period, NULL);
    return allowed > 0 && of > 0 ? allowed / of : INFINITY;
}

/* The tightest quota on the way from the group up to the mount. */
static double quota_upwards(const char *mount, const char *group,
                            double (*quota_at)(const char *folder))
{
    char folder[PATH_BYTES];
    if (snprintf(folder, sizeof folder, "%s%s", mount, group) >= PATH_BYTES)
        return INFINITY;
    double least = INFINITY;
    while (strlen(folder) >= strlen(mount)) {
        least = fmin(least, quota_at(folder));
        char *slash = strrchr(folder, '/');
        if (!slash)
            break;
        *slash = '\0';
    }
    return least;
}

/* Whether the comma-separated list has the controller "cpu". */
static bool has_cpu(const char *controllers)
{
    for (const char *at = controllers; at;) {
        size_t length = strcspn(at, ",");
        if (length == 3 && strncmp(at, "cpu", 3) == 0)
            return true;
        at = at[length] ? at + length + 1 : NULL;
    }
    return false;
}

/* One line of /proc/self/cgroup: "0::/path" or "4:cpu,cpuacct:/path". */
static double quota_of_line(const char *root, char *line)
{
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group)
        return INFINITY;
    controllers++;
    *group++ = '\0';
    char mount[PATH_BYTES];
    bool is_v2 = !*controllers;
    if (!is_v2 && !has_cpu(controllers))
        return INFINITY;
    snprintf(mount, sizeof mount, "%s/sys/fs/cgroup%s", root,
             is_v2 ? "" : "/cpu");
    return quota_upwards(mount, group, is_v2 ? quota_v2 : quota_v1);
}

double cpu_quota(const char *root)
{
    char path[PATH_BYTES], line[PATH_BYTES];
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");
    if (!file)
        return INFINITY;
    double least = INFINITY;
    while (fgets(line, sizeof line, file))
        least = fmin(least, quota_of_line(root, line));
    fclose(file);
    return least;
}

int cpu_slots(const char *root, const struct cpu_mask *mask)
{
    double slots = fmin(cpu_cores(root, mask), floor(cpu_quota(root)));
    return slots < 1 ? 1 : (int)slots;
}
