/* cusolver.c: factorisations and solves, by LAPACK, in stream order. */
#include <cusolverDn.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/alone.h"
#include "tests/cuda/shim.h"

struct cusolverDnContext {
    cudaStream_t stream;
    int device; /* current when it was created */
};

struct job {
    int m, n, lda, ldb, ldv, work_count;
    void *a, *b, *s, *u, *vt, *work;
    int *pivots, *info;
    const char *letter; /* options, as LAPACK spells them */
};

/* What is queued: `run` gets the job. */
struct queued {
    struct job job;
    void (*run)(void *job);
};

static const char kind[] = "cuSOLVER";

#define LAPACK_FUNCTIONS(REAL, letter)                                         \
    void letter##getrf_(const int *m, const int *n, REAL *a, const int *lda,   \
                        int *pivots, int *info);                               \
    void letter##getrs_(const char *op, const int *n, const int *sides,        \
                        const REAL *a, const int *lda, const int *pivots,      \
                        REAL *b, const int *ldb, int *info, size_t);           \
    void letter##potrf_(const char *uplo, const int *n, REAL *a,               \
                        const int *lda, int *info, size_t);                    \
    void letter##potrs_(const char *uplo, const int *n, const int *sides,      \
                        const REAL *a, const int *lda, REAL *b,                \
                        const int *ldb, int *info, size_t);                    \
    void letter##gesvd_(const char *job_u, const char *job_vt, const int *m,   \
                        const int *n, REAL *a, const int *lda, REAL *s,        \
                        REAL *u, const int *ldu, REAL *vt, const int *ldvt,    \
                        REAL *work, const int *count, int *info, size_t,       \
                        size_t);
LAPACK_FUNCTIONS(float, s)
LAPACK_FUNCTIONS(double, d)

static size_t extent(int rows, int cols, int ld)
{
    return rows <= 0 || cols <= 0
               ? 0
               : (size_t)(cols - 1) * (size_t)ld + (size_t)rows;
}

/* Some columns and a little: an odd number that nobody guesses. */
static int room_for(int m, int n)
{
    return 2 * (m > n ? m : n) + 17;
}

static void scribble(void *memory, size_t bytes)
{
    if (memory != NULL) {
        memset(memory, 0xff, bytes);
    }
}

/* Both options of gesvd as a string that outlives the call; NULL: they are
 * not replaced. */
static const char *find_letters(const char *wanted)
{
    static const char *const known[] = {"NN", "AA", "SS", "AN", "SN",
                                        "NA", "NS", "AS", "SA"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (memcmp(known[i], wanted, 2) == 0) {
            return known[i];
        }
    }
    return NULL;
}

cusolverStatus_t cusolverDnCreate(cusolverDnHandle_t *made)
{
    SHIM_ENTER(code, CUSOLVER_STATUS_INTERNAL_ERROR);
    if (code != 0 || shim_device_error(shim_device()) != 0) {
        /* Measured: it may fail and write a handle all the same. */
        *made = (cusolverDnHandle_t)(uintptr_t)0x10;
        return code != 0 ? (cusolverStatus_t)code
                         : CUSOLVER_STATUS_NOT_INITIALIZED;
    }
    struct cusolverDnContext *handle = calloc(1, sizeof *handle);
    if (handle == NULL) {
        return CUSOLVER_STATUS_ALLOC_FAILED;
    }
    handle->device = shim_device();
    shim_handle_opened(handle, kind);
    *made = handle;
    return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverDnDestroy(cusolverDnHandle_t handle)
{
    SHIM_ENTER(code, CUSOLVER_STATUS_INTERNAL_ERROR);
    if (!shim_handle_closed(handle, kind)) {
        return CUSOLVER_STATUS_NOT_INITIALIZED;
    }
    free(handle);
    return (cusolverStatus_t)code;
}

cusolverStatus_t cusolverDnSetStream(cusolverDnHandle_t handle,
                                     cudaStream_t stream)
{
    SHIM_ENTER(code, CUSOLVER_STATUS_INTERNAL_ERROR);
    if (code != 0 || !shim_handle_check(handle, kind, __func__)) {
        return code != 0 ? (cusolverStatus_t)code
                         : CUSOLVER_STATUS_NOT_INITIALIZED;
    }
    handle->stream = stream;
    return CUSOLVER_STATUS_SUCCESS;
}

/* Everything here is deterministic; asked for the other, it is a defect. */
cusolverStatus_t
cusolverDnSetDeterministicMode(cusolverDnHandle_t handle,
                               cusolverDeterministicMode_t mode)
{
    SHIM_ENTER(code, CUSOLVER_STATUS_INTERNAL_ERROR);
    if (code != 0 || !shim_handle_check(handle, kind, __func__)) {
        return code != 0 ? (cusolverStatus_t)code
                         : CUSOLVER_STATUS_NOT_INITIALIZED;
    }
    if (mode != CUSOLVER_DETERMINISTIC_RESULTS) {
        shim_defect("%s: the bits of results would not repeat", __func__);
    }
    return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t cusolverGetProperty(libraryPropertyType type, int *value)
{
    SHIM_ENTER(code, CUSOLVER_STATUS_INTERNAL_ERROR);
    static const int version[] = {CUSOLVER_VER_MAJOR, CUSOLVER_VER_MINOR,
                                  CUSOLVER_VER_PATCH};
    if (code == 0) {
        *value = version[type];
    }
    return (cusolverStatus_t)code;
}

/* The handle, its device and its stream; or what to answer. */
static cusolverStatus_t begin(cusolverDnHandle_t handle, const char *function)
{
    if (!shim_handle_check(handle, kind, function)) {
        return CUSOLVER_STATUS_NOT_INITIALIZED;
    }
    if (shim_device_error(handle->device) != 0) {
        return CUSOLVER_STATUS_EXECUTION_FAILED;
    }
    if (handle->device != shim_device() ||
        !shim_is_stream_of(handle->stream, handle->device)) {
        shim_defect("%s: the handle is of device %d, the current one is %d, "
                    "the stream is of another",
                    function, handle->device, shim_device());
        return CUSOLVER_STATUS_MAPPING_ERROR;
    }
    return CUSOLVER_STATUS_SUCCESS;
}

static void run_queued(void *context)
{
    struct queued *queued = context;
    run_alone(queued->run, &queued->job);
}

static cusolverStatus_t start(cusolverDnHandle_t handle, const char *function,
                              const struct job *job, bool is_valid,
                              const struct shim_operand *operands, int count,
                              void (*run)(void *job))
{
    cusolverStatus_t status = begin(handle, function);
    if (status != CUSOLVER_STATUS_SUCCESS) {
        return status;
    }
    if (!is_valid) {
        shim_defect("%s: m %d, n %d, lda %d, ldb %d, workspace of %d", function,
                    job->m, job->n, job->lda, job->ldb, job->work_count);
        return CUSOLVER_STATUS_INVALID_VALUE;
    }
    for (int i = 0; i < count; i++) {
        if (!shim_check(function, handle->device, &operands[i])) {
            return CUSOLVER_STATUS_EXECUTION_FAILED;
        }
    }
    struct queued *queued = malloc(sizeof *queued);
    if (queued == NULL || !shim_check_overlap(function, operands, count)) {
        free(queued);
        return CUSOLVER_STATUS_INVALID_VALUE;
    }
    *queued = (struct queued){*job, run};
    return shim_enqueue(handle->stream, function, run_queued, queued) == 0
               ? CUSOLVER_STATUS_SUCCESS
               : CUSOLVER_STATUS_EXECUTION_FAILED;
}

#define REAL float
#define NAME(call) cusolverDnS##call
#define LAPACK(call) s##call##_
#define LOCAL(name) name##_f32
#include "tests/cuda/cusolver.inc"
#undef REAL
#undef NAME
#undef LAPACK
#undef LOCAL

#define REAL double
#define NAME(call) cusolverDnD##call
#define LAPACK(call) d##call##_
#define LOCAL(name) name##_f64
#include "tests/cuda/cusolver.inc"
