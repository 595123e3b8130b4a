/* fuzz.h: what the targets share.
 *
 * A target is one function, which libFuzzer (`make fuzz`, clang) calls with
 * inputs that it makes up, and replay.c (`make check`, any compiler) with the
 * kept ones.  It ends the program where a promise is broken; crashes, leaks and
 * undefined behaviour are the sanitizers' affair.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Kept in release builds too, unlike assert. */
#define PROMISE(holds)                                                         \
    do {                                                                       \
        if (!(holds)) {                                                        \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__,         \
                    #holds);                                                   \
            abort();                                                           \
        }                                                                      \
    } while (0)

#endif
