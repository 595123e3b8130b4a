#include "daemon/user.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/memory.h"

struct user *user_find(struct user **list, uid_t uid)
{
    struct user *user = *list;
    while (user && user->uid != uid)
        user = user->next;
    if (user)
        return user;
    user = xcalloc(1, sizeof *user);
    user->uid = uid;
    user->next = *list;
    return *list = user;
}

void users_free(struct user **list)
{
    while (*list) {
        struct user *user = *list;
        *list = user->next;
        free(user);
    }
}

void user_find_name(uid_t uid, char *name, size_t bytes)
{
    struct passwd entry, *found = NULL;
    char text[16384];
    if (getpwuid_r(uid, &entry, text, sizeof text, &found) == 0 && found)
        snprintf(name, bytes, "%s", found->pw_name);
    else
        snprintf(name, bytes, "%ld", (long)uid);
}
