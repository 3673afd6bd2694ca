/* SPDX-License-Identifier: MIT */
/*
 * load.h - the configuration, read by a process of its own
 */
#ifndef SOCKSERVERD_SUPERVISOR_CHANGE_LOAD_H
#define SOCKSERVERD_SUPERVISOR_CHANGE_LOAD_H

#include <stdint.h>
#include <systemd/sd-event.h>

#include "common/errors.h"
#include "config/config.h"

/* Reads the configuration: 0, -EINVAL with mistakes in errors, or another negative errno; *ret is
 * for config_done() in every case. It is called in the process that reads, and nothing else that
 * it changes is seen by anybody. */
typedef int (*config_loader)(struct config *ret, struct errors *errors, const void *userdata);

#define LOAD_USEC UINT64_C(20000000) /* the usual patience: users may be looked up in a network */

/*
 * It is called from the event loop, once. result is the loader's; another
 * negative errno says that its process came to no end, and then errors tells
 * why. The callee may take *config and *errors.
 */
typedef void (*load_done)(int result, struct config *config, struct errors *errors, void *userdata);

struct load_setup {
    config_loader loader;
    const void *loader_userdata;
    uint64_t patience_usec;
    /* load_now() does not look at the rest. */
    sd_event *event;
    load_done done;
    void *userdata;
};

struct load;

/* Begins to read while the loop runs. Returns 0 and *ret, for load_free() at any time, also from
 * within done; or a negative errno, and then done is not called. */
int load_new(const struct load_setup *setup, struct load **ret);
void load_free(struct load *load);

/*
 * Reads where there is no loop yet, and waits. Returns the result as done would
 * get it, and -ENOMEM, -EAGAIN and so on if no process could be started;
 * config_done() and errors_done() release the rest in every case. If
 * `stoppable`, SIGTERM and SIGINT end the wait, and -EINTR is returned.
 */
int load_now(const struct load_setup *setup, bool stoppable, struct config *ret_config,
             struct errors *errors);

#endif
