/* kernels.cpp: the shipped device code, compiled for the host.  KERNELS names
 * its file, KERNEL_LIST what `kernels_of` found in its PTX. */
#include "tests/cuda/gpusim_device.h"

#include KERNELS

#include KERNEL_LIST

extern "C" const struct gpusim_kernel *gpusim_find(const char *mangled)
{
    for (const struct gpusim_kernel &kernel : kernels) {
        if (strcmp(kernel.mangled, mangled) == 0) {
            return &kernel;
        }
    }
    return nullptr;
}

/* The dynamic shared memory, if a kernel names any. */
extern "C" char *gpusim_dynamic()
{
#ifdef GPUSIM_HAS_DYNAMIC
    return (char *)GPUSIM_HAS_DYNAMIC;
#else
    return nullptr;
#endif
}
