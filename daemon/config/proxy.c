/* SPDX-License-Identifier: MIT */
/*
 * proxy.c - `proxy`: whose PROXY header is believed
 *
 * Runs in:  the process that reads the configuration: looking users up may let it
 *           wait.
 * Owns:     nothing beyond a call.
 * Failures: mistakes go to struct errors, as does want of memory.
 */
#include "config/proxy.h"

#include "common/texts.h"
#include "config/network_list.h"

#define TRUSTED "proxy.trusted"

/* All addresses of IPv4 are mapped ones to a table of networks. */
static bool
is_everybody(const struct network *network)
{
    const struct network_key key = network->first;
    bool ipv4 = key.high == 0 && key.low == UINT64_C(0x0000ffff00000000);

    return network->kind == NETWORK_ADDRESSES &&
           (network->bits == 0 || (network->bits <= NETWORK_IPV4_BITS && ipv4));
}

static const char *
judge(const struct network *network)
{
    return is_everybody(network)
               ? "which is everybody, and everybody could then say to be anybody; "
                 "expected the balancers' own addresses"
               : NULL;
}

void
proxy_finish(struct settings *settings, struct errors *errors)
{
    const struct setting *trusted = setting_find(TRUSTED);
    size_t count = texts_count(settings->proxy.trusted);
    const struct network_list list = {
        .key = TRUSTED,
        .texts = settings->proxy.trusted,
        .judge = judge,
        .file_is_wrong = "a file, which only \"allow\" and \"deny\" read; expected the balancers' "
                         "own addresses here",
    };

    if (!setting_applies(settings, trusted) || setting_refused(settings, trusted))
        return;
    network_list_finish(settings, &list, errors);
    if (count > 0)
        return;
    const char *key = settings_have(settings, TRUSTED)   ? TRUSTED
                      : settings_have(settings, "proxy") ? "proxy"
                                                         : "proxy.timeout";
    if (settings_have(settings, key) && !setting_refused(settings, setting_find(key)))
        settings_mistake_at(settings, setting_find(key), errors,
                            "found no \"trusted\" with the balancers in it; a PROXY header is "
                            "believed from those only, such as: trusted = %s;",
                            trusted->example);
}
