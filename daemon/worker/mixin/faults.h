/* SPDX-License-Identifier: MIT */
/*
 * faults.h - noting where a worker crashes, and saying so when a handler's stack overflows
 */
#ifndef SOCKSERVERD_WORKER_MIXIN_FAULTS_H
#define SOCKSERVERD_WORKER_MIXIN_FAULTS_H

#include <signal.h>
#include <stdint.h>

struct loop;
struct ss_server;

/* For this process, in its main thread, before its serving threads start. */
void faults_install(const struct ss_server *server);

/*
 * For the calling thread: a stack of its own for the signal, which an
 * overflowing one has no room for. loop: whose coroutines it runs; NULL if it
 * serves on its own stack.
 */
void faults_watch_thread(const struct loop *loop);
void faults_unwatch_thread(void);

/* In a signal handler: notes where the thread was as the place of a crash by info's signal. */
void faults_note(const siginfo_t *info, const void *context);

#endif
