/* SPDX-License-Identifier: MIT */
/*
 * process_control.c - a plugin that may look into the daemon asks for the control socket
 *
 * It sends one end of a pair of sockets; the control socket's code serves that
 * end like any client that may only look. So it makes no difference to the
 * plugin which user its worker runs as, what the sandbox lets it open, and
 * where the control socket is. The wishes are taken a few at a time, and behind
 * everything else: a plugin that floods waits for itself.
 *
 * Runs in:  the supervisor.
 * Owns:     nothing; what is sent is handed on, or closed.
 * Failures: a wish that cannot be met is an end of file for the plugin.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/channel.h"
#include "supervisor/listener/process_private.h"

#define PRIORITY  (SD_EVENT_PRIORITY_NORMAL + 50)
#define TURN_USEC UINT64_C(10000)
#define TURNS     2 /* in this time */
#define WISHES    4 /* at a time */

static int
on_wish(sd_event_source *source, int channel, uint32_t events, void *userdata)
{
    struct process *process = userdata;
    struct message message;
    int fd, r = -EAGAIN;

    (void)events;
    for (int i = 0; i < WISHES && (r = channel_receive(channel, &message, &fd)) == 1; i++) {
        if (fd >= 0 && message.type == MESSAGE_CONTROL)
            process->control_asked(fd, process->control_userdata);
        else if (fd >= 0)
            (void)close(fd);
    }
    if (r == 0) /* the worker has ended, or has closed it */
        (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
    return 0;
}

int
process_watch_control(struct process *process, sd_event *event)
{
    if (process->control < 0 || process->control_asked == NULL)
        return 0;
    int r = sd_event_add_io(event, &process->control_source, process->control, EPOLLIN, on_wish,
                            process);
    if (r >= 0)
        r = sd_event_source_set_priority(process->control_source, PRIORITY);
    if (r >= 0)
        r = sd_event_source_set_ratelimit(process->control_source, TURN_USEC, TURNS);
    return r < 0 ? r : 0;
}
