#include "worker/hash.h"

#include <string.h>

static const char digits[] = "0123456789abcdef";

void hash_print(const uint8_t hash[HASH_BYTES], char hex[HASH_HEX_BYTES])
{
    for (int i = 0; i < HASH_BYTES; i++) {
        hex[2 * i] = digits[hash[i] >> 4];
        hex[2 * i + 1] = digits[hash[i] & 15];
    }
    hex[2 * HASH_BYTES] = '\0';
}

bool hash_read(const char *hex, uint8_t hash[HASH_BYTES])
{
    if (strlen(hex) != 2 * HASH_BYTES || strspn(hex, digits) != 2 * HASH_BYTES)
        return false;
    for (int i = 0; i < HASH_BYTES; i++) {
        long high = strchr(digits, hex[2 * i]) - digits;
        long low = strchr(digits, hex[2 * i + 1]) - digits;
        hash[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
