/* SPDX-License-Identifier: MIT */
/*
 * fail_nth_private.h - what the two files of the preload library share
 */
#ifndef SOCKSERVERD_TESTS_TORTURE_FAIL_NTH_PRIVATE_H
#define SOCKSERVERD_TESTS_TORTURE_FAIL_NTH_PRIVATE_H

#undef _FORTIFY_SOURCE /* its inline functions would stand where the wrappers go */

#include <stdbool.h>

#include "fail_nth.h"

#define PUBLIC __attribute__((visibility("default")))
#define SHARED __attribute__((visibility("hidden")))

/* The kinds of calls, in the order of their numbers. "malloc" is every allocation. */
/* clang-format off */
#define CALLS(X)                                                                                   \
    X(malloc) X(accept4) X(bind) X(chmod) X(chown) X(close_range) X(connect) X(dup2) X(dup3)       \
    X(epoll_create1) X(epoll_ctl) X(eventfd) X(execv) X(execveat) X(fcntl) X(flock) X(fopen)       \
    X(fork) X(fstat) X(ftruncate) X(getaddrinfo) X(getrlimit) X(getsockname) X(getsockopt)         \
    X(kill) X(listen) X(memfd_create) X(mkdir) X(mmap) X(mprotect) X(open) X(opendir) X(pipe2)     \
    X(poll) X(prctl) X(pthread_create) X(read) X(readlink) X(recv) X(recvmmsg) X(recvmsg)          \
    X(rename) X(send) X(sendmmsg) X(sendmsg) X(setgroups) X(setresgid) X(setresuid) X(setrlimit)   \
    X(setsid) X(setsockopt) X(shutdown) X(signalfd) X(socket) X(socketpair) X(stat)                \
    X(timer_create) X(timerfd_create) X(unlink) X(waitid) X(write)
/* clang-format on */

#define NUMBER(name) CALL_##name,
enum call { CALLS(NUMBER) CALL_COUNT };
_Static_assert(CALL_COUNT <= TORTURE_CALLS, "the shared file has a place for each");

/* Counts the call, and sets errno if it shall fail. */
SHARED bool fails(enum call call);
/* The function that would be called without this library. */
SHARED void *next_function(const char *name);

#endif
