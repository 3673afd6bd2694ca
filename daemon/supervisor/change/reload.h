/* SPDX-License-Identifier: MIT */
/*
 * reload.h - another configuration, while the daemon serves
 */
#ifndef SOCKSERVERD_SUPERVISOR_CHANGE_RELOAD_H
#define SOCKSERVERD_SUPERVISOR_CHANGE_RELOAD_H

#include "supervisor/change/change.h"

/*
 * Reads the configuration anew. The reload is done when all that changed
 * serves, or fails with every mistake. Returns 0, or a negative errno, and then
 * done() (NULL: nobody wants to know) is not called: -EBUSY while the daemon
 * starts, is reloaded or upgraded or restarts a listener, -ESHUTDOWN while it
 * stops, -ENOTSUP if the configuration cannot be read again, -ENOMEM.
 */
int reload_begin(struct change *change, operation_done done, void *userdata);

/* Goes on with what has become possible. Returns the configuration if it has just become the
 * present one, valid until the next one does; else NULL. */
const struct config *reload_step(struct change *change);

/* Ends the reload. Nothing has changed then, unless the changes were made already. */
void reload_abort(struct change *change, int error, const char *why);

#endif
