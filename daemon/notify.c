#include "daemon/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "schema/memory.h"

/* False when the name does not fit an address. */
static bool address_of(const char *name, struct sockaddr_un *address,
                       socklen_t *length)
{
    size_t used = strlen(name);
    memset(address, 0, sizeof *address);
    if (used == 0 || used >= sizeof address->sun_path)
        return false;
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, name, used);
    if (name[0] == '@') /* systemd's way to spell an abstract name */
        address->sun_path[0] = '\0';
    *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + used);
    return true;
}

bool notify_systemd(const char *state, struct error *error)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address;
    socklen_t length;
    if (!name)
        return true;
    if (!address_of(name, &address, &length))
        return error_set(error, ERROR_IO, "NOTIFY_SOCKET \"%s\" is too long",
                         name);
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return error_set(error, ERROR_IO, "cannot make a socket: %s",
                         strerror(errno));
    bool is_sent = sendto(descriptor, state, strlen(state), MSG_NOSIGNAL,
                          (struct sockaddr *)&address, length) >= 0;
    if (!is_sent)
        error_set(error, ERROR_IO, "cannot notify \"%s\": %s", name,
                  strerror(errno));
    close(descriptor);
    return is_sent;
}

bool notify_descriptor(int descriptor, struct error *error)
{
    if (descriptor < 0)
        return true;
    bool is_sent = write(descriptor, "\n", 1) == 1;
    if (!is_sent)
        error_set(error, ERROR_IO, "cannot write to descriptor %d: %s",
                  descriptor, strerror(errno));
    close(descriptor);
    return is_sent;
}
