/* IDX files, packed or not. */
#include "worker/idx.h"

#include "fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    fuzz_read(bytes, size, idx_read);
    return 0;
}
