/* SPDX-License-Identifier: MIT */
/*
 * lookup.h - the address behind a name, without waiting for it
 */
#ifndef SOCKSERVERD_SUPERVISOR_SOCKET_LOOKUP_H
#define SOCKSERVERD_SUPERVISOR_SOCKET_LOOKUP_H

#include <stdint.h>
#include <systemd/sd-event.h>

#include "common/address.h"

#define LOOKUP_USEC UINT64_C(5000000) /* the usual patience */

struct lookup;

/* It is called from the event loop, once. found is NULL if the look-up failed, and then problem is
 * a sentence. Both are valid only during the call. */
typedef void (*lookup_done)(const struct resolved *found, const char *problem, void *userdata);

struct lookup_setup {
    sd_event *event;
    const struct address *address; /* a listener's, whose host or port is a name; copied */
    uint64_t patience_usec;
    lookup_done done;
    void *userdata;
};

/* Looks the address up. Returns 0 and *ret, for lookup_free() at any time, also from within done;
 * or a negative errno, and then done is not called. */
int lookup_new(const struct lookup_setup *setup, struct lookup **ret);
void lookup_free(struct lookup *lookup);

#endif
