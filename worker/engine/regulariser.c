#include "worker/engine/regulariser.h"

#include <string.h>

enum diagonal regulariser_diagonal(const char *form)
{
    return strcmp(form, "full") ? DIAGONAL_ZERO : DIAGONAL_LESS_ONE;
}

void regulariser_add(struct backend *backend, double strength,
                     enum diagonal diagonal, struct matrix weight,
                     struct matrix gram, struct matrix gradient)
{
    backend->gram(backend, weight, diagonal, gram);
    backend->symmetric_product(backend, 4.0 * strength, gram, weight, 1.0,
                               gradient);
}
