/* SPDX-License-Identifier: MIT */
/*
 * shared_lock.c - a lock in shared memory that survives its holder
 *
 * It is a robust mutex of the C library. An unlocked one is zeros but for the
 * words that say of which kind it is, and nothing ever changes these. So whoever locks it
 * first writes them, and it does not matter if two do so at the same time, or
 * if one dies meanwhile: memory of zeros is an unlocked lock.
 *
 * Runs in:  any thread or child of a worker.
 * Owns:     nothing; the memory is the plugin's.
 * Failures: returned.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "worker/request/server.h"

#define WORDS (sizeof(pthread_mutex_t) / sizeof(uint32_t))

union mutex {
    pthread_mutex_t mutex;
    uint32_t words[WORDS];
};

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(struct ss_shared_lock), "the mutex needs room");
_Static_assert(_Alignof(pthread_mutex_t) <= _Alignof(struct ss_shared_lock), "and its place");
_Static_assert(sizeof(pthread_mutex_t) % sizeof(uint32_t) == 0, "it is made of words");

static union mutex pattern; /* an unlocked one */

static void
make_pattern(void)
{
    pthread_mutexattr_t kind;

    (void)pthread_mutexattr_init(&kind);
    (void)pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
    (void)pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
    (void)pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
    (void)pthread_mutex_init(&pattern.mutex, &kind);
    (void)pthread_mutexattr_destroy(&kind);
}

static pthread_mutex_t *
mutex_of(struct ss_shared_lock *lock)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    _Atomic uint32_t *words = (_Atomic uint32_t *)(void *)lock;

    (void)pthread_once(&once, make_pattern);
    for (size_t i = 0; i < WORDS; i++)
        if (pattern.words[i] != 0 && atomic_load_explicit(&words[i], memory_order_relaxed) == 0)
            atomic_store_explicit(&words[i], pattern.words[i], memory_order_relaxed);
    return (pthread_mutex_t *)(void *)lock;
}

int
ss_shared_lock(struct ss_shared_lock *lock)
{
    pthread_mutex_t *mutex = mutex_of(lock);
    int error = pthread_mutex_lock(mutex);

    if (error == EOWNERDEAD)
        (void)pthread_mutex_consistent(mutex);
    return -error;
}

int
ss_shared_unlock(struct ss_shared_lock *lock)
{
    return -pthread_mutex_unlock(mutex_of(lock));
}
