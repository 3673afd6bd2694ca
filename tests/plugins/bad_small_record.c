/* SPDX-License-Identifier: MIT */
/*
 * bad_small_record.c - a record that says it is smaller than the first ABI's
 *
 * Must be refused by the loader.
 */
#include <sockserver/plugin.h>

SS_EXPORT const struct ss_plugin ss_plugin_record = {
    .abi = SS_ABI,
    .size = 8,
    .option_size = (uint32_t)sizeof(struct ss_option),
    .name = "bad_small_record",
    .summary = "has a record of 8 bytes",
    .transports = SS_STREAM | SS_DATAGRAM,
    .mixins = SS_THREADING,
};

int
handle(struct ss_request *request)
{
    (void)request;
    return 0;
}
