/* SPDX-License-Identifier: MIT */
/*
 * apart.h - code that may crash, run apart from whoever says what has become of it
 */
#ifndef SOCKSERVERD_COMMON_APART_H
#define SOCKSERVERD_COMMON_APART_H

#include <signal.h>

/*
 * Runs the function in a child, waits for it, and passes the signals on that
 * ask this process to end. Returns 0 and *ret_end, how the child ended; its
 * exit status is what the function has returned, if it has. Returns a negative
 * errno if there is no child. The process must have no other thread.
 */
int apart_run(int (*function)(void *userdata), void *userdata, siginfo_t *ret_end);

/* Ends this process by the signal that the child was told to end by, as if there had been no
 * child. It returns if the child did not end so. */
void apart_follow(const siginfo_t *end);

#endif
