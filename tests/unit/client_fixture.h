/* What the client's tests share: cmocka, and output read back as text. */
#ifndef TESTS_CLIENT_FIXTURE_H
#define TESTS_CLIENT_FIXTURE_H

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/json.h"

/* A style of no terminal, without colours. */
#define PLAIN_STYLE                                                            \
    {                                                                          \
        .width = STYLE_WIDE, .height = 24                                      \
    }

static inline char *printed(const struct cJSON *value)
{
    size_t length;
    return json_print(value, &length);
}

/* Frees both. */
static inline void assert_json(struct cJSON *value, const char *expected)
{
    char *text = printed(value);
    assert_string_equal(text, expected);
    free(text);
    cJSON_Delete(value);
}

#endif
