/* SPDX-License-Identifier: MIT */
/*
 * context.c - several stacks in one thread, and switching between them
 *
 * The switch is a few instructions: it keeps what the processor's calling
 * convention asks a function to keep, the floating-point modes included, and
 * not the signal mask, which all contexts of a thread share. A context never
 * moves to another thread, so that addresses of thread-local variables which
 * the compiler keeps across a switch stay right.
 *
 * Runs in:  the event loops of a worker.
 * Owns:     nothing; stacks are the callers'.
 * Failures: none.
 */
#include "worker/coroutine/context.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "common/checked.h"

#if CHECKED_ADDRESS
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if CHECKED_THREAD
#include <sanitizer/tsan_interface.h>
#endif

/*
 * context_swap(&from->place, to->place) pushes what must survive, exchanges
 * stack pointers and pops what the other side had pushed. context_begin is
 * what a fresh context "returns" to; it calls entry(argument).
 */
#if defined(__x86_64__) && !defined(__ILP32__)
#define HAVE_SWAP 1
__asm__(".pushsection .text\n"
        ".balign 16\n"
        ".hidden context_swap\n"
        ".globl context_swap\n"
        ".type context_swap, @function\n"
        "context_swap:\n"
        "    .cfi_startproc\n"
        "    endbr64\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    subq $8, %rsp\n"
        "    .cfi_adjust_cfa_offset 56\n"
        "    stmxcsr (%rsp)\n"
        "    fnstcw 4(%rsp)\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    ldmxcsr (%rsp)\n"
        "    fldcw 4(%rsp)\n"
        "    addq $8, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    .cfi_adjust_cfa_offset -56\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size context_swap, . - context_swap\n"
        ".balign 16\n"
        ".hidden context_begin\n"
        ".globl context_begin\n"
        ".type context_begin, @function\n"
        "context_begin:\n"
        "    .cfi_startproc\n"
        "    .cfi_undefined rip\n" /* nobody called us: backtraces end here */
        "    endbr64\n"
        "    movq %r13, %rdi\n"
        "    xorl %ebp, %ebp\n"
        "    callq *%r12\n"
        "    ud2\n"
        "    .cfi_endproc\n"
        ".size context_begin, . - context_begin\n"
        ".popsection\n");

/* As pushed above: modes, r15, r14, r13, r12, rbx, rbp, and the address to return to. */
enum { SAVED_MODES, SAVED_ARGUMENT = 3, SAVED_ENTRY, SAVED_RETURN = 7, SAVED_WORDS };

static uint64_t
current_modes(void)
{
    uint32_t mxcsr;
    uint16_t control;

    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr), "=m"(control));
    return mxcsr | (uint64_t)control << 32;
}

/* A shadow stack has its own idea of where a function returns to. */
static bool
has_shadow_stack(void)
{
    uint64_t pointer = 0;

    __asm__ volatile("rdsspq %0" : "+r"(pointer)); /* does nothing where there is none */
    return pointer != 0;
}

#elif defined(__aarch64__)
#define HAVE_SWAP 1
__asm__(".pushsection .text\n"
        ".balign 16\n"
        ".hidden context_swap\n"
        ".globl context_swap\n"
        ".type context_swap, %function\n"
        "context_swap:\n"
        "    .cfi_startproc\n"
        "    hint #34\n" /* bti c */
        "    sub sp, sp, #176\n"
        "    .cfi_adjust_cfa_offset 176\n"
        "    stp x19, x20, [sp, #0]\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mrs x9, fpcr\n"
        "    str x9, [sp, #160]\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    mov sp, x1\n"
        "    ldr x9, [sp, #160]\n"
        "    msr fpcr, x9\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp x29, x30, [sp, #80]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x19, x20, [sp, #0]\n"
        "    add sp, sp, #176\n"
        "    .cfi_adjust_cfa_offset -176\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size context_swap, . - context_swap\n"
        ".balign 16\n"
        ".hidden context_begin\n"
        ".globl context_begin\n"
        ".type context_begin, %function\n"
        "context_begin:\n"
        "    .cfi_startproc\n"
        "    .cfi_undefined x30\n" /* nobody called us: backtraces end here */
        "    mov x0, x20\n"
        "    mov x29, #0\n"
        "    blr x19\n"
        "    brk #1\n"
        "    .cfi_endproc\n"
        ".size context_begin, . - context_begin\n"
        ".popsection\n");

enum { SAVED_ENTRY = 0, SAVED_ARGUMENT, SAVED_RETURN = 11, SAVED_MODES = 20, SAVED_WORDS = 22 };

static uint64_t
current_modes(void)
{
    uint64_t modes;

    __asm__ volatile("mrs %0, fpcr" : "=r"(modes));
    return modes;
}

static bool
has_shadow_stack(void)
{
    return false;
}

#else
#define HAVE_SWAP 0
#endif

bool
context_is_slow(void)
{
#if HAVE_SWAP && !defined(SOCKSERVERD_SLOW_CONTEXTS)
    static _Atomic signed char known; /* 1: slow, -1: not */

    signed char slow = atomic_load_explicit(&known, memory_order_relaxed);
    if (slow == 0) {
        slow = has_shadow_stack() ? 1 : -1;
        atomic_store_explicit(&known, slow, memory_order_relaxed);
    }
    return slow > 0;
#else
    return true;
#endif
}

/* ---- the two ways to switch ---------------------------------------------------- */

#if HAVE_SWAP
void context_swap(void **from, void *to);
void context_begin(void);

static void *
first_place(char *top, void (*entry)(void *), void *argument)
{
    /* 16 bytes are left so that entry finds its stack aligned, with zeroes above. */
    uint64_t *frame = (uint64_t *)(void *)(top - 16) - SAVED_WORDS;

    memset(frame, 0, SAVED_WORDS * sizeof(*frame));
    frame[SAVED_MODES] = current_modes();
    frame[SAVED_ENTRY] = (uint64_t)(uintptr_t)entry;
    frame[SAVED_ARGUMENT] = (uint64_t)(uintptr_t)argument;
    frame[SAVED_RETURN] = (uint64_t)(uintptr_t)context_begin;
    return frame;
}
#endif

/* makecontext(3) passes int arguments only. */
static void
begin_slowly(unsigned entry_high, unsigned entry_low, unsigned argument_high, unsigned argument_low)
{
    void (*entry)(void *) = (void (*)(void *))(uintptr_t)((uint64_t)entry_high << 32 | entry_low);

    entry((void *)(uintptr_t)((uint64_t)argument_high << 32 | argument_low));
    abort();
}

static void *
first_slow_place(char *stack, char *top, void (*entry)(void *), void *argument)
{
    uint64_t from = (uint64_t)(uintptr_t)entry, with = (uint64_t)(uintptr_t)argument;
    ucontext_t *place = (ucontext_t *)(void *)(top - ((sizeof(*place) + 63) & ~(size_t)63));

    (void)getcontext(place);
    place->uc_link = NULL;
    place->uc_stack.ss_sp = stack;
    place->uc_stack.ss_size = (size_t)((char *)place - stack);
    makecontext(place, (void (*)(void))begin_slowly, 4, (unsigned)(from >> 32), (unsigned)from,
                (unsigned)(with >> 32), (unsigned)with);
    return place;
}

/* ---- contexts --------------------------------------------------------------------- */

void
context_init(struct context *context, void *stack, size_t size, void (*entry)(void *),
             void *argument)
{
    char *top = (char *)((uintptr_t)((char *)stack + size) & ~(uintptr_t)15);

    *context = (struct context){.stack = stack, .size = size};
#if HAVE_SWAP
    if (!context_is_slow())
        context->place = first_place(top, entry, argument);
#endif
    if (context_is_slow())
        context->place = first_slow_place(stack, top, entry, argument);
#if CHECKED_THREAD
    context->checker = __tsan_create_fiber(0);
#endif
}

void
context_done(struct context *context)
{
#if CHECKED_THREAD
    if (context->checker != NULL)
        __tsan_destroy_fiber(context->checker);
#endif
#if CHECKED_ADDRESS
    if (context->size > 0)
        __asan_unpoison_memory_region(context->stack, context->size);
#endif
    *context = (struct context){0};
}

void
context_init_thread(struct context *context)
{
    *context = (struct context){0};
    if (context_is_slow())
        context->place = calloc(1, sizeof(ucontext_t));
#if CHECKED_THREAD
    context->checker = __tsan_get_current_fiber();
#endif
}

void
context_done_thread(struct context *context)
{
    if (context_is_slow())
        free(context->place);
    *context = (struct context){0};
}

static inline void
swap(struct context *from, struct context *to)
{
#if HAVE_SWAP
    if (!context_is_slow()) {
        context_swap(&from->place, to->place);
        return;
    }
#endif
    (void)swapcontext(from->place, to->place);
}

#if CHECKED_ADDRESS

/* Who switched here last: the sanitizer tells us how large its stack is. */
static _Thread_local struct context *switched_from;

static void
begin_checked_switch(struct context *from, const struct context *to, void **fake_stack)
{
    switched_from = from;
    __sanitizer_start_switch_fiber(fake_stack, to->stack, to->size);
}

static void
end_checked_switch(void *fake_stack)
{
    const void *stack;
    size_t size;

    __sanitizer_finish_switch_fiber(fake_stack, &stack, &size);
    if (switched_from->stack == NULL) {
        switched_from->stack = stack;
        switched_from->size = size;
    }
}

#else

static inline void
begin_checked_switch(const struct context *from, const struct context *to, void **fake_stack)
{
    (void)from;
    (void)fake_stack;
#if CHECKED_THREAD
    __tsan_switch_to_fiber(to->checker, 0);
#else
    (void)to;
#endif
}

static inline void
end_checked_switch(void *fake_stack)
{
    (void)fake_stack;
}

#endif

void
context_begun(void)
{
    end_checked_switch(NULL);
}

void
context_switch(struct context *from, struct context *to)
{
    void *fake_stack = NULL;

    begin_checked_switch(from, to, &fake_stack);
    swap(from, to);
    end_checked_switch(fake_stack);
}

_Noreturn void
context_leave(struct context *from, struct context *to)
{
    begin_checked_switch(from, to, NULL);
    swap(from, to);
    abort();
}
