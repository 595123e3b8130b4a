/* defects.cu: a small program on CUDA, to test what the replacement libraries
 * catch.  Its argument names a scene; most have one defect, as a program that
 * is being written might have.  A failed call ends it with status 3 and its
 * name, everything being given back, as the product does.
 */
#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <cusolverDn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/cuda/defects.cuh"

enum { ROWS = 37, COLS = 301, COUNT = ROWS * COLS, SIDE = 24 };
enum { FAILED_CALL = 3, WRONG_RESULT = 1 };

struct gpu {
    cudaStream_t stream, other;
    cudaEvent_t event;
    cublasHandle_t blas;
    cusolverDnHandle_t solver;
    float *x, *y, *z; /* COUNT each, on the device */
    float *workspace;
    float *pinned; /* COUNT */
    int *pivots, *info;
    float host[COUNT], got[COUNT];
};

static bool has_failed, is_wrong;

static void check(int status, const char *call)
{
    if (status != 0 && !has_failed)
        fprintf(stderr, "%.*s answers %d\n", (int)strcspn(call, "("), call,
                status);
    has_failed |= status != 0;
}
#define TRY(call)                                                              \
    do {                                                                       \
        if (!has_failed)                                                       \
            check((int)(call), #call);                                         \
    } while (0)
#define LAUNCHED(name) TRY(cudaGetLastError())

enum { WORKSPACE_BYTES = 65536 };

static void open_gpu(gpu *g)
{
    TRY(cudaStreamCreateWithFlags(&g->stream, cudaStreamNonBlocking));
    TRY(cudaStreamCreateWithFlags(&g->other, cudaStreamNonBlocking));
    TRY(cudaEventCreateWithFlags(&g->event, cudaEventDisableTiming));
    TRY(cudaMalloc((void **)&g->x, COUNT * sizeof(float)));
    TRY(cudaMalloc((void **)&g->y, COUNT * sizeof(float)));
    TRY(cudaMalloc((void **)&g->z, COUNT * sizeof(float)));
    TRY(cudaMalloc((void **)&g->workspace, WORKSPACE_BYTES));
    TRY(cudaMalloc((void **)&g->pivots, SIDE * sizeof(int)));
    TRY(cudaMalloc((void **)&g->info, sizeof(int)));
    TRY(cudaMallocHost((void **)&g->pinned, COUNT * sizeof(float)));
    if (!has_failed)
        TRY(cublasCreate(&g->blas));
    TRY(cublasSetStream(g->blas, g->stream));
    TRY(cublasSetWorkspace(g->blas, g->workspace, WORKSPACE_BYTES));
    TRY(cublasSetMathMode(g->blas, CUBLAS_PEDANTIC_MATH));
    cusolverDnHandle_t solver = NULL;
    TRY(cusolverDnCreate(&solver)); /* can fail and write a handle */
    g->solver = has_failed ? NULL : solver;
    TRY(cusolverDnSetStream(g->solver, g->stream));
}

static void close_gpu(gpu *g)
{
    void *memory[] = {g->x, g->y, g->z, g->workspace, g->pivots, g->info};
    if (g->stream)
        check(cudaStreamSynchronize(g->stream), "cudaStreamSynchronize");
    if (g->other)
        check(cudaStreamSynchronize(g->other), "cudaStreamSynchronize");
    if (g->solver)
        check(cusolverDnDestroy(g->solver), "cusolverDnDestroy");
    if (g->blas)
        check(cublasDestroy(g->blas), "cublasDestroy");
    for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++)
        check(cudaFree(memory[i]), "cudaFree");
    check(cudaFreeHost(g->pinned), "cudaFreeHost");
    if (g->event)
        check(cudaEventDestroy(g->event), "cudaEventDestroy");
    if (g->other)
        check(cudaStreamDestroy(g->other), "cudaStreamDestroy");
    if (g->stream)
        check(cudaStreamDestroy(g->stream), "cudaStreamDestroy");
}

static unsigned blocks(int count, int each)
{
    return (unsigned)((count + each - 1) / each);
}

static void up(gpu *g, float *to, const float *from, int count)
{
    TRY(cudaMemcpyAsync(to, from, (size_t)count * sizeof(float),
                        cudaMemcpyHostToDevice, g->stream));
}

static void down(gpu *g, float *to, const float *from, int count)
{
    TRY(cudaMemcpyAsync(to, from, (size_t)count * sizeof(float),
                        cudaMemcpyDeviceToHost, g->stream));
}

static void wait(gpu *g)
{
    TRY(cudaStreamSynchronize(g->stream));
}

static void fill(gpu *g, cudaStream_t on, float *x, float value, int count)
{
    (void)g;
    if (!has_failed)
        k_fill<float><<<blocks(count, 256), 256, 0, on>>>(x, value, count);
    LAUNCHED(k_fill);
}

static void expect(const char *what, double got, double expected,
                   double tolerance)
{
    if (has_failed || fabs(got - expected) <= tolerance) /* not for NaN */
        return;
    if (!is_wrong)
        printf("%s: %.9g, expected %.9g\n", what, got, expected);
    is_wrong = true;
}

/* ---- what is right ---- */

static void sums(gpu *g, void (*kernel)(float *, const float *, int))
{
    up(g, g->x, g->host, COUNT);
    if (!has_failed)
        kernel<<<ROWS, ROW_THREADS, 0, g->stream>>>(g->y, g->x, COLS);
    LAUNCHED(k_row_sum);
    down(g, g->got, g->y, ROWS);
    wait(g);
    for (int i = 0; i < ROWS; i++) {
        double sum = 0;
        for (int j = 0; j < COLS; j++)
            sum += g->host[i * COLS + j];
        expect("row sum", g->got[i], sum, 1e-4);
    }
}

static void transposed(gpu *g, size_t bytes)
{
    dim3 block(TILE, TILE), grid(blocks(COLS, TILE), blocks(ROWS, TILE));
    up(g, g->x, g->host, COUNT);
    if (!has_failed)
        k_transpose<<<grid, block, bytes, g->stream>>>(g->y, g->x, ROWS, COLS,
                                                       TILE + 1);
    LAUNCHED(k_transpose);
    down(g, g->got, g->y, COUNT);
    wait(g);
    for (int i = 0; i < COUNT; i++)
        expect("transposed", g->got[i % COLS * ROWS + i / COLS], g->host[i], 0);
}

static void product(gpu *g, const float *a, int size)
{
    const float one = 1, zero = 0;
    TRY(cublasSgemm(g->blas, CUBLAS_OP_T, CUBLAS_OP_N, size, size, size, &one,
                    a, size, g->x, size, &zero, g->z, size));
}

static void solve(gpu *g)
{
    static int info;
    int room = 0;
    float *work = NULL;
    for (int i = 0; i < SIDE && !has_failed; i++)
        g->host[i * SIDE + i] += 10;
    up(g, g->x, g->host, SIDE * SIDE);
    fill(g, g->stream, g->y, 1, SIDE);
    TRY(cusolverDnSgetrf_bufferSize(g->solver, SIDE, SIDE, g->x, SIDE, &room));
    TRY(cudaMallocAsync((void **)&work, (size_t)room * sizeof(float),
                        g->stream));
    TRY(cusolverDnSgetrf(g->solver, SIDE, SIDE, g->x, SIDE, work, g->pivots,
                         g->info));
    TRY(cusolverDnSgetrs(g->solver, CUBLAS_OP_N, SIDE, 1, g->x, SIDE, g->pivots,
                         g->y, SIDE, g->info));
    if (work)
        check(cudaFreeAsync(work, g->stream), "cudaFreeAsync");
    down(g, g->got, g->y, SIDE);
    TRY(cudaMemcpyAsync(&info, g->info, sizeof info, cudaMemcpyDeviceToHost,
                        g->stream));
    wait(g);
    expect("info", info, 0, 0);
    for (int i = 0; i < SIDE; i++) {
        double sum = 0;
        for (int j = 0; j < SIDE; j++)
            sum += (double)g->host[j * SIDE + i] * g->got[j];
        expect("solved", sum, 1, 1e-4);
    }
}

static void two_streams(gpu *g, bool has_event)
{
    fill(g, g->other, g->x, 0.5f, COUNT);
    TRY(cudaEventRecord(g->event, g->other));
    if (has_event)
        TRY(cudaStreamWaitEvent(g->stream, g->event, 0));
    if (!has_failed)
        k_scale4<<<blocks(COUNT / 4, 128), 128, 0, g->stream>>>(
            (float4 *)g->y, (const float4 *)g->x, 4, COUNT / 4);
    LAUNCHED(k_scale4);
    down(g, g->got, g->y, COUNT / 4 * 4);
    wait(g);
    for (int i = 0; i < COUNT / 4 * 4; i++)
        expect("two streams", g->got[i], 2, 0);
}

static void counts(gpu *g, void (*kernel)(unsigned *, const uint8_t *, int))
{
    static uint8_t labels[1000]; /* outlives what was queued */
    unsigned expected[10] = {0}, *got = (unsigned *)g->got;
    for (int i = 0; i < 1000; i++)
        expected[labels[i] = (uint8_t)(rand() % 10)]++;
    TRY(cudaMemcpyAsync(g->x, labels, sizeof labels, cudaMemcpyHostToDevice,
                        g->stream));
    TRY(cudaMemsetAsync(g->y, 0, sizeof expected, g->stream));
    if (!has_failed)
        kernel<<<blocks(1000, 64), 64, 0, g->stream>>>(
            (unsigned *)g->y, (const uint8_t *)g->x, 1000);
    LAUNCHED(k_count);
    TRY(cudaMemcpyAsync(got, g->y, sizeof expected, cudaMemcpyDeviceToHost,
                        g->stream));
    wait(g);
    for (int i = 0; i < 10; i++)
        expect("count", got[i], expected[i], 0);
}

static void reversed(gpu *g, void (*kernel)(float *))
{
    up(g, g->x, g->host, 32);
    if (!has_failed)
        kernel<<<1, 32, 0, g->stream>>>(g->x);
    down(g, g->got, g->x, 32);
    wait(g);
    for (int i = 0; i < 32; i++)
        expect("reversed", g->got[i], g->host[31 - i], 0);
}

static void right(gpu *g)
{
    sums(g, k_row_sum<true>);
    transposed(g, TILE * (TILE + 1) * sizeof(float));
    up(g, g->x, g->host, SIDE * SIDE);
    product(g, g->x, SIDE);
    down(g, g->got, g->z, 1);
    wait(g);
    double square = 0;
    for (int i = 0; i < SIDE; i++)
        square += (double)g->host[i] * g->host[i];
    expect("product", g->got[0], square, 1e-4);
    solve(g);
    two_streams(g, true);
    counts(g, k_count<true>);
    reversed(g, k_reverse<true>);
}

/* ---- what is wrong ---- */

static void no_barrier(gpu *g)
{
    sums(g, k_row_sum<false>);
}
static void no_warp_sync(gpu *g)
{
    reversed(g, k_reverse<false>);
}
static void no_atomic(gpu *g)
{
    counts(g, k_count<false>);
}
static void no_event(gpu *g)
{
    two_streams(g, false);
}
static void shared_too_small(gpu *g)
{
    transposed(g, TILE * TILE * sizeof(float));
}

static void past_end(gpu *g)
{
    fill(g, g->stream, g->x, 1, COUNT + 1);
    wait(g);
}

static void far_past_end(gpu *g)
{
    fill(g, g->stream, g->x + COUNT + 100, 1, 1);
    wait(g);
}

static void shared_past_end(gpu *g)
{
    k_shared_end<<<1, 32, 0, g->stream>>>(g->x, 32);
    wait(g);
}

static void misaligned(gpu *g)
{
    k_scale4<<<1, 32, 0, g->stream>>>((float4 *)g->y,
                                      (const float4 *)(g->x + 1), 1, 32);
    wait(g);
}

static void divergent(gpu *g)
{
    k_divergent<<<1, 64, 0, g->stream>>>(g->x);
    wait(g);
}

static void lost_lane(gpu *g)
{
    k_lost_lane<<<1, 32, 0, g->stream>>>(g->x);
    wait(g);
}

static void host_pointer(gpu *g)
{
    fill(g, g->stream, g->host, 1, 5);
    wait(g);
}

static void no_wait(gpu *g)
{
    fill(g, g->stream, g->x, 2, COUNT);
    down(g, g->got, g->x, COUNT);
    expect("without waiting", g->got[5], 2, 0);
}

static void source_reused(gpu *g)
{
    up(g, g->x, g->pinned, COUNT);
    g->pinned[3] = 7;
    wait(g);
}

static void source_freed(gpu *g)
{
    float *source = (float *)malloc(COUNT * sizeof(float));
    memset(source, 0, COUNT * sizeof(float));
    up(g, g->x, source, COUNT);
    free(source);
    source = (float *)malloc(COUNT * sizeof(float));
    memset(source, 1, COUNT * sizeof(float));
    wait(g);
    free(source);
}

static void target_written(gpu *g)
{
    down(g, g->got, g->x, COUNT);
    g->got[COUNT - 1] = 1;
    wait(g);
}

static void pinned_freed(gpu *g)
{
    up(g, g->x, g->pinned, COUNT);
    check(cudaFreeHost(g->pinned), "cudaFreeHost");
    g->pinned = NULL;
    wait(g);
}

static void host_reads(gpu *g)
{
    wait(g);
    printf("%g\n", g->x[5]);
}

static void used_after_free(gpu *g)
{
    float *memory = NULL;
    TRY(cudaMalloc((void **)&memory, 400));
    TRY(cudaFree(memory));
    fill(g, g->stream, memory, 1, 100);
    wait(g);
}

static void freed_too_early(gpu *g)
{
    float *memory = NULL;
    TRY(cudaMalloc((void **)&memory, 400));
    fill(g, g->stream, memory, 1, 100);
    TRY(cudaFree(memory));
    wait(g);
}

static void freed_twice(gpu *g)
{
    TRY(cudaFree(g->x));
    check(cudaFree(g->x), "cudaFree");
    g->x = NULL;
}

static void wrong_kind(gpu *g)
{
    TRY(cudaMemcpyAsync(g->x, g->host, 16, cudaMemcpyDeviceToHost, g->stream));
}

static void copy_too_long(gpu *g)
{
    up(g, g->x, g->host, COUNT + 1);
}
static void empty_grid(gpu *g)
{
    fill(g, g->stream, g->x, 1, 0);
}

static void block_too_large(gpu *g)
{
    k_fill<float><<<1, 512, 0, g->stream>>>(g->x, 1, 512);
    LAUNCHED(k_fill);
}

static void blas_host(gpu *g)
{
    product(g, g->host, SIDE);
}
static void blas_too_small(gpu *g)
{
    product(g, g->x, 200);
}
static void blas_overlap(gpu *g)
{
    product(g, g->z, SIDE);
}

static void blas_no_workspace(gpu *g)
{
    TRY(cublasSetStream(g->blas, g->stream));
    product(g, g->x, SIDE);
}

static void blas_tf32(gpu *g)
{
    TRY(cublasSetMathMode(g->blas, CUBLAS_TF32_TENSOR_OP_MATH));
    product(g, g->x, SIDE);
}

static void solver_no_room(gpu *g)
{
    TRY(cusolverDnSgetrf(g->solver, SIDE, SIDE, g->x, SIDE, (float *)g->info,
                         g->pivots, g->info));
}

static void leak_memory(gpu *g)
{
    void *memory;
    (void)g;
    TRY(cudaMalloc(&memory, 3));
}

static void leak_stream(gpu *g)
{
    cudaStream_t stream;
    (void)g;
    TRY(cudaStreamCreate(&stream));
}

static void leak_handle(gpu *g)
{
    cublasHandle_t handle;
    (void)g;
    TRY(cublasCreate(&handle));
}

static void other_device(gpu *g)
{
    TRY(cudaSetDevice(1));
    if (!has_failed)
        k_fill<float><<<1, 32, 0, g->stream>>>(g->x, 1, 32);
    cudaGetLastError();
    check(cudaSetDevice(0), "cudaSetDevice");
}

/* Its memory is reached from the second one's stream. */
static void other_memory(gpu *g)
{
    cudaStream_t stream = NULL;
    TRY(cudaSetDevice(1));
    TRY(cudaStreamCreate(&stream));
    fill(g, stream, g->x, 1, 32);
    TRY(cudaStreamSynchronize(stream));
    check(cudaStreamDestroy(stream), "cudaStreamDestroy");
    check(cudaSetDevice(0), "cudaSetDevice");
}

/* Prints what is there, and takes all of it. */
static void devices(gpu *g)
{
    int count = 0;
    size_t unused, total;
    void *memory = NULL;
    (void)g;
    TRY(cudaGetDeviceCount(&count));
    for (int i = 0; i < count && !has_failed; i++) {
        cudaDeviceProp it;
        TRY(cudaSetDevice(i));
        TRY(cudaGetDeviceProperties(&it, i));
        TRY(cudaMemGetInfo(&unused, &total));
        printf("%d %s %d.%d %02x%02x %zu of %zu\n", i, it.name, it.major,
               it.minor, it.uuid.bytes[0] & 0xff, it.uuid.bytes[15] & 0xff,
               unused, total);
        TRY(cudaMalloc(&memory, unused + 1));
        check(cudaFree(memory), "cudaFree");
    }
}

/* Runs until standard input ends, so that a test can change the rig. */
static void until_told(gpu *g)
{
    up(g, g->x, g->host, COUNT);
    wait(g);
    printf("ready\n");
    fflush(stdout);
    while (getchar() != EOF) {
    }
    fill(g, g->stream, g->x, 1, COUNT);
    wait(g);
}

static const struct {
    const char *name;
    void (*play)(gpu *g);
} scenes[] = {
#define SCENE(name)                                                            \
    {                                                                          \
#name, name                                                            \
    }
    SCENE(right),          SCENE(no_barrier),      SCENE(no_warp_sync),
    SCENE(no_atomic),      SCENE(no_event),        SCENE(shared_too_small),
    SCENE(past_end),       SCENE(far_past_end),    SCENE(shared_past_end),
    SCENE(misaligned),     SCENE(divergent),       SCENE(lost_lane),
    SCENE(host_pointer),   SCENE(no_wait),         SCENE(source_reused),
    SCENE(source_freed),   SCENE(target_written),  SCENE(pinned_freed),
    SCENE(host_reads),     SCENE(used_after_free), SCENE(freed_too_early),
    SCENE(freed_twice),    SCENE(wrong_kind),      SCENE(copy_too_long),
    SCENE(empty_grid),     SCENE(block_too_large), SCENE(blas_host),
    SCENE(blas_too_small), SCENE(blas_overlap),    SCENE(blas_no_workspace),
    SCENE(blas_tf32),      SCENE(solver_no_room),  SCENE(leak_memory),
    SCENE(leak_stream),    SCENE(leak_handle),     SCENE(other_device),
    SCENE(other_memory),   SCENE(devices),         SCENE(until_told),
};

int main(int count, char **words)
{
    static gpu g;
    for (int i = 0; i < COUNT; i++)
        g.host[i] = (float)(rand() % 2001 - 1000) / 1000;
    open_gpu(&g);
    for (size_t i = 0; i < sizeof scenes / sizeof scenes[0] && !has_failed; i++)
        if (count > 1 && strcmp(scenes[i].name, words[1]) == 0)
            scenes[i].play(&g);
    close_gpu(&g);
    return has_failed ? FAILED_CALL : is_wrong ? WRONG_RESULT : 0;
}
