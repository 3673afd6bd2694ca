/* SPDX-License-Identifier: MIT */
/*
 * weights.h - what a client accepts, and how gladly: "gzip;q=0.5, identity"
 */
#ifndef SOCKSERVERD_PLUGINS_WEB_WEIGHTS_H
#define SOCKSERVERD_PLUGINS_WEB_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>

/* One item of the list. */
struct weighted {
    const char *name; /* without an end */
    size_t size;
    int weight;    /* in thousandths; 0: it is not wanted */
    bool specific; /* it has parameters beside its weight */
};

/* Takes the next item of a field, whose place *field becomes. False: there is none; the field may
 * be NULL. */
bool weights_next(const char **field, struct weighted *ret);

/* Whether that is the item's name, in whatever case. */
bool weighted_is(const struct weighted *item, const char *name);

#endif
