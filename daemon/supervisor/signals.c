/* SPDX-License-Identifier: MIT */
/*
 * signals.c - the signals that the supervisor's event loop reads
 *
 * Runs in:  the supervisor, and what it executes.
 * Owns:     the signal mask of the process.
 * Failures: of watching: returned.
 */
#include "supervisor/signals.h"

#include <signal.h>

#include "common/array.h"

static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};

static void
change_mask(int how)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        (void)sigaddset(&set, numbers[i]);
    (void)sigprocmask(how, &set, NULL);
}

void
signals_block(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    change_mask(SIG_SETMASK);
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

void
signals_unblock(void)
{
    change_mask(SIG_UNBLOCK);
}

int
signals_watch(sd_event *event, sd_event_signal_handler_t handler, void *userdata)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(numbers); i++)
        r = sd_event_add_signal(event, NULL, numbers[i], handler, userdata);
    return r < 0 ? r : 0;
}
