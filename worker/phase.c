#include "worker/phase.h"

#include <sys/prctl.h>

/* At most 15 bytes, which is what the kernel keeps. */
static const char *const names[] = {
    [PHASE_IDLE] = "gait-worker",
    [PHASE_TRAINING] = "gait training",
    [PHASE_EVALUATING] = "gait evaluating",
    [PHASE_SAVING] = "gait saving",
};

void phase_enter(enum phase *phase, enum phase next)
{
    if (*phase == next)
        return;
    *phase = next;
    prctl(PR_SET_NAME, names[next]);
}
