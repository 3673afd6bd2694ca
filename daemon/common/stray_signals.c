/* SPDX-License-Identifier: MIT */
/*
 * stray_signals.c - signals that nobody sends in earnest, and that would end a process
 *
 * The kernel sends SIGXFSZ to whoever writes beyond its limit for files, and the
 * write fails as well, which is enough. A timer that another program has left
 * behind, a slip of the finger, or a limit of processor time that was inherited
 * would end the supervisor in the same way. So each of these signals has a
 * handler that does nothing. It is not ignored instead, because what a process
 * ignores is ignored by every program that it executes.
 *
 * What is missing here is read by the event loop (supervisor/signals.c), or
 * ends the process on purpose: SIGQUIT, with a core dump, and the signals of its
 * own faults. sockserverd(8) has the whole list.
 *
 * Runs in:  every process of the daemon, at its beginning.
 * Owns:     the dispositions of these signals.
 * Failures: none that could be told from success.
 */
#include "common/stray_signals.h"

#include <signal.h>
#include <stddef.h>

#include "common/array.h"

static const int strays[] = {SIGXFSZ, SIGXCPU, SIGALRM,   SIGVTALRM,
                             SIGPROF, SIGPOLL, SIGSTKFLT, SIGPWR};

static void
do_nothing(int number)
{
    (void)number;
}

static void
set(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};

    (void)sigaction(number, &action, NULL);
}

static void
set_all(void (*handler)(int))
{
    for (size_t i = 0; i < ARRAY_SIZE(strays); i++)
        set(strays[i], handler);
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
        set(number, handler);
}

void
stray_signals_survive(void)
{
    set_all(do_nothing);
}

void
stray_signals_survive_large_file(void)
{
    set_all(SIG_DFL);
    set(SIGXFSZ, do_nothing);
}
