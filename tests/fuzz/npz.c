/* NumPy's archives. */
#include "worker/npz.h"

#include "fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    fuzz_read(bytes, size, npz_read);
    return 0;
}
