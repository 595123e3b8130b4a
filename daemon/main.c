/* main.c: gaitd, the daemon.  Reads its options and runs. */
#include <stdio.h>

#include "daemon/fsck.h"
#include "daemon/gaitd.h"
#include "schema/json.h"

enum { EXIT_USAGE = 2 };

static int print_faults(const struct faults *faults)
{
    for (int i = 0; i < faults->count && i < FAULTS_MAX; i++)
        fprintf(stderr, "gaitd: %s: %s\n", faults->fault[i].where,
                faults->fault[i].text);
    if (faults->count > FAULTS_MAX)
        fprintf(stderr, "gaitd: and %d faults more\n",
                faults->count - FAULTS_MAX);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    struct config config;
    struct faults faults;
    int status = 0;
    json_init();
    if (!config_init(&config, argc, argv, &faults))
        status = print_faults(&faults);
    else if (config.wants_help)
        config_help(stdout);
    else if (config.wants_version)
        printf("gaitd %s\n", GAITD_VERSION);
    else if (config.wants_fsck)
        status = fsck_main(&config);
    else
        status = gaitd_run(&config);
    config_release(&config);
    return status;
}
