#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/folder.h"

static void network_file_systems_have_names(void **state)
{
    (void)state;
    assert_string_equal(folder_network_name(0x6969), "nfs");
    assert_string_equal(folder_network_name(0xFF534D42), "cifs");
    /* As it comes where the field is a signed 32-bit number. */
    assert_string_equal(folder_network_name((int)0xFF534D42), "cifs");
    assert_string_equal(folder_network_name(0xFE534D42), "smb2");
    assert_string_equal(folder_network_name(0x0BD00BD0), "lustre");
    assert_string_equal(folder_network_name(0x47504653), "gpfs");
    assert_string_equal(folder_network_name(0x00C36400), "ceph");
    assert_string_equal(folder_network_name(0x65735546), "fuse");
}

static void local_file_systems_have_none(void **state)
{
    (void)state;
    const long local[] = {0xEF53 /* ext4 */,        0x58465342 /* xfs */,
                          0x9123683E /* btrfs */,   0x01021994 /* tmpfs */,
                          0x794C7630 /* overlay */, 0x2FC12FC1 /* zfs */};
    for (size_t i = 0; i < sizeof local / sizeof *local; i++)
        assert_null(folder_network_name(local[i]));
}

static void folders_are_made_private(void **state)
{
    (void)state;
    char root[] = "/tmp/gaitd_folder_XXXXXX", path[64], file[64];
    struct error error;
    struct stat status;
    assert_non_null(mkdtemp(root));
    snprintf(path, sizeof path, "%s/a/b", root);
    assert_true(folder_make(path, &error));
    assert_true(folder_make(path, &error));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_true(folder_check_local(path, &error));

    snprintf(file, sizeof file, "%s/a/file", root);
    fclose(fopen(file, "w"));
    assert_false(folder_make(file, &error));
    char expected[128];
    snprintf(expected, sizeof expected, "\"%s\" is not a folder", file);
    assert_string_equal(error.text, expected);

    unlink(file);
    rmdir(path);
    snprintf(path, sizeof path, "%s/a", root);
    rmdir(path);
    assert_int_equal(rmdir(root), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(network_file_systems_have_names),
        cmocka_unit_test(local_file_systems_have_none),
        cmocka_unit_test(folders_are_made_private),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
