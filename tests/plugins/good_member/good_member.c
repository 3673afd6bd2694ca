/* SPDX-License-Identifier: MIT */
/*
 * good_member.c - one of many: says who asked, who answers, and which build of the plugin this is
 *
 *     ask ID MS     "ID CLIENT NODE BUILD" after so many milliseconds; the connection goes on
 *     last ID MS    the same, and the end of the connection
 *
 * Between two requests a connection may be asked to end, by a drain or for its age. It is then told
 * "bye": what its client has sent meanwhile was not read, and can be sent again elsewhere.
 *
 * Built twice, as good_member_a and good_member_b, to be exchanged under a running daemon.
 */
#include <errno.h>
#include <sockserver/plugin.h>
#include <stdio.h>
#include <string.h>

static const struct ss_option options[] = {
    {.name = "node", .type = SS_STRING, .required = true, .max = 63, .help = "who answers"},
    {0},
};

SS_PLUGIN(.name = "good_member", .summary = "says who asks and who answers",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE,
          .options = options)

/* Returns whether the connection goes on, or a negative errno. */
static int
answer(struct ss_request *request, const char *line)
{
    char word[8], id[32];
    unsigned milliseconds;

    if (sscanf(line, "%7s %31s %u", word, id, &milliseconds) != 3)
        return -EBADMSG;
    if (milliseconds > 0)
        (void)ss_sleep(request, milliseconds / 1000.0);
    int error = ss_printf(request, "%s %s %s %s\n", id, ss_client_name(request),
                          ss_option_string(ss_server(request), "node"), BUILD_NAME);
    return error < 0 ? error : strcmp(word, "ask") == 0;
}

int
handle(struct ss_request *request)
{
    char *line;
    ssize_t size;
    int more = 1;

    while (more > 0 && (size = ss_wait_input(request, -1)) > 0 &&
           (size = ss_readline(request, &line)) > 0)
        more = answer(request, line);
    if (more <= 0)
        return more;
    return size == -ECANCELED ? ss_printf(request, "bye\n") : (int)size;
}
