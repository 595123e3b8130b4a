/* analyzer.h: what clang-tidy cannot know of a function in another file; put
 * in front of every source by `make lint`. */
#ifndef TESTS_LINT_ANALYZER_H
#define TESTS_LINT_ANALYZER_H

#include "schema/error.h"

static inline bool always_false(bool result)
{
    (void)result;
    return false;
}

/* `return error_set(...)` returns false, so nothing after it is reached. */
#define error_set(...) always_false(error_set(__VA_ARGS__))
#define error_prefix(...) always_false(error_prefix(__VA_ARGS__))

#endif
