/* SPDX-License-Identifier: MIT */
/*
 * bad_constructor_crash.c - a plugin that crashes while it is loaded
 *
 * Only its own worker may die of it.
 */
#include <signal.h>
#include <sockserver/plugin.h>

SS_PLUGIN(.name = "bad_constructor_crash", .summary = "crashes in a constructor",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING)

/* By default action: a sanitizer would make an exit of it. */
__attribute__((constructor)) static void
crash(void)
{
    (void)signal(SIGSEGV, SIG_DFL);
    (void)raise(SIGSEGV);
}

int
handle(struct ss_request *request)
{
    (void)request;
    return 0;
}
