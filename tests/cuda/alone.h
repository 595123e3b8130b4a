/* alone.h: OpenBLAS on one thread while it stands in for a GPU, as its threads
 * would wait for each other on a machine that is busy. */
#ifndef TESTS_CUDA_ALONE_H
#define TESTS_CUDA_ALONE_H

/* As OpenBLAS's cblas.h declares them; it and LAPACK's names do not mix. */
int openblas_get_num_threads(void);
void openblas_set_num_threads(int count);

static inline void run_alone(void (*run)(void *job), void *job)
{
    int count = openblas_get_num_threads();
    if (count != 1) {
        openblas_set_num_threads(1);
    }
    run(job);
    if (count != 1) {
        openblas_set_num_threads(count);
    }
}

#endif
