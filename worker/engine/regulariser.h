/* regulariser.h: the pull towards orthogonal weights.
 *
 *     R(W) = strength * sum over a != b of (W W^T)[a,b]^2
 *     dR/dW = 4 strength offdiag(W W^T) W
 */
#ifndef ENGINE_REGULARISER_H
#define ENGINE_REGULARISER_H

#include "worker/engine/backend.h"

/* gradient += dR/dW.  All are n x n; `gram` is working memory. */
void regulariser_add(struct backend *backend, double strength,
                     struct matrix weight, struct matrix gram,
                     struct matrix gradient);

#endif
