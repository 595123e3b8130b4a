#include "schema_fixture.h"

#include <sys/wait.h>
#include <unistd.h>

#include "schema/memory.h"

static void copies_and_prints(void **state)
{
    (void)state;
    char *copy = xstrdup("text");
    char *printed = xprintf("%s and %d", copy, 7);
    assert_string_equal(printed, "text and 7");
    free(copy);
    free(printed);
    char *zeros = xcalloc(3, 5);
    for (int i = 0; i < 15; i++)
        assert_int_equal(zeros[i], 0);
    zeros = xrealloc(zeros, 0);
    free(zeros);
    free(xmalloc(0));
}

static void dies_when_there_is_none(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        fclose(stderr);
        volatile size_t bytes = PTRDIFF_MAX; /* more than any allocator has */
        free(xmalloc(bytes - 4096));
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_and_prints),
        cmocka_unit_test(dies_when_there_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
