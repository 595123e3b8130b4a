/* backend_cpu_f64.c: the CPU backend in double precision. */
#define BACKEND backend_cpu_f64
#define DTYPE "F64"
#define REAL double
#define INTEGER int64_t
#define REAL_MAX DBL_MAX
#define EPSILON DBL_EPSILON
#define LEAST_STEP 1e-290
#define SQRT sqrt
#define FABS fabs
#define gemm cblas_dgemm
#define syrk cblas_dsyrk
#define symm cblas_dsymm
#define getrf LAPACKE_dgetrf_work
#define laswp LAPACKE_dlaswp_work
#define potrf LAPACKE_dpotrf_work
#define potrs LAPACKE_dpotrs_work
#define gesdd LAPACKE_dgesdd_work
#include "worker/engine/backend_cpu_template.inc"
