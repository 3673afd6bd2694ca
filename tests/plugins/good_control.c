/* SPDX-License-Identifier: MIT */
/*
 * good_control.c - passes a client's line to the control socket, and the reply to the client
 *
 * "open N" opens so many connections and leaves them; "flood" asks for connections until it is
 * refused, and tells how often it was not.
 */
#include <errno.h>
#include <poll.h>
#include <sockserver/plugin.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

SS_PLUGIN(.name = "good_control", .summary = "asks the daemon", .transports = SS_STREAM,
          .mixins = SS_THREADING | SS_COROUTINE, .needs = SS_CONTROL)

static int
pass_on(struct ss_request *request, const char *call)
{
    int control = ss_control(ss_server(request));
    char byte = ' ';

    if (control < 0)
        return ss_printf(request, "error %s\n", strerrorname_np(-control));
    (void)!write(control, call, strlen(call) + 1);
    while (byte != '\0') {
        ssize_t got = read(control, &byte, 1);
        if (got == 0 || (got < 0 && errno != EAGAIN))
            break;
        if (got < 0)
            (void)ss_wait(request, control, POLLIN, 5);
        else if (byte != '\0')
            (void)ss_write(request, &byte, 1);
    }
    (void)close(control);
    return ss_printf(request, "\n");
}

static int
flood(struct ss_request *request)
{
    int asked = 0, control;

    while (asked < 100000 && (control = ss_control(ss_server(request))) >= 0) {
        (void)close(control);
        asked++;
    }
    return ss_printf(request, "flooded %s\n", asked < 100000 ? "and was refused" : "for ever");
}

int
handle(struct ss_request *request)
{
    char *line;
    ssize_t size;

    while ((size = ss_readline(request, &line)) > 0) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "open ", 5) == 0)
            for (long left = strtol(line + 5, NULL, 10); left > 0; left--)
                (void)ss_control(ss_server(request));
        size = strcmp(line, "flood") == 0       ? flood(request)
               : strncmp(line, "open ", 5) == 0 ? ss_printf(request, "opened\n")
                                                : pass_on(request, line);
        if (size < 0)
            break;
    }
    return (int)size;
}
