/* SPDX-License-Identifier: MIT */
/*
 * watch.h - reload = "auto": a reload follows when a file of the configuration has changed
 */
#ifndef SOCKSERVERD_SUPERVISOR_CHANGE_WATCH_H
#define SOCKSERVERD_SUPERVISOR_CHANGE_WATCH_H

#include "supervisor/change/change.h"

/* Begins or ends to watch, as the configuration that is the present one from now on wants it. */
void watch_configure(struct change *change, const struct config *config);
/* The configuration has just been read, whether it will be served or not. Takes the list of its
 * files; one without files leaves the list as it was. */
void watch_read(struct change *change, struct config *config);
void watch_end(struct change *change);

#endif
