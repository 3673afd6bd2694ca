/* SPDX-License-Identifier: MIT */
/*
 * context.h - several stacks in one thread, and switching between them
 */
#ifndef SOCKSERVERD_WORKER_COROUTINE_CONTEXT_H
#define SOCKSERVERD_WORKER_COROUTINE_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Where a suspended flow of control goes on. Of the thread's own stack: all zeroes at first. */
struct context {
    /* for the checkers: its stack's lowest byte, NULL: the thread's own, not known yet */
    const char *stack;
    size_t size;
    void *checker; /* what the address or thread sanitizer knows it by */
    void *place;   /* the saved stack pointer, or a ucontext_t on that stack */
};

/*
 * Makes a context that will call entry(argument) on the given stack when it is
 * first switched to. entry() calls context_begun() before all else, and must
 * not return.
 */
void context_init(struct context *context, void *stack, size_t size, void (*entry)(void *),
                  void *argument);
void context_begun(void);

/* Before its stack is unmapped or used for another context. Not for the one that runs. */
void context_done(struct context *context);

/* Makes the calling thread's own flow of control a context to switch from. */
void context_init_thread(struct context *context);
void context_done_thread(struct context *context);

/* Saves the running context in from and goes on in to. Costs no system call (but see below). */
void context_switch(struct context *from, struct context *to);

/* Like it, but the running context is not to be continued: its memory may be used anew. */
_Noreturn void context_leave(struct context *from, struct context *to);

/*
 * Whether swapcontext(3) does the work, with two system calls a switch: on a
 * processor that has no code here, or where the kernel keeps a shadow stack.
 */
bool context_is_slow(void);

#endif
