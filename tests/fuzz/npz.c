/* NumPy's archives: an input is one, or, after a first byte of 0, an array that
 * is put into one, because its checksum would keep made-up arrays out. */
#include "worker/npz.h"

#include <string.h>
#include <zlib.h>

#include "fuzz_file.h"

static const char member[] = "arr_0.npy";
enum { NAME = sizeof member - 1, LOCAL = 30, CENTRAL = 46, END = 22 };

static void put(uint8_t *at, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

/* Method (stored), checksum and sizes stand in the same order in both. */
static void put_member(uint8_t *at, const uint8_t *array, size_t size)
{
    uint32_t checksum = (uint32_t)crc32_z(0, array, size);
    put(at + 8, checksum, 4);
    put(at + 12, (uint32_t)size, 4);
    put(at + 16, (uint32_t)size, 4);
    put(at + 20, NAME, 2);
}

static void read_within(const uint8_t *array, size_t size)
{
    size_t central = LOCAL + NAME + size, end = central + CENTRAL + NAME;
    uint8_t *zip = calloc(end + END, 1);
    PROMISE(zip);
    memcpy(zip, "PK\3\4", 4);
    put_member(zip + 6, array, size);
    memcpy(zip + LOCAL, member, NAME);
    memcpy(zip + LOCAL + NAME, array, size);
    memcpy(zip + central, "PK\1\2", 4);
    put_member(zip + central + 8, array, size);
    memcpy(zip + central + CENTRAL, member, NAME);
    memcpy(zip + end, "PK\5\6", 4);
    put(zip + end + 8, 1, 2);
    put(zip + end + 10, 1, 2);
    put(zip + end + 12, CENTRAL + NAME, 4);
    put(zip + end + 16, (uint32_t)central, 4);
    fuzz_read(zip, end + END, npz_read);
    free(zip);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (size && !bytes[0])
        read_within(bytes + 1, size - 1);
    else
        fuzz_read(bytes, size, npz_read);
    return 0;
}
