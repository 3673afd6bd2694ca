/* SPDX-License-Identifier: MIT */
/*
 * good_near_hooks.c - loads, and has functions that were meant for hooks
 *
 * Their names are mistyped, in another case, or C++'s. Helpers that a plugin may
 * well have are left alone: static ones, and those like a hook that is there.
 *
 * Runs in:  --describe.
 * Owns:     nothing.
 * Failures: none.
 */
#include <sockserver/plugin.h>

SS_PLUGIN(.name = "good_near_hooks", .summary = "was meant to do more", .transports = SS_STREAM)

void server_activated(void);
void Finish(void);
int setup_of_cplusplus(struct ss_request *request, int extra) __asm__("_Z5setupP10ss_requesti");
void handler(void);

int
handle(struct ss_request *request)
{
    (void)request;
    return 0;
}

void
server_activated(void)
{
}

void
Finish(void)
{
}

int
setup_of_cplusplus(struct ss_request *request, int extra)
{
    (void)request;
    return extra;
}

void
handler(void)
{
}

static __attribute__((used, noinline)) void
server_clos(void)
{
}
