/* SPDX-License-Identifier: MIT */
/*
 * stage.h - where a request of a test runs, as the test sees it
 *
 * A stage lies in memory that the test shares with its children, so that it makes no difference
 * whether the request's context is a thread or a process. The context says in it what it waits
 * for; the test changes the world, and then kicks the context, which looks again. A context that
 * waits and has seen the last kick is quiet: nothing will happen before the test does something, or
 * something outside of the test, such as another server, does.
 */
#ifndef SOCKSERVERD_TESTING_STAGE_H
#define SOCKSERVERD_TESTING_STAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pollfd;
struct ss_request;

/*
 * Who decides what happens next where a request runs in the test's own thread: called whenever it
 * would have to wait until then, for these entries. Afterwards the request looks again.
 */
typedef void stage_director(struct ss_request *request, struct pollfd *fds, size_t count,
                            int64_t until);

#define STAGES 256 /* requests of a test at a time */

enum play_state { PLAY_NONE, PLAY_RUNS, PLAY_WAITS, PLAY_ENDED };

/* The hooks whose calls are counted. */
enum hook { HOOK_VERIFY, HOOK_SETUP, HOOK_HANDLE, HOOK_FINISH, HOOK_ERROR, HOOK_COUNT };

struct stage {
    _Atomic uint32_t state;   /* enum play_state */
    _Atomic uint32_t kicks;   /* by the test */
    _Atomic uint32_t seen;    /* of these, by the context */
    _Atomic uint32_t runs;    /* how often a wait has ended */
    _Atomic int64_t until;    /* when its wait ends */
    _Atomic int32_t thread;   /* its id, as the kernel has it */
    _Atomic bool outside;     /* it waits for something that is not the client */
    int kick;                 /* an eventfd */
    int bell;                 /* an eventfd of the test's: something has changed */
    stage_director *director; /* NULL: the test, in another thread */
    unsigned futile;          /* how often a wait was cut; with a director */
    bool shares;              /* its thread is that of all others: "coroutine" */

    _Atomic bool wake; /* the test has asked for an ss_wake() */

    /* what the client's connection is like */
    _Atomic bool reset;
    _Atomic bool held;            /* the client takes nothing */
    _Atomic uint64_t portion;     /* the most that one send takes; 0: all */
    _Atomic uint64_t break_after; /* bytes until it is reset; UINT64_MAX: never */
    bool stalled;                 /* the last send was short: the next one finds no room */

    /* what has become of the request */
    _Atomic uint32_t calls[HOOK_COUNT];
    int setup_result, handle_result;
    char outcome[256];
    char left[128]; /* a descriptor that its process left open */
};

/* Gets an empty stage of those that all tests of the process share; NULL: there is none, or no
 * memory, or no descriptor. */
struct stage *stage_take(int bell, bool shares);
void stage_release(struct stage *stage);

/* Its number, from 0 on, and the stage of a number. */
size_t stage_number(const struct stage *stage);
struct stage *stage_of(ptrdiff_t number);

/* ---- for the context -------------------------------------------------------------- */

/* The calling thread's, or NULL. */
extern _Thread_local struct stage *stage_own;

void stage_enter(struct stage *stage);
void stage_leave(void);
void stage_note_outcome(const char *text);

/* As mixin->wait_both(), of any number of entries. */
int stage_wait(struct ss_request *request, struct pollfd *fds, size_t count, int64_t until);

/* A request with a director was cut, and tries to wait again and again. */
_Noreturn void stage_fail(struct ss_request *request);

/* ---- for the test ----------------------------------------------------------------- */

void stage_kick(struct stage *stage);

/* Whether it waits, and has looked at the world as it is, or has ended. */
bool stage_is_quiet(const struct stage *stage);

#endif
