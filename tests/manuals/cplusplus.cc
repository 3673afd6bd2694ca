/* SPDX-License-Identifier: MIT */
/*
 * cplusplus.cc - a plugin in C++, as the manual says it is to be written
 */
#include <sockserver/plugin.h>
#include <string>

static const ss_option options[] = {
    {.name = "greeting",
     .type = SS_STRING,
     .fallback = "hello",
     .min = 0,
     .max = 200,
     .help = "sent to a client first",
     .required = false},
    {},
};

SS_PLUGIN(.name = "cplusplus", .summary = "greets in C++", .transports = SS_STREAM | SS_DATAGRAM,
          .mixins = SS_THREADING | SS_COROUTINE, .options = options)

int handle(ss_request *request)
{
    std::string greeting = ss_option_string(ss_server(request), "greeting");

    return ss_write(request, greeting.data(), greeting.size());
}
