#include "worker/engine/backend.h"

/* Matrices start at addresses that suit vectors and cache lines. */
enum { ALIGNMENT = 64 };

void *layout_bytes(struct layout *layout, size_t bytes)
{
    void *at = layout->base ? layout->base + layout->bytes : NULL;
    layout->bytes += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return at;
}

struct matrix layout_matrix(struct layout *layout, int rows, int cols)
{
    size_t bytes = (size_t)rows * (size_t)cols * layout->element_bytes;
    return (struct matrix){layout_bytes(layout, bytes), rows, cols, cols};
}
