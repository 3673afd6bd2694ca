/* SPDX-License-Identifier: MIT */
/*
 * upper.c - sends each line back in upper case: the plugin of the README, as it stands there
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     nothing.
 * Failures: an error of ss_write() comes back from the next ss_readline().
 */
#include <ctype.h>
#include <sockserver/plugin.h>

SS_PLUGIN(.name = "upper", .summary = "sends each line back in upper case",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE)

/* clang-format off */
int handle(struct ss_request *request)
{
    char *line;
    ssize_t size;

    while ((size = ss_wait_input(request, -1)) > 0 && (size = ss_readline(request, &line)) > 0) {
        for (ssize_t i = 0; i < size; i++)
            line[i] = toupper((unsigned char)line[i]);
        ss_write(request, line, size);
    }
    return size;
}
