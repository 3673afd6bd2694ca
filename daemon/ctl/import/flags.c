/* SPDX-License-Identifier: MIT */
/*
 * flags.c - what becomes of each flag of a service
 *
 * Runs in:  sockserverctl.
 * Owns:     nothing: constant data.
 * Failures: none; what is unknown is dropped with a note.
 */
#include <strings.h>

#include "common/array.h"
#include "ctl/import/import.h"

static void
keep_alive(struct service *service)
{
    if (service->stream && !service->waits)
        service_set_text(service, KEY_KEEPALIVE, "2h");
}

static void
close_service(struct service *service)
{
    service->closed = true;
}

static void
want_ipv6_alone(struct service *service)
{
    service_set(service, KEY_IPV6_ONLY, "true");
}

static const struct flag {
    const char *name;
    enum fate fate;
    const char *text;
    void (*map)(struct service *service);
} flags[] = {
    {"REUSE", FATE_MAPPED, "reuse_address is true unless something else is said", NULL},
    {"INTERCEPT", FATE_DROPPED, "no process stands between clients and a program that waits", NULL},
    {"NORETRY", FATE_DROPPED, "a program that cannot be started now is not tried again anyway",
     NULL},
    {"IDONLY", FATE_DROPPED,
     "nobody asks identification servers; the listener is disabled, as clients without one would "
     "come in",
     close_service},
    {"NAMEINARGS", FATE_MAPPED, "the first word of server_args becomes options.argv0", NULL},
    {"NODELAY", FATE_MAPPED, "nodelay is true unless something else is said", NULL},
    {"KEEPALIVE", FATE_APPROXIMATED, "to `keepalive`, with Linux's usual two hours", keep_alive},
    {"NOLIBWRAP", FATE_MAPPED, "hosts.allow and hosts.deny are not read by any listener", NULL},
    {"SENSOR", FATE_DROPPED, "nothing here watches for those who try closed ports", NULL},
    {"IPv4", FATE_MAPPED, "to the host of `address`", NULL},
    {"IPv6", FATE_MAPPED, "to the host of `address`", NULL},
    {"IPV6ONLY", FATE_MAPPED, "to `ipv6_only`", want_ipv6_alone},
    {"LABELED", FATE_DROPPED, "the SELinux context of a connection is not handed on", NULL},
    {"DISABLE", FATE_MAPPED, "to `enabled`", close_service},
};

void
map_flags(struct service *service)
{
    const struct words *words = &service->value.words;

    if (words->count == 0)
        service_note(service, FATE_MAPPED, "it names no flag");
    for (size_t i = 0; i < words->count; i++) {
        const struct flag *found = NULL;
        for (size_t j = 0; j < ARRAY_SIZE(flags); j++)
            if (strcasecmp(flags[j].name, words->all[i]) == 0)
                found = &flags[j];
        if (found == NULL) {
            service_note(service, FATE_DROPPED, "%s: xinetd has no such flag", words->all[i]);
            continue;
        }
        if (found->map != NULL)
            found->map(service);
        service_note(service, found->fate, "%s: %s", found->name, found->text);
    }
}
