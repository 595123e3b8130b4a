#include "client/exits.h"

#include <stdio.h>

#include "client/text.h"

static const struct {
    enum error_code code;
    enum exit_status status;
} table[] = {
    {ERROR_PARSE, EXIT_USAGE},
    {ERROR_REQUEST, EXIT_USAGE},
    {ERROR_PARAMS, EXIT_USAGE},
    {ERROR_SPEC, EXIT_USAGE},
    {ERROR_CONFLICT, EXIT_USAGE},
    {ERROR_TOO_LARGE, EXIT_USAGE},
    {ERROR_NOT_FOUND, EXIT_MISSING},
    /* A daemon that cannot be talked to is as good as none. */
    {ERROR_UNREACHABLE, EXIT_UNREACHABLE},
    {ERROR_METHOD, EXIT_UNREACHABLE},
    {ERROR_PROTOCOL, EXIT_UNREACHABLE},
    {ERROR_BUSY, EXIT_UNREACHABLE},
    {ERROR_TIMEOUT, EXIT_TIMEOUT},
};

int exit_of(enum error_code code)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].code == code)
            return table[i].status;
    return EXIT_FAILED;
}

int exit_report(const struct error *error)
{
    char text[sizeof error->text];
    text_clean(text, sizeof text, error->text);
    fprintf(stderr, "gaitctl: %s\n", text);
    return exit_of(error->code);
}
