/* SPDX-License-Identifier: MIT */
/*
 * bad_future_abi.c - a plugin built against a header that does not exist yet
 *
 * Its record is ABI 99 and longer than today's. Must be refused by the loader,
 * which must read no more than the first fields.
 */
#include <sockserver/plugin.h>

struct future_plugin {
    struct ss_plugin plugin;
    char more[64];
};

/* Not ss_plugin_record to the compiler, for which that is a struct ss_plugin. */
extern const struct future_plugin future_record __asm__("ss_plugin_record");
SS_EXPORT const struct future_plugin future_record = {
    .plugin = {.abi = 99,
               .size = (uint32_t)sizeof(struct future_plugin),
               .option_size = (uint32_t)sizeof(struct ss_option) + 16,
               .name = "bad_future_abi",
               .summary = "comes from the future",
               .transports = SS_STREAM | SS_DATAGRAM,
               .mixins = SS_THREADING},
    .more = "whatever comes to be"};

int
handle(struct ss_request *request)
{
    (void)request;
    return 0;
}
