/* regulariser.h: the pull towards orthogonal weights.
 *
 *     off the diagonal   R(W) = strength * sum over a != b of (W W^T)[a,b]^2
 *                        dR/dW = 4 strength offdiag(W W^T) W
 *     full               R(W) = strength * ||W W^T - I||^2
 *                        dR/dW = 4 strength (W W^T - I) W
 */
#ifndef ENGINE_REGULARISER_H
#define ENGINE_REGULARISER_H

#include "worker/engine/backend.h"

/* As the setting orthogonal_form spells it: what is left of W W^T. */
enum diagonal regulariser_diagonal(const char *form);

/* gradient += dR/dW.  All are n x n; `gram` is working memory. */
void regulariser_add(struct backend *backend, double strength,
                     enum diagonal diagonal, struct matrix weight,
                     struct matrix gram, struct matrix gradient);

#endif
