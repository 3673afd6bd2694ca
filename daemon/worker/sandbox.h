/* SPDX-License-Identifier: MIT */
/*
 * sandbox.h - the floor under every plugin: what no handler of a request needs
 */
#ifndef SOCKSERVERD_WORKER_SANDBOX_H
#define SOCKSERVERD_WORKER_SANDBOX_H

#include <stdbool.h>

struct sandbox {
    bool seccomp;
    int landlock; /* ABI in use; 0: none */
};

/*
 * Takes away, for good and for all that this process ever executes: system
 * calls that administer the machine, and writing to the system's own folders.
 * Signals, traces and connections to abstract sockets reach only its own
 * descendants; with datagrams, answers may go to any such socket.
 * no_new_privs must be set. What the kernel does not offer is left out;
 * *ret says what is active.
 */
void sandbox_enter(bool datagrams, struct sandbox *ret);

#endif
