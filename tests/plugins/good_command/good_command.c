/* SPDX-License-Identifier: MIT */
/*
 * good_command.c - a plugin that does what its client tells it
 *
 * One command a line; a connection may send many, a datagram one or more. Each
 * is answered with the reply below and a newline, unless it says otherwise. A
 * reply of several lines ends with a line ".". An errno is shown as
 * "error -NUMBER". A command that does not exist is answered "unknown COMMAND".
 *
 * who.c          pid                pid N
 *                tid                tid N (the kernel's thread id)
 *                worker             worker NAME
 *                client             client NAME
 *                peer               peer FAMILY SIZE IPV4-ADDRESS
 *                sockaddr           sockaddr FAMILY LENGTH
 *                penalise N REASON  penalised (ss_penalise)
 *                credentials        credentials PID UID GID
 *                address            address ADDRESS (ss_server_address)
 *                name               name NAME (ss_server_name)
 *                fd                 fd N
 *                nodelay            nodelay 0 or 1 (TCP_NODELAY), or error
 *                tls                tls VERSION cipher=... (ss_tls), or tls none
 * data.c         count              count N (requests this process's memory has seen)
 *                shared             shared N (the same, kept in ss_server_data)
 *                data [TEXT]        data TEXT (with TEXT: kept in ss_data for this request)
 *                malloc N           malloc N (N bytes leaked and touched)
 *                options            text=T flag=B count=I ratio=R limit=BYTES pause=SECONDS
 *                names              names COUNT "NAME" "NAME" ...
 *                misuse             misuse null (asks for an option that does not exist)
 *                log LEVEL TEXT     logged
 * stream.c       echo TEXT          TEXT
 *                upper TEXT         TEXT in upper case
 *                big N              N bytes "abc...zabc...", without a newline
 *                read N             read GOT DATA (one ss_read of at most N bytes)
 *                read-full N        read-full GOT DATA (the N bytes behind the command's line)
 *                line-limit         line SIZE, or error -90 for a too long line; ends the request
 *                sendfile PATH      the whole file, without a newline
 *                blocks no          nothing; sets O_NONBLOCK on its own descriptor
 *                blocks             blocks 1, or blocks 0
 *                packet             packet SIZE, or "packet none" on a stream
 *                truncated          truncated true, or truncated false
 *                end                end SIZE BOOLEAN: reads to the end; whether that is truncated
 *                wait-client S      wait 1 (ss_wait on the client's own descriptor), or wait 0
 *                flush              flushed
 *                write-then-fail    "partial" without a newline; handle returns -EIO
 *                fail N             nothing; handle returns -N
 *                quit               nothing; handle returns 0
 * process.c      fds                lines "N TARGET" of /proc/self/fd, "."
 *                environment        lines NAME=VALUE, "."
 *                status             lines of /proc/self/status, "."
 *                identity           identity RUID EUID RGID EGID GROUP...
 *                mask               mask BLOCKED IGNORED CAUGHT (hexadecimal, of this thread)
 *                umask              umask 0022
 *                threads            threads N (of this process)
 *                parent             parent PID
 *                fdleak N           fdleak N (descriptors opened and left)
 *                fork-child         fork-child 7 (its own child's status, waited for 0.2 s after
 *                                   it ended), or error -10 if somebody else reaped it
 * wait.c         sleep SECONDS      ok, or cancelled (ss_sleep)
 *                nap SECONDS        ok, or interrupted by a drain (nanosleep: blocks its thread)
 *                spin SECONDS       ok (burns the processor)
 *                cancelled          cancelled true, or cancelled false
 *                linger             goodbye, as soon as ss_cancelled() is true
 *                wait-readable S    wait 1 (a pipe with a byte), or wait 0 after S seconds (one
 *                                   without); S = 0: with a byte
 *                wait-input S       waiting, then wait 1, or wait 0 after S seconds (ss_wait_input)
 *                wait-any S         waiting, then "any COUNT: 0 0 EVENTS" (ss_poll: an entry to
 *                                   skip, a pipe without a byte, the client)
 *                wait-nothing S     error -9 (ss_poll with a descriptor that is none)
 *                deadline S         deadline 0, or error -22 (ss_set_deadline)
 *                stop               stopping (ss_server_stop)
 * fault.c        exit N, _exit N    nothing: exit(N), _exit(N)
 *                abort, segv, kill  nothing: SIGABRT, SIGSEGV, SIGKILL to its own process
 *                pthread_exit       nothing
 *                signal N           signalled (the process sends itself signal N)
 *                close              closing; then closes its own descriptor and returns 0
 *                stack N            stack N (uses N bytes of stack)
 *                overflow           nothing: endless recursion
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     per-request data and a counter per process (data.c); whatever the
 *           commands leak on purpose.
 * Failures: what the client asks for.
 */
#include "command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct ss_option good_command_options[] = {
    {"text", SS_STRING, .fallback = "hello", .max = 100, .help = "any text"},
    {"flag", SS_BOOLEAN, .fallback = "false", .help = "a switch"},
    {"count", SS_INTEGER, .fallback = "42", .min = -1000, .max = 1000, .help = "a whole number"},
    {"ratio", SS_NUMBER, .fallback = "0.5", .min = 0, .max = 1, .help = "a fraction"},
    {"limit", SS_SIZE, .fallback = "64K", .min = 1, .max = 1 << 30, .help = "a size"},
    {"pause", SS_DURATION, .fallback = "250ms", .min = 0, .max = 3600, .help = "a duration"},
    {"names", SS_LIST, .fallback = "one\ntwo, three", .max = 4, .help = "a list"},
    {0},
};

SS_PLUGIN(.name = "good_command", .summary = "does what its client tells it",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE,
          .options = good_command_options)

static const struct command *const tables[] = {who_commands,     data_commands, stream_commands,
                                               process_commands, wait_commands, fault_commands};

size_t
argument_size(const char *argument)
{
    return strtoul(argument, NULL, 10);
}

double
argument_seconds(const char *argument)
{
    return strtod(argument, NULL);
}

static const struct command *
find(const char *name)
{
    for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
        for (const struct command *command = tables[i]; command->name; command++)
            if (!strcmp(command->name, name))
                return command;
    return NULL;
}

/* The line is copied, for a command that reads itself overwrites the buffer it is in. */
static int
obey(struct ss_request *request, const char *line, size_t size)
{
    const struct command *command;
    char *copy = strndup(line, size);
    char *argument;
    int result;

    if (!copy)
        return -ENOMEM;
    copy[strcspn(copy, "\r\n")] = '\0';
    argument = copy + strcspn(copy, " ");
    if (*argument)
        *argument++ = '\0';
    command = find(copy);
    if (command)
        result = command->run(request, argument);
    else
        result = ss_printf(request, "unknown %s\n", copy);
    free(copy);
    return result;
}

int
server_activate(struct ss_server *server)
{
    return data_activate(server);
}

void
server_close(struct ss_server *server)
{
    data_close(server);
}

int
setup(struct ss_request *request)
{
    return data_setup(request);
}

int
handle(struct ss_request *request)
{
    char *line;
    ssize_t size;

    while ((size = ss_readline(request, &line)) > 0) {
        int result = obey(request, line, (size_t)size);

        if (result != 0)
            return result == COMMAND_END ? 0 : result;
    }
    return (int)size;
}

void
finish(struct ss_request *request)
{
    data_finish(request);
}
