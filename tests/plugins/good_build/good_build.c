/* SPDX-License-Identifier: MIT */
/*
 * good_build.c - answers each line with the name of this build, and the line
 *
 * Built twice, as good_build_a and good_build_b, to be exchanged under a
 * running daemon.
 */
#include <sockserver/plugin.h>

SS_PLUGIN(.name = "good_build", .summary = "says which build it is",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE)

int
handle(struct ss_request *request)
{
    char *line;
    ssize_t size;

    while ((size = ss_readline(request, &line)) > 0)
        ss_printf(request, "%s %s", BUILD_NAME, line);
    return (int)size;
}
