/* user.h: the people whose clients are connected, and what each of them takes.
 *
 * A user's connections, requests and bytes are counted together, so that many
 * connections take no more from others than one.
 */
#ifndef DAEMON_USER_H
#define DAEMON_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
    USER_REQUESTS_MAX = 1024,   /* under way, of all connections */
    USER_BYTES_MAX = 512 << 20, /* held for them: unread in both directions */
};

struct user {
    struct user *next;
    uid_t uid;
    char name[64];
    bool is_named; /* looked up; before that nothing is taken from them */
    int connection_count, under_way;
    size_t bytes;
};

/* The user of that id, made when there is none; the list's. */
struct user *user_find(struct user **list, uid_t uid);
void users_free(struct user **list);

/* Looks a name up, which may ask a server far away, so not on the loop's
 * thread; the number where there is none. */
void user_find_name(uid_t uid, char *name, size_t bytes);

#endif
