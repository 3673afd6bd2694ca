/* SPDX-License-Identifier: MIT */
/*
 * process_wishes.c - what a worker's plugin asks of the supervisor
 *
 * A plugin that may look into the daemon sends one end of a pair of sockets;
 * the control socket's code serves that end like any client that may only look.
 * So it makes no difference to the plugin which user its worker runs as, what
 * the sandbox lets it open, and where the control socket is.
 *
 * Who wants something kept sends one end of a channel, too, with the message
 * in it already: it is answered at once, and closed. Nothing is remembered of
 * who has asked, so any thread or child of the worker may ask, and die.
 *
 * The wishes are taken a few at a time, and behind everything else: a plugin
 * that floods waits for itself.
 *
 * Runs in:  the supervisor.
 * Owns:     nothing; what is sent is handed on, or closed.
 * Failures: told in the answer. A wish that makes no sense is an end of file
 *           for the plugin.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/array.h"
#include "common/channel.h"
#include "common/cleanup.h"
#include "common/descriptors.h"
#include "supervisor/listener/process_private.h"

#define PRIORITY  (SD_EVENT_PRIORITY_NORMAL + 50)
#define TURN_USEC UINT64_C(10000)
#define TURNS     5 /* in this time */
#define WISHES    4 /* at a time */

/* ---- what is kept --------------------------------------------------------------- */

struct wish {
    struct message message;
    int fd;     /* attached to it; -1: none. Who uses it, takes it */
    int answer; /* attached to the answer; it stays the struct's that has it. -1: none */
};

/* Each returns 0 or a negative errno. */

static int
keep(struct process *process, struct wish *wish)
{
    if (wish->fd < 0)
        return -EMFILE; /* it was sent, and there was no room for it here */
    return kept_put(process->kept, wish->message.text, take_fd(wish->fd));
}

static int
forget(struct process *process, struct wish *wish)
{
    return kept_forget(process->kept, wish->message.text);
}

static int
find(struct process *process, struct wish *wish)
{
    wish->answer = kept_find(process->kept, wish->message.text);
    return wish->answer < 0 ? wish->answer : 0;
}

/* Of one size: or a worker could have the supervisor make any number of files. */
static int
find_area(struct process *process, struct wish *wish)
{
    uint64_t size = wish->message.value;

    if (process->area != 0 && process->area != size)
        return -EINVAL;
    wish->answer = kept_area(process->kept, size);
    if (wish->answer < 0)
        return wish->answer;
    process->area = size;
    return 0;
}

static const struct {
    uint32_t type;
    int (*grant)(struct process *process, struct wish *wish);
} wishes[] = {
    {MESSAGE_KEEP, keep},
    {MESSAGE_FORGET, forget},
    {MESSAGE_KEPT, find},
    {MESSAGE_AREA, find_area},
};

static void
grant(struct process *process, int peer)
{
    struct wish wish = {.fd = -1, .answer = -1};
    bool understood = channel_receive(peer, &wish.message, &wish.fd) == 1;

    for (size_t i = 0; i < ARRAY_SIZE(wishes) && understood && process->kept != NULL; i++) {
        if (wishes[i].type != wish.message.type)
            continue;
        int r = wishes[i].grant(process, &wish);
        (void)channel_send(peer, MESSAGE_ANSWER, (uint64_t)-r, NULL, wish.answer);
    }
    if (wish.fd >= 0)
        descriptor_close_foreign(wish.fd);
    descriptor_close_foreign(peer);
}

/* ---- the channel ------------------------------------------------------------------ */

static bool
may_look(const struct process *process)
{
    return process->settings->control_access == CONTROL_READ && process->control_asked != NULL;
}

int
process_take_wishes(struct process *process)
{
    struct message message;
    int fd, r = -EAGAIN;

    for (int i = 0; i < WISHES && (r = channel_receive(process->wishes, &message, &fd)) == 1; i++) {
        if (fd >= 0 && message.type == MESSAGE_CONTROL && may_look(process))
            process->control_asked(fd, process->control_userdata);
        else if (fd >= 0 && message.type == MESSAGE_WISH)
            grant(process, fd);
        else if (fd >= 0)
            descriptor_close_foreign(fd);
    }
    return r;
}

static int
on_wish(sd_event_source *source, int channel, uint32_t events, void *userdata)
{
    (void)channel;
    (void)events;
    if (process_take_wishes(userdata) == 0) /* the worker has ended, or has closed it */
        (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
    return 0;
}

int
process_watch_wishes(struct process *process, sd_event *event)
{
    if (process->wishes < 0)
        return 0;
    int r =
        sd_event_add_io(event, &process->wishes_source, process->wishes, EPOLLIN, on_wish, process);
    if (r >= 0)
        r = sd_event_source_set_priority(process->wishes_source, PRIORITY);
    if (r >= 0)
        r = sd_event_source_set_ratelimit(process->wishes_source, TURN_USEC, TURNS);
    return r < 0 ? r : 0;
}
