#include "daemon/folder.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "schema/memory.h"
#include "schema/paths.h"

/* From the kernel's magic.h and the file systems' own sources. */
static const struct {
    uint32_t type;
    const char *name;
} networks[] = {
    {0x6969, "nfs"},        {0x517B, "smb"},          {0xFF534D42, "cifs"},
    {0xFE534D42, "smb2"},   {0x0BD00BD0, "lustre"},   {0x47504653, "gpfs"},
    {0x00C36400, "ceph"},   {0x65735546, "fuse"},     {0x5346414F, "afs"},
    {0x6B414653, "afs"},    {0x73757245, "coda"},     {0x01021997, "9p"},
    {0x19830326, "beegfs"}, {0xAAD7AAEA, "panfs"},    {0x7461636F, "ocfs2"},
    {0x01161970, "gfs2"},   {0x20030528, "orangefs"}, {0x564C, "ncp"},
};

const char *folder_network_name(long type)
{
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
        if (networks[i].type == (uint32_t)type)
            return networks[i].name;
    return NULL;
}

static bool make_one(const char *path, struct error *error)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return true;
    return error_set(error, ERROR_IO, "cannot make folder \"%s\": %s", path,
                     strerror(errno));
}

bool folder_make(const char *path, struct error *error)
{
    char part[PATH_BYTES];
    if ((size_t)snprintf(part, sizeof part, "%s", path) >= sizeof part)
        return error_set(error, ERROR_IO, "path \"%.100s...\" is too long",
                         path);
    for (char *at = part + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (!make_one(part, error))
            return false;
        *at = '/';
    }
    struct stat status;
    if (!make_one(part, error))
        return false;
    if (stat(part, &status) == 0 && S_ISDIR(status.st_mode))
        return true;
    return error_set(error, ERROR_IO, "\"%s\" is not a folder", path);
}

bool folder_check_local(const char *path, struct error *error)
{
    struct statfs status;
    if (statfs(path, &status) != 0)
        return error_set(error, ERROR_IO, "cannot examine folder \"%s\": %s",
                         path, strerror(errno));
    const char *name = folder_network_name((long)status.f_type);
    if (!name)
        return true;
    return error_set(error, ERROR_IO,
                     "state folder \"%s\" is on a network file system (%s), "
                     "where SQLite is not safe; set \"state_dir\" "
                     "(--state-dir) to a local folder",
                     path, name);
}
