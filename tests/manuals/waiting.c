/* SPDX-License-Identifier: MIT */
/*
 * waiting.c - a plugin that waits in the call that its option names, and logs what that returned
 *
 * For tests/manuals/waiting.py. Each wait is TEN seconds long, unless something ends it.
 */
#include <errno.h>
#include <poll.h>
#include <sockserver/plugin.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define TEN   10.0
#define LARGE (1 << 20)

static const struct ss_option options[] = {
    {"call", SS_STRING, .required = true, .help = "the call that waits"},
    {"to", SS_STRING, .fallback = "", .help = "an address that does not answer"},
    {0},
};

SS_PLUGIN(.name = "waiting", .summary = "waits in a call", .transports = SS_STREAM,
          .mixins = SS_THREADING | SS_COROUTINE, .options = options)

static long
wait_read(struct ss_request *request)
{
    char byte;

    return ss_read(request, &byte, 1);
}

static long
wait_read_full(struct ss_request *request)
{
    char block[100];

    return ss_read_full(request, block, sizeof(block));
}

static long
wait_readline(struct ss_request *request)
{
    char *line;

    return ss_readline(request, &line);
}

static long
wait_write(struct ss_request *request)
{
    char *data = calloc(1, LARGE);
    long result = data == NULL ? -ENOMEM : 0;

    while (result == 0)
        result = ss_write(request, data, LARGE);
    free(data);
    return result;
}

static long
wait_input_for_ever(struct ss_request *request)
{
    return ss_wait_input(request, -1);
}

static long
wait_input(struct ss_request *request)
{
    return ss_wait_input(request, TEN);
}

static long
wait_one(struct ss_request *request)
{
    int fd = eventfd(0, EFD_CLOEXEC);
    long result = ss_wait(request, fd, POLLIN, TEN);

    (void)close(fd);
    return result;
}

static long
wait_several(struct ss_request *request)
{
    int fd = eventfd(0, EFD_CLOEXEC);
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}};
    long result = ss_poll(request, fds, 1, TEN);

    (void)close(fd);
    return result;
}

static long
wait_sleep(struct ss_request *request)
{
    return ss_sleep(request, TEN);
}

static long
wait_connect(struct ss_request *request)
{
    return ss_connect(request, ss_option_string(ss_server(request), "to"), TEN);
}

static long
wait_relay(struct ss_request *request)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    long result = ss_relay(request, ends[0], TEN);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return result;
}

static const struct {
    const char *name;
    long (*wait)(struct ss_request *request);
} calls[] = {
    {"ss_read", wait_read},
    {"ss_read_full", wait_read_full},
    {"ss_readline", wait_readline},
    {"ss_write", wait_write},
    {"ss_wait_input, seconds < 0", wait_input_for_ever},
    {"ss_wait_input, seconds > 0", wait_input},
    {"ss_poll", wait_several},
    {"ss_wait", wait_one},
    {"ss_sleep", wait_sleep},
    {"ss_connect", wait_connect},
    {"ss_relay", wait_relay},
};

int
handle(struct ss_request *request)
{
    const char *call = ss_option_string(ss_server(request), "call");

    for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
        if (strcmp(calls[i].name, call) != 0)
            continue;
        ss_log(LOG_NOTICE, "begins to wait");
        long result = calls[i].wait(request);
        ss_log(LOG_NOTICE, "the call has returned %s",
               result < 0 ? strerrorname_np((int)-result) : "what it should");
        return 0;
    }
    return -EINVAL;
}
