/* SPDX-License-Identifier: MIT */
/*
 * check.h - trying a configuration without serving it
 */
#ifndef SOCKSERVERD_SUPERVISOR_CHANGE_CHECK_H
#define SOCKSERVERD_SUPERVISOR_CHANGE_CHECK_H

#include <systemd/sd-event.h>

#include "common/errors.h"
#include "config/config.h"
#include "supervisor/listener/spawn.h"

/*
 * Lets a worker load each listener's plugin and check its options, several at a
 * time. Nothing is bound, and disabled listeners are tried, too. names: the
 * names of enabled listeners are looked up. Mistakes are added to errors.
 * Returns 0 if all could be tried, or a negative errno.
 */
int check_listeners(const struct config *config, bool names, struct errors *errors);

struct check;

/* What is to be tried of one listener. */
struct check_item {
    const struct settings *settings;
    bool plugin;
    bool name;             /* the address is a name: look it up */
    struct resolved found; /* the answer; size 0: none */
};

/* It is called from the event loop when all have been tried. The callee may take from errors. */
typedef void (*check_done)(int error, struct errors *errors, void *userdata);

struct check_setup {
    sd_event *event;
    const struct spawn_options *spawn; /* where the workers log; copied */
    struct check_item *items;          /* must live until check_free() */
    size_t count;
    check_done done;
    void *userdata;
};

/* Does the same for some listeners while the loop runs. check_free() may be called at any time.
 * Returns 0 and *ret, or a negative errno, and then done is not called. */
int check_new(const struct check_setup *setup, struct check **ret);
void check_free(struct check *check);

#endif
