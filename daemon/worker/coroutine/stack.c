/* SPDX-License-Identifier: MIT */
/*
 * stack.c - memory for the stacks of coroutines
 *
 * A mapping for each, with a guard below. The guard is installed without a
 * mapping of its own where the kernel can (Linux 6.13): a process may have
 * only so many mappings.
 *
 * Runs in:  the event loops of a worker.
 * Owns:     nothing; the caller keeps struct stack.
 * Failures: returned.
 */
#include "worker/coroutine/stack.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(low, high) 0u
#define VALGRIND_STACK_DEREGISTER(id)      ((void)(id))
#endif

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

static size_t
round_to_pages(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (size + page - 1) / page * page;
}

int
stack_map(size_t size, struct stack *ret)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK;

    size = round_to_pages(size);
    char *low = mmap(NULL, STACK_GUARD + size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (low == MAP_FAILED)
        return -errno;
    (void)madvise(low, STACK_GUARD + size, MADV_NOHUGEPAGE);
    if (madvise(low, STACK_GUARD, MADV_GUARD_INSTALL) < 0 &&
        mprotect(low, STACK_GUARD, PROT_NONE) < 0) {
        int error = -errno;
        (void)munmap(low, STACK_GUARD + size);
        return error;
    }
    *ret = (struct stack){.low = low + STACK_GUARD, .size = size};
    ret->checker = (unsigned)VALGRIND_STACK_REGISTER(ret->low, ret->low + size);
    return 0;
}

void
stack_unmap(struct stack *stack)
{
    if (stack->low == NULL)
        return;
    VALGRIND_STACK_DEREGISTER(stack->checker);
    (void)munmap(stack->low - STACK_GUARD, STACK_GUARD + stack->size);
    *stack = (struct stack){0};
}

bool
stack_guards(const struct stack *stack, const void *address)
{
    uintptr_t low = (uintptr_t)stack->low, place = (uintptr_t)address;

    return low != 0 && place < low + STACK_GUARD && place >= low - STACK_GUARD;
}
