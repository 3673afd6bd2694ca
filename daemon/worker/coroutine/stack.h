/* SPDX-License-Identifier: MIT */
/*
 * stack.h - memory for the stacks of coroutines
 */
#ifndef SOCKSERVERD_WORKER_COROUTINE_STACK_H
#define SOCKSERVERD_WORKER_COROUTINE_STACK_H

#include <stdbool.h>
#include <stddef.h>

/* Below a stack, never to be touched: larger than any step by which it may be missed. */
#define STACK_GUARD (64u * 1024)

struct stack {
    char *low; /* its lowest byte; the guard lies below */
    size_t size;
    unsigned checker; /* what valgrind knows it by */
};

/* Maps a stack of at least so many bytes; they cost memory once touched. 0 or a negative errno. */
int stack_map(size_t size, struct stack *ret);
void stack_unmap(struct stack *stack);

/*
 * Whether a fault at this address is an overflow of this stack: in its guard,
 * or (threads count it to the stack) as far above. Async-signal-safe.
 */
bool stack_guards(const struct stack *stack, const void *address);

#endif
