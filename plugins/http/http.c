/* SPDX-License-Identifier: MIT */
/*
 * http.c - files by HTTP/1.1: GET and HEAD, one request after the other on a connection
 *
 * The manual is sockserverd-http(7).
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     nothing.
 * Failures: returned, and told of by handle_error() unless a file was the reason.
 */
#include <errno.h>

#include "http.h"

static const struct ss_option options[] = {
    {.name = "root",
     .type = SS_PATH,
     .required = true,
     .min = 1,
     .max = 4095,
     .help = "the folder that is served, by its absolute path"},
    {.name = "index",
     .type = SS_LIST,
     .fallback = "index.html",
     .max = 16,
     .help = "the file that stands for its folder: the first of these that is there"},
    {.name = "listing", .type = SS_BOOLEAN, .help = "list a folder that has no index"},
    {.name = "gzip_static",
     .type = SS_BOOLEAN,
     .help = "send FILE.gz, if it is there, for FILE to who accepts gzip"},
    {.name = "types",
     .type = SS_STRING,
     .help = "a table of media types; default: /etc/mime.types, or a small one built in"},
    {.name = "charset",
     .type = SS_STRING,
     .fallback = "utf-8",
     .max = 40,
     .help = "the character set of text, or \"\" to name none"},
    {.name = "head_timeout",
     .type = SS_DURATION,
     .fallback = "10s",
     .min = 0.01,
     .max = 3600,
     .help = "longest time in which the head of a request and its body must come"},
    {.name = "idle_timeout",
     .type = SS_DURATION,
     .fallback = "30s",
     .min = 0.01,
     .max = 3600,
     .help = "longest wait for the next request of a connection"},
    {.name = "max_head",
     .type = SS_SIZE,
     .fallback = "8K",
     .min = 256,
     .max = 65536,
     .help = "longest head of a request"},
    {.name = "max_body",
     .type = SS_SIZE,
     .fallback = "64K",
     .max = 1 << 30,
     .help = "longest body that is read, and thrown away, to keep the connection"},
    {.name = "max_requests",
     .type = SS_INTEGER,
     .fallback = "1000",
     .min = 1,
     .max = 1e9,
     .help = "requests of a connection; 1: no connection is kept"},
    {.name = "min_rate",
     .type = SS_SIZE,
     .fallback = "500",
     .max = 1 << 30,
     .help = "bytes per second at which a client must take an answer; 0: as slowly as it likes"},
    {.name = "log_requests", .type = SS_BOOLEAN, .help = "log each request, not only connections"},
    {0},
};

SS_PLUGIN(.name = "http", .summary = "serves the files of a folder by HTTP/1.1",
          .transports = SS_STREAM, .mixins = SS_THREADING | SS_COROUTINE, .options = options)

int
check_options(struct ss_server *server)
{
    struct site *site;
    int error = site_new(server, &site);

    if (error == 0)
        site_free(site);
    return error;
}

int
server_activate(struct ss_server *server)
{
    struct site *site;
    int error = site_new(server, &site);

    if (error == 0)
        ss_server_set_data(server, site);
    return error;
}

void
server_close(struct ss_server *server)
{
    site_free(ss_server_data(server));
    ss_server_set_data(server, NULL);
}

int
handle(struct ss_request *request)
{
    const struct site *site = ss_server_data(ss_server(request));

    return web_serve(request, &site->web);
}

/* What is wrong with a file has been said. */
void
handle_error(struct ss_request *request, int error)
{
    if (error != -EIO)
        web_failed(request, error);
}
