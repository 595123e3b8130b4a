/* selftest_operation.c: operations in both precisions at sizes around a warp's
 * and a block's.
 */
#include "worker/engine/agreement.h"
#include "worker/engine/backend.h"
#include "worker/engine/device.h"
#include "worker/selftest_inside.h"

static void on_agreement(void *user, const struct agreement *agreement)
{
    selftest_report(user, agreement->operation, agreement->error,
                    agreement->bound);
}

static void check_shape(struct selftest *test, const char *precision, int rows,
                        int n)
{
    struct settings settings = selftest_settings("BP", precision);
    struct error error;
    selftest_case(test, "%s, %d x %d", precision, rows, n);
    struct backend *cpu = device_backend(test->cpu, &settings, &error);
    struct backend *gpu =
        cpu ? device_backend(test->gpu, &settings, &error) : NULL;
    if (!gpu ||
        !agreement_measure(cpu, gpu, rows, n, on_agreement, test, &error))
        selftest_fail(test, &error);
    if (gpu)
        gpu->close(gpu);
    if (cpu)
        cpu->close(cpu);
}

void selftest_operations(struct selftest *test)
{
    static const int shapes[][2] = {{1, 10},
                                    {7, 31},
                                    {33, 32},
                                    {60, 257},
                                    {SELFTEST_BATCH, SELFTEST_WIDTH}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int p = 0; p < 2; p++)
            check_shape(test, selftest_precisions[p], shapes[i][0],
                        shapes[i][1]);
}
