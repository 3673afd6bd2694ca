/* SPDX-License-Identifier: MIT */
/*
 * bad_no_record.c - a shared object with handle() but without SS_PLUGIN()
 *
 * Must be refused by the loader.
 */
#include <sockserver/plugin.h>

int
handle(struct ss_request *request)
{
    (void)request;
    return 0;
}
