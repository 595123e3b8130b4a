#include "worker/engine/regulariser.h"

void regulariser_add(struct backend *backend, double strength,
                     struct matrix weight, struct matrix gram,
                     struct matrix gradient)
{
    backend->gram(backend, weight, true, gram);
    backend->symmetric_product(backend, 4.0 * strength, gram, weight, 1.0,
                               gradient);
}
