/* schema_fixture.h: JSON in tests, with ' for ", and faults as one text. */
#ifndef TESTS_SCHEMA_FIXTURE_H
#define TESTS_SCHEMA_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "schema/faults.h"
#include "schema/message.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* An object, from text with ' for ".  The caller's. */
static inline cJSON *json(const char *text)
{
    char *copy = strdup(text);
    for (char *c = copy; *c; c++)
        if (*c == '\'')
            *c = '"';
    struct error error = {0};
    cJSON *object = message_parse(copy, strlen(copy), &error);
    if (!object)
        fail_msg("%s: %s", copy, error.text);
    free(copy);
    return object;
}

/* "where: sentence" lines, as gaitctl prints them. */
static inline void assert_faults(const struct faults *faults, const char *lines)
{
    char text[8192] = "";
    size_t used = 0;
    for (int i = 0; i < faults->count && i < FAULTS_MAX; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s: %s",
                                 i ? "\n" : "", faults->fault[i].where,
                                 faults->fault[i].text);
    assert_string_equal(text, lines);
}

#endif
