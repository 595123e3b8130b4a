/* backend_cpu_f32.c: the CPU backend in single precision. */
#define BACKEND backend_cpu_f32
#define DTYPE "F32"
#define REAL float
#define INTEGER int32_t
#define REAL_MAX FLT_MAX
#define EPSILON FLT_EPSILON
#define LEAST_STEP 1e-30
#define SQRT sqrtf
#define FABS fabsf
#define gemm cblas_sgemm
#define syrk cblas_ssyrk
#define symm cblas_ssymm
#define getrf LAPACKE_sgetrf_work
#define laswp LAPACKE_slaswp_work
#define potrf LAPACKE_spotrf_work
#define potrs LAPACKE_spotrs_work
#define gesdd LAPACKE_sgesdd_work
#include "worker/engine/backend_cpu_template.inc"
