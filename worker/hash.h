/* hash.h: 128-bit hashes as text: 32 lower-case hex digits, canonical order.
 */
#ifndef WORKER_HASH_H
#define WORKER_HASH_H

#include <stdbool.h>
#include <stdint.h>

enum { HASH_BYTES = 16, HASH_HEX_BYTES = 33 };

void hash_print(const uint8_t hash[HASH_BYTES], char hex[HASH_HEX_BYTES]);

/* False when `hex` is not 32 such digits. */
bool hash_read(const char *hex, uint8_t hash[HASH_BYTES]);

#endif
