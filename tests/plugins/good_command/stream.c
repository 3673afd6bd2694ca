/* SPDX-License-Identifier: MIT */
/*
 * stream.c - good_command's commands that read and write; good_command.c lists the replies
 */
#include "command.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK (26 * 630) /* whole alphabets */

static int
echo(struct ss_request *request, const char *argument)
{
    return ss_printf(request, "%s\n", argument);
}

static int
upper(struct ss_request *request, const char *argument)
{
    for (; *argument; argument++) {
        char letter = (char)toupper((unsigned char)*argument);

        (void)ss_write(request, &letter, 1);
    }
    return ss_write(request, "\n", 1);
}

static int
big(struct ss_request *request, const char *argument)
{
    size_t left = argument_size(argument);
    char block[BLOCK];
    int result = 0;

    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (char)('a' + i % 26);
    while (left > 0 && result == 0) {
        size_t size = left < sizeof(block) ? left : sizeof(block);

        result = ss_write(request, block, size);
        left -= size;
    }
    return result;
}

typedef ssize_t read_call(struct ss_request *request, void *buffer, size_t size);

static int
answer_read(struct ss_request *request, const char *name, read_call *read_data, size_t size)
{
    char *buffer = malloc(size + 1);
    ssize_t got;
    int result;

    if (!buffer)
        return -ENOMEM;
    got = read_data(request, buffer, size);
    if (got < 0) {
        result = ss_printf(request, "error %zd\n", got);
    } else {
        (void)ss_printf(request, "%s %zd ", name, got);
        (void)ss_write(request, buffer, (size_t)got);
        result = ss_write(request, "\n", 1);
    }
    free(buffer);
    return result;
}

static int
read_once(struct ss_request *request, const char *argument)
{
    return answer_read(request, "read", ss_read, argument_size(argument));
}

static int
read_full(struct ss_request *request, const char *argument)
{
    return answer_read(request, "read-full", ss_read_full, argument_size(argument));
}

static int
line_limit(struct ss_request *request, const char *argument)
{
    char *line;
    ssize_t size = ss_readline(request, &line);
    int result;

    (void)argument;
    result = ss_printf(request, size < 0 ? "error %zd\n" : "line %zd\n", size);
    return result < 0 ? result : COMMAND_END;
}

static int
send_file(struct ss_request *request, const char *argument)
{
    int fd = open(argument, O_RDONLY | O_CLOEXEC);
    struct stat status;
    int result;

    if (fd < 0)
        return ss_printf(request, "error %d\n", -errno);
    result = fstat(fd, &status) < 0 ? -errno : ss_sendfile(request, fd, 0, (size_t)status.st_size);
    (void)close(fd);
    return result;
}

/* Has its own descriptor not block, or tells whether it does. */
static int
blocks(struct ss_request *request, const char *argument)
{
    int fd = ss_fd(request), flags = fcntl(fd, F_GETFL);

    if (flags < 0 || (*argument != '\0' && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0))
        return ss_printf(request, "error %d\n", -errno);
    return *argument != '\0' ? 0 : ss_printf(request, "blocks %d\n", (flags & O_NONBLOCK) == 0);
}

static int
tell_packet(struct ss_request *request, const char *argument)
{
    size_t size;
    const void *packet = ss_packet(request, &size);

    (void)argument;
    if (!packet)
        return ss_printf(request, "packet none\n");
    return ss_printf(request, "packet %zu\n", size);
}

static int
tell_truncated(struct ss_request *request, const char *argument)
{
    (void)argument;
    return ss_printf(request, "truncated %s\n", ss_truncated(request) ? "true" : "false");
}

static int
flush(struct ss_request *request, const char *argument)
{
    int result = ss_printf(request, "flushed\n");

    (void)argument;
    return result < 0 ? result : ss_flush(request);
}

/* The client finds the end, and what it says then is heard. */
static int
end_output(struct ss_request *request, const char *argument)
{
    char *line;
    int error = ss_printf(request, "the end\n");

    (void)argument;
    if (error == 0)
        error = ss_shutdown(request);
    ssize_t size = error < 0 ? error : ss_readline(request, &line);
    if (size > 0)
        ss_log(LOG_INFO, "behind the end: %.*s", (int)size, line);
    return size < 0 ? (int)size : 0;
}

static int
write_then_fail(struct ss_request *request, const char *argument)
{
    (void)argument;
    (void)ss_printf(request, "partial");
    return -EIO;
}

static int
fail(struct ss_request *request, const char *argument)
{
    (void)request;
    return -(int)argument_size(argument);
}

static int
quit(struct ss_request *request, const char *argument)
{
    (void)request;
    (void)argument;
    return COMMAND_END;
}

static int
read_to_end(struct ss_request *request, const char *argument)
{
    char buffer[4096];
    size_t size = 0;
    ssize_t got;

    (void)argument;
    while ((got = ss_read(request, buffer, sizeof(buffer))) > 0)
        size += (size_t)got;
    return got < 0
               ? ss_printf(request, "error %zd\n", got)
               : ss_printf(request, "end %zu %s\n", size, ss_truncated(request) ? "true" : "false");
}

static int
wait_for_client(struct ss_request *request, const char *argument)
{
    int result = ss_wait(request, ss_fd(request), POLLIN, argument_seconds(argument));

    return ss_printf(request, result < 0 ? "error %d\n" : "wait %d\n", result);
}

const struct command stream_commands[] = {
    {"end", read_to_end},
    {"wait-client", wait_for_client},
    {"echo", echo},
    {"upper", upper},
    {"big", big},
    {"read", read_once},
    {"read-full", read_full},
    {"line-limit", line_limit},
    {"sendfile", send_file},
    {"blocks", blocks},
    {"packet", tell_packet},
    {"truncated", tell_truncated},
    {"flush", flush},
    {"end-output", end_output},
    {"write-then-fail", write_then_fail},
    {"fail", fail},
    {"quit", quit},
    {0},
};
