#include "daemon/notice.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "schema/memory.h"

struct reply {
    store_reply *function;
    void *user;
    struct cJSON *result, *data;
    struct error error; /* ERROR_NONE with a result */
};

struct notice {
    struct notice *next;
    void (*deliver)(struct notice *notice, const struct store_hooks *hooks);
    union {
        struct {
            int64_t attempt, step;
        };
        struct {
            int64_t event;
            const char *kind;
        };
        struct {
            int64_t waiting; /* job */
            double seconds;
        };
        struct job_change change; /* its texts follow in `text` */
        struct dispatch *dispatch;
        struct hook_order *order;
        struct reply *reply;
        struct {
            int64_t refused; /* attempt */
            struct error *error;
        };
    };
    void (*release)(struct notice *notice); /* NULL: nothing to free */
    char text[];
};

void notices_init(struct notices *notices)
{
    notices->first = NULL;
    notices->end = &notices->first;
}

static void notice_free(struct notice *notice)
{
    if (notice->release)
        notice->release(notice);
    free(notice);
}

static void free_chain(struct notice *notice)
{
    while (notice) {
        struct notice *next = notice->next;
        notice_free(notice);
        notice = next;
    }
}

void notices_release(struct notices *notices)
{
    free_chain(notices->first);
    notices_init(notices);
}

void notices_move(struct notices *to, struct notices *from)
{
    if (!from->first)
        return;
    *to->end = from->first;
    to->end = from->end;
    notices_init(from);
}

void notices_undo(struct notices *notices, struct notice **mark)
{
    free_chain(*mark);
    *mark = NULL;
    notices->end = mark;
}

void notices_deliver(struct notices *notices, const struct store_hooks *hooks)
{
    struct notice *notice = notices->first;
    notices_init(notices);
    while (notice) {
        struct notice *next = notice->next;
        notice->deliver(notice, hooks);
        notice_free(notice);
        notice = next;
    }
}

static struct notice *add(struct notices *notices, size_t text_bytes,
                          void (*deliver)(struct notice *,
                                          const struct store_hooks *))
{
    struct notice *notice = xcalloc(1, sizeof *notice + text_bytes);
    notice->deliver = deliver;
    *notices->end = notice;
    notices->end = &notice->next;
    return notice;
}

/* Replies. */

static void deliver_reply(struct notice *notice,
                          const struct store_hooks *hooks)
{
    (void)hooks;
    struct reply *r = notice->reply;
    r->function(r->user, r->result, r->result ? NULL : &r->error, r->data);
    r->result = r->data = NULL; /* the callee's now */
}

static void release_reply(struct notice *notice)
{
    cJSON_Delete(notice->reply->result);
    cJSON_Delete(notice->reply->data);
    free(notice->reply);
}

void notice_reply(struct notices *notices, store_reply *reply, void *user,
                  struct cJSON *result, const struct error *error,
                  struct cJSON *data)
{
    struct notice *notice = add(notices, 0, deliver_reply);
    struct reply *r = notice->reply = xcalloc(1, sizeof *r);
    notice->release = release_reply;
    r->function = reply;
    r->user = user;
    r->result = result;
    r->data = data;
    if (error)
        r->error = *error;
}

/* Dispatches. */

static void deliver_dispatch(struct notice *notice,
                             const struct store_hooks *hooks)
{
    hooks->on_dispatch(hooks->user, notice->dispatch);
}

static void release_dispatch(struct notice *notice)
{
    free(notice->dispatch);
}

void notice_dispatch(struct notices *notices, const struct dispatch *dispatch)
{
    struct notice *notice = add(notices, 0, deliver_dispatch);
    notice->dispatch = xmalloc(sizeof *dispatch);
    *notice->dispatch = *dispatch;
    notice->release = release_dispatch;
}

/* Waits. */

static void deliver_wait(struct notice *notice, const struct store_hooks *hooks)
{
    hooks->on_wait(hooks->user, notice->waiting, notice->seconds);
}

static void deliver_wanted(struct notice *notice,
                           const struct store_hooks *hooks)
{
    hooks->on_wanted(hooks->user, (int)notice->waiting);
}

void notice_wanted(struct notices *notices, int device)
{
    struct notice *notice = add(notices, 0, deliver_wanted);
    notice->waiting = device;
}

void notice_wait(struct notices *notices, int64_t job, double seconds)
{
    struct notice *notice = add(notices, 0, deliver_wait);
    notice->waiting = job;
    notice->seconds = seconds;
}

/* Changes. */

static void deliver_change(struct notice *notice,
                           const struct store_hooks *hooks)
{
    hooks->on_change(hooks->user, &notice->change);
}

void notice_change(struct notices *notices, const struct job_change *change)
{
    size_t label = strlen(change->label) + 1;
    size_t reason = change->reason ? strlen(change->reason) + 1 : 0;
    struct notice *notice = add(notices, label + reason, deliver_change);
    notice->change = *change;
    notice->change.label = memcpy(notice->text, change->label, label);
    if (reason)
        notice->change.reason =
            memcpy(notice->text + label, change->reason, reason);
}

/* Attempts. */

static void deliver_committed(struct notice *notice,
                              const struct store_hooks *hooks)
{
    hooks->on_committed(hooks->user, notice->attempt, notice->step);
}

void notice_committed(struct notices *notices, struct notice **kept,
                      int64_t attempt, int64_t step)
{
    if (!*kept) {
        *kept = add(notices, 0, deliver_committed);
        (*kept)->attempt = attempt;
        (*kept)->step = step;
    } else if (step > (*kept)->step) {
        (*kept)->step = step;
    }
}

static void deliver_closed(struct notice *notice,
                           const struct store_hooks *hooks)
{
    hooks->on_closed(hooks->user, notice->attempt);
}

void notice_closed(struct notices *notices, int64_t attempt)
{
    add(notices, 0, deliver_closed)->attempt = attempt;
}

static void deliver_stop(struct notice *notice, const struct store_hooks *hooks)
{
    hooks->on_stop(hooks->user, notice->attempt);
}

void notice_stop(struct notices *notices, int64_t attempt)
{
    add(notices, 0, deliver_stop)->attempt = attempt;
}

static void deliver_limited(struct notice *notice,
                            const struct store_hooks *hooks)
{
    hooks->on_limited(hooks->user, notice->attempt);
}

void notice_limited(struct notices *notices, int64_t attempt)
{
    add(notices, 0, deliver_limited)->attempt = attempt;
}

static void deliver_hook(struct notice *notice, const struct store_hooks *hooks)
{
    hooks->on_hook(hooks->user, notice->order);
}

static void release_order(struct notice *notice)
{
    free(notice->order);
}

void notice_hook(struct notices *notices, const struct hook_order *order)
{
    struct notice *notice = add(notices, 0, deliver_hook);
    notice->order = xmalloc(sizeof *order);
    *notice->order = *order;
    notice->release = release_order;
}

static void deliver_event(struct notice *notice,
                          const struct store_hooks *hooks)
{
    hooks->on_event(hooks->user, notice->event, notice->kind);
}

void notice_event(struct notices *notices, int64_t event, const char *kind)
{
    struct notice *notice = add(notices, 0, deliver_event);
    notice->event = event;
    notice->kind = kind;
}

static void deliver_refused(struct notice *notice,
                            const struct store_hooks *hooks)
{
    hooks->on_refused(hooks->user, notice->refused, notice->error);
}

static void release_error(struct notice *notice)
{
    free(notice->error);
}

static struct notice *
add_error(struct notices *notices, const struct error *error,
          void (*deliver)(struct notice *, const struct store_hooks *))
{
    struct notice *notice = add(notices, 0, deliver);
    notice->error = xmalloc(sizeof *error);
    *notice->error = *error;
    notice->release = release_error;
    return notice;
}

void notice_refused(struct notices *notices, int64_t attempt,
                    const struct error *error)
{
    add_error(notices, error, deliver_refused)->refused = attempt;
}

static void deliver_stuck(struct notice *notice,
                          const struct store_hooks *hooks)
{
    const struct error *error = notice->error;
    hooks->on_stuck(hooks->user, error->code == ERROR_NONE ? NULL : error);
}

void notice_stuck(struct notices *notices, const struct error *error)
{
    static const struct error none = {.code = ERROR_NONE};
    add_error(notices, error ? error : &none, deliver_stuck);
}

static void deliver_left(struct notice *notice, const struct store_hooks *hooks)
{
    hooks->on_left(hooks->user, notice->error);
}

void notice_left(struct notices *notices, const struct error *error)
{
    add_error(notices, error, deliver_left);
}

static void deliver_fatal(struct notice *notice,
                          const struct store_hooks *hooks)
{
    hooks->on_fatal(hooks->user, notice->error);
}

void notice_fatal(struct notices *notices, const struct error *error)
{
    add_error(notices, error, deliver_fatal);
}
