/* SPDX-License-Identifier: MIT */
/*
 * good_abi1.c - a plugin built against the first header
 *
 * Must load and be served by every later daemon. Answers each line with the
 * option `greeting`, the line's length and the hooks that have run so far:
 * "hello 6 activate setup". It uses each kind of thing the header has: record,
 * options, hooks of the server and of the request, calls.
 */
#include "plugin.h"

#include <errno.h>

static const struct ss_option good_abi1_options[] = {
    {"greeting", SS_STRING, .fallback = "hello", .min = 1, .max = 100,
     .help = "begins each answer"},
    {"limit", SS_SIZE, .fallback = "64K", .min = 1, .max = 1 << 20,
     .help = "bytes a line may have"},
    {0},
};

SS_PLUGIN(.name = "good_abi1", .summary = "built against the first header",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE,
          .options = good_abi1_options)

static char activated[] = "activate";
static char prepared[] = "setup";

int
server_activate(struct ss_server *server)
{
    ss_server_set_data(server, activated);
    return 0;
}

int
setup(struct ss_request *request)
{
    ss_set_data(request, prepared);
    return 0;
}

int
handle(struct ss_request *request)
{
    struct ss_server *server = ss_server(request);
    char *line;
    ssize_t size;

    while ((size = ss_readline(request, &line)) > 0) {
        if ((uint64_t)size > ss_option_size(server, "limit"))
            return -EMSGSIZE;
        (void)ss_printf(request, "%s %zd %s %s\n", ss_option_string(server, "greeting"), size,
                        (const char *)ss_server_data(server), (const char *)ss_data(request));
    }
    return (int)size;
}

void
finish(struct ss_request *request)
{
    ss_set_data(request, NULL);
}
