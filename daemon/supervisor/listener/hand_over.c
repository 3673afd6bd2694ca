/* SPDX-License-Identifier: MIT */
/*
 * hand_over.c - what a listener tells the next process of the daemon
 *
 * Runs in:  the supervisor, before and after it executes itself anew.
 * Owns:     nothing.
 * Failures: none.
 */
#include "supervisor/listener/hand_over.h"

#include <stdlib.h>
#include <string.h>

void
upgrade_listener_done(struct upgrade_listener *listener)
{
    for (size_t i = 0; i < listener->generation_count; i++) {
        settings_unref(listener->generations[i].settings);
        free(listener->generations[i].workers);
    }
    settings_unref(listener->settings);
    free(listener->generations);
    free(listener->tls.path);
    free(listener->kept.plugin_file);
    explicit_bzero(&listener->tls, sizeof(listener->tls));
}
