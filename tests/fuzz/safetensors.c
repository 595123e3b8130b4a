/* safetensors: what is read lies within the file. */
#include "worker/safetensors.h"

#include "fuzz.h"

static void check_shape(const struct safetensor *one)
{
    uint64_t bytes = one->dtype[0] == 'U' ? 1 : one->dtype[1] == '3' ? 4 : 8;
    PROMISE(one->dimensions <= SAFETENSORS_DIMENSIONS_MAX);
    for (int i = 0; i < one->dimensions; i++)
        bytes *= (uint64_t)one->shape[i];
    PROMISE(bytes == one->bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct safetensors tensors;
    struct error error = {0};
    char hash[HASH_HEX_BYTES];
    if (safetensors_init(&tensors, bytes, size, &error)) {
        unsigned sum = 0;
        for (int i = 0; i < tensors.count; i++) {
            const struct safetensor *one = &tensors.tensors[i];
            const uint8_t *values = one->values;
            PROMISE(one->bytes <= size);
            check_shape(one);
            for (size_t b = 0; b < one->bytes; b++)
                sum += values[b];
            PROMISE(safetensors_find(&tensors, one->name));
        }
        PROMISE(sum <= 255 * (uint64_t)size * (uint64_t)(tensors.count + 1));
        safetensors_text(&tensors, "hash");
        safetensors_release(&tensors);
    } else {
        PROMISE(error.code != ERROR_NONE && error.text[0]);
        PROMISE(!tensors.tensors && !tensors.header);
    }
    safetensors_check(bytes, size, hash, &error);
    return 0;
}
