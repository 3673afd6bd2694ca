/* SPDX-License-Identifier: MIT */
/*
 * fork.c - fork() without what only processes with threads need
 *
 * fork() resets the locks that other threads might hold, and calls the
 * handlers of pthread_atfork(). For that it writes to three pages of the C
 * library, each of which is then copied for each child. _Fork() is the same
 * without; so it will do as long as nobody has started a thread or registered
 * a handler. Who does the latter calls __register_atfork(), in glibc: it is
 * defined here, too, ahead of the library's own, to see that.
 *
 * Runs in:  the zygote of a forking worker; __register_atfork() in any thread.
 * Owns:     nothing.
 * Failures: errno, as fork().
 */
#include "worker/mixin/fork.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/single_threaded.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/log.h"

#if defined(__GLIBC__) && !INSTRUMENTED /* which sees to fork() itself */

typedef int register_function(void (*prepare)(void), void (*parent)(void), void (*child)(void),
                              void *object);

static atomic_bool handlers; /* somebody else's than ours */

extern void *__dso_handle __attribute__((visibility("hidden"))); /* us */
__attribute__((visibility("default"))) register_function __register_atfork;

int
__register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *object)
{
    register_function *next = (register_function *)dlsym(RTLD_NEXT, "__register_atfork");

    if (next == NULL)
        return ENOSYS;
    if (object != &__dso_handle)
        atomic_store(&handlers, true);
    return next(prepare, parent, child, object);
}

pid_t
fork_cheaply(void)
{
    if (atomic_load(&handlers) || !__libc_single_threaded)
        return fork();
    pid_t pid = _Fork();
    if (pid == 0)
        log_forget_losses(); /* our only handler */
    return pid;
}

#else

pid_t
fork_cheaply(void)
{
    return fork();
}

#endif
