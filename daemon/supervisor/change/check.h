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
 * Lets a worker load each listener's plugin and check its options, several at
 * a time, binding nothing; disabled listeners too. names: those of enabled
 * listeners are looked up. Mistakes are added to errors. Returns 0 if all
 * could be tried, or a negative errno.
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

/* From the event loop: all have been tried. errors is the callee's to take from. */
typedef void (*check_done)(int error, struct errors *errors, void *userdata);

struct check_setup {
    sd_event *event;
    const struct spawn_options *spawn; /* where the workers log; copied */
    struct check_item *items;          /* must live until check_free() */
    size_t count;
    check_done done;
    void *userdata;
};

/* The same for some listeners, in the loop's background. check_free() may be called at any time. 0
 * or a negative errno; done is then not called. */
int check_new(const struct check_setup *setup, struct check **ret);
void check_free(struct check *check);

#endif
