/* SPDX-License-Identifier: MIT */
/*
 * coroutine.h - an event loop, and coroutines that wait in it
 *
 * A loop belongs to one thread, as do its coroutines, and only that thread
 * calls these functions; any thread may call loop_wake(). Nothing here knows
 * requests or settings.
 */
#ifndef SOCKSERVERD_WORKER_COROUTINE_COROUTINE_H
#define SOCKSERVERD_WORKER_COROUTINE_COROUTINE_H

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "worker/coroutine/context.h"
#include "worker/coroutine/inbox.h"
#include "worker/coroutine/stack.h"
#include "worker/coroutine/timers.h"

enum coroutine_state {
    COROUTINE_FREE,             /* may be started */
    COROUTINE_READY,            /* in the queue of those that can go on */
    COROUTINE_RUNNING,          /* the one */
    COROUTINE_WAITING,          /* for its connection, or only for the time */
    COROUTINE_WAITING_ELSEWHERE /* for another descriptor */
};

/*
 * Lives at the top of its own stack; above it is the user's part,
 * coroutine_extra(). Among many coroutines each one's memory is cold when its
 * turn comes: what a turn looks at lies together, in the second line of the
 * cache, and the user's part begins with the third.
 */
struct coroutine {
    struct stack stack;
    struct coroutine *next; /* in the queue, or of the free ones */
    uint32_t sequence;      /* tells an event of a wait elsewhere from one of an earlier */
    bool begun;             /* its context has been started once, and waits for work if free */
    struct context context;

    struct loop *loop;
    struct timer timer;
    enum coroutine_state state;
    uint32_t index;
    uint32_t wanted; /* events that it waits for; those of its companion in the upper half */
    int result;      /* of the wait */

    /* its connection, and in the upper halves its companion: registered once, edge-triggered, when
     * it must first wait */
    uint32_t watched; /* events registered for; 0: not registered */
    uint32_t pending; /* came while it did not wait for them */
};

/*
 * What the C++ runtime keeps of a thread: which exceptions its catch blocks hold, and how many are
 * being thrown. It is a coroutine's own: each that waits in a catch block would else find there
 * what others have caught since. The layout is that of the C++ ABI.
 */
struct exception_state {
    void *caught;
    unsigned thrown;
#ifdef __ARM_EABI_UNWINDER__
    void *propagating;
#endif
};

struct loop {
    int epoll;
    int wakeup; /* eventfd */
    size_t stack_size;
    size_t extra; /* bytes of the user's part */
    uint32_t limit;
    uint32_t count; /* coroutines there are */
    uint32_t busy;  /* of which are not free */
    struct context context;
    struct coroutine **table; /* by index */
    uint32_t lowest;          /* no index below it is unused */
    struct coroutine *free;
    struct coroutine *ready, **ready_end;
    uint32_t turn; /* how many there have been */
    struct timers timers;
    struct exception_state *exceptions; /* of its thread; NULL: nobody throws any */
    struct inbox *inbox;                /* loop_inbox(); NULL: nobody has asked for it */

    /* for signal handlers */
    _Atomic int64_t since;               /* what runs now went on at this (rough) time; 0: asleep */
    _Atomic(struct coroutine *) current; /* the one that runs */

    /* the user's */
    void (*serve)(struct coroutine *coroutine);   /* the work of a coroutine once started */
    void (*abandon)(struct coroutine *coroutine); /* instead of the rest of it: pthread_exit() */
    void (*on_event)(struct loop *loop, unsigned number); /* of loop_watch() */
    void (*awake)(struct loop *loop);                     /* since has changed; may be NULL */
    /* what coroutine_inspect() runs; else NULL */
    void (*inspect)(struct coroutine *coroutine);
};

/* The callbacks are left to the caller. 0 or a negative errno. */
int loop_init(struct loop *loop, uint32_t limit, size_t stack_size, size_t extra);
/* What follows may run for a while: notes the time, at most once a tick of the rough clock. */
void loop_goes_on(struct loop *loop);
/* In its thread, before anything else there. */
void loop_enter(struct loop *loop);
/* No coroutine may be busy. */
void loop_done(struct loop *loop);

/* Reports events of another descriptor as on_event(number); flags such as EPOLLET may be added. */
int loop_watch(struct loop *loop, int fd, uint32_t events, unsigned number);
void loop_unwatch(struct loop *loop, int fd);

/*
 * Waits until something happens, but no longer than until a time, and lets
 * every coroutine that can go on do so once.
 */
void loop_turn(struct loop *loop, int64_t until);

/* Ends its wait. From any thread. Async-signal-safe. */
void loop_wake(struct loop *loop);

/* Every coroutine that waits goes on, with -ECANCELED; which: those of which it is true. */
void loop_cancel(struct loop *loop, bool (*which)(struct coroutine *coroutine));

/*
 * Calls inspect() on the stack of a coroutine that waits, or could go on: where its
 * frames can be looked at. It stays as it was. inspect() must not wait.
 */
void coroutine_inspect(struct coroutine *coroutine, void (*inspect)(struct coroutine *coroutine));

/* One that waits goes on, with this result of its wait. Others, which will be told otherwise, are
 * left alone. In the loop's thread. */
void coroutine_end_wait(struct coroutine *coroutine, int result);

/* ---- a loop's coroutines -------------------------------------------------------- */

/* A free coroutine, made if need be; NULL and *ret_error: -EAGAIN at the limit, -ENOMEM. */
struct coroutine *coroutine_take(struct loop *loop, int *ret_error);
/* Runs it until it waits or ends. */
void coroutine_start(struct coroutine *coroutine);
/* Makes it free again without running it. */
void coroutine_give_back(struct coroutine *coroutine);
/* Frees those that are not busy until so many are left. forget() gets each one's user part first.
 */
void coroutines_trim(struct loop *loop, uint32_t left, void (*forget)(struct coroutine *coroutine));

/* ---- from the running coroutine ------------------------------------------------ */

/* Lets the others go first. */
void coroutine_yield(struct coroutine *coroutine);

/*
 * Waits for events of poll(2) on any descriptor (-1: only for the time)
 * until a time. The events, 0 when it has come, -ECANCELED, or another error.
 */
int coroutine_wait(struct coroutine *coroutine, int fd, short events, int64_t until);

/*
 * The same for its connection, after EAGAIN or for what comes next. May return
 * too early. afresh: the descriptor may have been tampered with.
 */
int coroutine_wait_connection(struct coroutine *coroutine, int fd, short events, int64_t until,
                              bool afresh);
/*
 * Waits for events on its connection (fds[0]) or a companion of it (fds[1]), which stays registered
 * until coroutine_leave_companion(). An entry whose fd is negative is left out. Fills in revents.
 * 1, 0 when the time has come, -ECANCELED, or another error. May return too early; whoever calls
 * has found nothing more to do with what it waits for.
 */
int coroutine_wait_both(struct coroutine *coroutine, struct pollfd fds[2], int64_t until);
void coroutine_leave_companion(struct coroutine *coroutine, int fd);
/* A new connection: the last one's registration went with its descriptor. */
void coroutine_forget_connection(struct coroutine *coroutine);

static inline void *
coroutine_extra(struct coroutine *coroutine)
{
    return coroutine + 1;
}

/* ---- between coroutine.c and loop.c -------------------------------------------- */

/* What an event is about: in the upper half of its data. */
#define ABOUT_CONNECTION 0ull         /* of the coroutine in the lower half */
#define ABOUT_WAKEUP     (1ull << 32) /* loop_wake() */
#define ABOUT_OTHER      (2ull << 32) /* the number of loop_watch() */
#define ABOUT_COMPANION  (4ull << 32) /* as ABOUT_CONNECTION, of its companion */
#define ABOUT_INBOX      (8ull << 32) /* another thread has put something there */
#define ABOUT_FOREIGN    (1ull << 63) /* descriptor of a coroutine; with the wait's sequence */
#define SEQUENCE_MASK    0x7fffffffu

#define COMPANION_BITS 16 /* to the left of them are the events of a companion */
#define OWN_EVENTS     ((1u << COMPANION_BITS) - 1)
/* These are true of a connection for good, once they have come. */
#define ENDS    ((uint32_t)(EPOLLHUP | EPOLLRDHUP))
#define LASTING (ENDS | ENDS << COMPANION_BITS)

/* Lets it run until it waits, yields or ends. */
void coroutine_resume(struct coroutine *coroutine);
/* It can go on, when its turn comes. */
void coroutine_enqueue(struct coroutine *coroutine);

#endif
