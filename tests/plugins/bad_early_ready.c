/* SPDX-License-Identifier: MIT */
/*
 * bad_early_ready.c - a plugin that calls itself ready, and then hangs while it is loaded
 *
 * Whoever only tries it must not believe it before its process has ended.
 */
#include <sockserver/plugin.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHANNEL 4 /* the worker's own, to the supervisor */

SS_PLUGIN(.name = "bad_early_ready", .summary = "says that it is ready before it is",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING)

__attribute__((constructor)) static void
lie(void)
{
    static const struct {
        uint32_t type, reserved;
        uint64_t value;
        char text[8];
    } ready = {.type = 1};

    (void)send(CHANNEL, &ready, offsetof(__typeof__(ready), text) + 1, MSG_NOSIGNAL);
    for (;;)
        (void)pause();
}

int
handle(struct ss_request *request)
{
    (void)request;
    return 0;
}
