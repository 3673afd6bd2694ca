/* SPDX-License-Identifier: MIT */
/*
 * daytime.c - tells the date and time as text (RFC 867)
 *
 * One line per connection or datagram, in local time; what the client sends is
 * not looked at. RFC 867 leaves the format open, so it is an option.
 *
 * Runs in:  a handler thread, child or coroutine.
 * Owns:     nothing.
 * Failures: a format that makes an empty or overlong line is found before the
 *           first request.
 */
#include <errno.h>
#include <sockserver/plugin.h>
#include <time.h>

#include "../reflectors.h"

#define LINE_MAX_SIZE 512

static const struct ss_option daytime_options[] = {
    {"format", SS_STRING, .fallback = "%A, %B %e, %Y %H:%M:%S-%Z", .min = 1, .max = 256,
     .help = "the line sent, in strftime(3)'s notation; CR LF is added"},
    {0},
};

SS_PLUGIN(.name = "daytime", .summary = "tells the date and time as text (RFC 867)",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE,
          .options = daytime_options)

/* Returns the length of the line without its end, 0 if the format gives none or too much. */
static size_t
format_now(struct ss_server *server, char line[LINE_MAX_SIZE])
{
    time_t now = time(NULL);
    struct tm local;

    if (!localtime_r(&now, &local))
        return 0;
    return strftime(line, LINE_MAX_SIZE, ss_option_string(server, "format"), &local);
}

int
server_activate(struct ss_server *server)
{
    char line[LINE_MAX_SIZE];

    tzset();
    if (format_now(server, line) > 0)
        return 0;
    ss_log(LOG_ERR, "options.format: \"%s\" gives an empty line or one longer than %d bytes",
           ss_option_string(server, "format"), LINE_MAX_SIZE - 1);
    return -EINVAL;
}

bool
verify_request(struct ss_request *request)
{
    return !is_from_reflector(request);
}

int
handle(struct ss_request *request)
{
    char line[LINE_MAX_SIZE];

    if (format_now(ss_server(request), line) == 0)
        return -EINVAL;
    return ss_printf(request, "%s\r\n", line);
}
