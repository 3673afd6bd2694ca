/* SPDX-License-Identifier: MIT */
/*
 * elsewhere.c - a library whose functions happen to be called like hooks
 *
 * dlsym() on a plugin that links to it finds these too. The daemon must never
 * call them: each ends the process.
 */
#include <sockserver/plugin.h>
#include <stdlib.h>

SS_EXPORT const char *elsewhere(void);

const char *
elsewhere(void)
{
    return "elsewhere";
}

int
setup(struct ss_request *request)
{
    (void)request;
    abort();
}

int
handle(struct ss_request *request)
{
    (void)request;
    abort();
}

void
finish(struct ss_request *request)
{
    (void)request;
    abort();
}
