/* SPDX-License-Identifier: MIT */
/*
 * play.c - the requests of a test, each in a thread or a child as its mixin wants it
 *
 * The test takes connection or datagram; a context of its own does the rest by
 * request_process(), as in a worker. Under "none" one request runs at a time; under "coroutine"
 * the contexts take turns at one lock, so that whoever blocks it blocks all; under "forking"
 * they are children of the test.
 *
 * Runs in:  the test's thread; play_main() and what it calls in the request's context.
 * Owns:     the requests, their stages and contexts.
 * Failures: returned; how a child ended is noted in its play.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/child.h"
#include "common/clock.h"
#include "testing/rig.h"
#include "testing/script.h"
#include "worker/request/exec.h"

/* Only their addresses count: NULL where the program has no such runtime. */
extern void __asan_init(void) __attribute__((weak));
extern void __tsan_init(void) __attribute__((weak));
extern void __gcov_dump(void) __attribute__((weak));

/* ---- the hooks, counted ----------------------------------------------------------- */

static const struct plugin_hooks *
hooks_of(const struct ss_request *request)
{
    const char *server = (const char *)request->server;

    return &((const struct rig *)(const void *)(server - offsetof(struct rig, server)))->hooks;
}

static void
count_call(enum hook hook)
{
    atomic_fetch_add(&stage_own->calls[hook], 1);
}

static bool
counted_verify_request(struct ss_request *request)
{
    count_call(HOOK_VERIFY);
    return hooks_of(request)->verify_request(request);
}

static int
counted_setup(struct ss_request *request)
{
    count_call(HOOK_SETUP);
    return stage_own->setup_result = hooks_of(request)->setup(request);
}

static int
counted_handle(struct ss_request *request)
{
    count_call(HOOK_HANDLE);
    return stage_own->handle_result = hooks_of(request)->handle(request);
}

static void
counted_finish(struct ss_request *request)
{
    count_call(HOOK_FINISH);
    hooks_of(request)->finish(request);
}

static void
counted_handle_error(struct ss_request *request, int error)
{
    count_call(HOOK_ERROR);
    hooks_of(request)->handle_error(request, error);
}

void
hooks_wrap(struct rig *rig)
{
    struct plugin_hooks *hooks = &rig->server.plugin.hooks;

    hooks->verify_request = hooks->verify_request != NULL ? counted_verify_request : NULL;
    hooks->setup = hooks->setup != NULL ? counted_setup : NULL;
    hooks->handle = counted_handle;
    hooks->finish = hooks->finish != NULL ? counted_finish : NULL;
    hooks->handle_error = hooks->handle_error != NULL ? counted_handle_error : NULL;
}

/* ---- in the request's context ----------------------------------------------------- */

static void
end_context(struct ss_request *request)
{
    counter_set(request->slot->state, SLOT_FREE);
    request_free(request);
    buffers_done_thread();
    stage_leave();
}

/* The handler has ended its thread. */
static void
abandon(void *argument)
{
    request_abandon(argument);
    end_context(argument);
}

static void
run(struct ss_request *request, struct stage *stage)
{
    stage_enter(stage);
    counter_set(request->slot->context, gettid());
    pthread_cleanup_push(abandon, request);
    request_take(request);
    request_process(request);
    pthread_cleanup_pop(0);
}

static void *
thread_main(void *argument)
{
    struct ss_request *request = argument;
    const char *server = (const char *)request->server;
    const struct rig *rig = (const void *)(server - offsetof(struct rig, server));
    struct stage *stage = stage_of(request->slot - rig->server.counters->slots);

    run(request, stage);
    end_context(request);
    return NULL;
}

/* The clients' ends are the test's: while a child has them, too, nobody sees them closed. */
static void
close_clients(struct rig *rig, const struct play *own)
{
    for (struct ss_test *client = rig->clients; client != NULL; client = client->next)
        if (client->fd >= 0)
            (void)close(client->fd);
    for (struct play *play = rig->plays; play != NULL; play = play->next)
        if (play != own && play->fd >= 0)
            (void)close(play->fd);
}

static _Noreturn void
child_main(struct play *play)
{
    struct ss_request *request = play->request;
    struct stage *stage = play->stage;
    unsigned char *before;

    close_clients(play->rig, play);
    int fd = request->fd;
    descriptors_note(&before);
    if (before != NULL && fd >= 0 && play->rig->stream)
        before[fd] = 0; /* the daemon closes it */
    run(request, stage);
    char *left = descriptors_left(before);
    if (left != NULL && !play->rig->keeps)
        (void)snprintf(stage->left, sizeof(stage->left), "%s", left);
    end_context(request);
    if (__gcov_dump != NULL)
        __gcov_dump();
    _exit(0);
}

/* ---- starting them ---------------------------------------------------------------- */

struct play *
play_new(struct rig *rig, int fd)
{
    struct play *play = calloc(1, sizeof(*play));
    struct play **place = &rig->plays;

    if (play == NULL)
        return NULL;
    play->rig = rig;
    play->fd = fd;
    while (*place != NULL)
        place = &(*place)->next;
    *place = play;
    rig->requests++;
    return play;
}

static int
get_request(struct play *play)
{
    struct rig *rig = play->rig;
    struct counters *counters = rig->server.counters;
    const enum mixin_kind mixin = rig->server.settings.mixin;
    int number = mixin == MIXIN_NONE ? 0 : (int)rig->requests;
    int error = request_new(&rig->server, &counters->slots[stage_number(play->stage)],
                            script_kinds[mixin], number, &play->request);

    if (error < 0)
        return error;
    script_connection(play->fd);
    error = rig->server.transport->get_request(play->request);
    if (error < 0)
        request_free(play->request);
    return error;
}

/* What the plugin is compiled with makes its frames larger. */
static size_t
stack_size(const struct rig *rig)
{
    const enum mixin_kind mixin = rig->server.settings.mixin;
    size_t size = (size_t)rig->server.settings.stack_size;
    struct rlimit limit = {.rlim_cur = 8 << 20};

    if (mixin == MIXIN_NONE && getrlimit(RLIMIT_STACK, &limit) == 0)
        size = limit.rlim_cur > (64 << 20) ? 64 << 20 : (size_t)limit.rlim_cur;
    if (__asan_init != NULL || __tsan_init != NULL)
        size *= 4;
    size_t least = (size_t)PTHREAD_STACK_MIN * 2;
    return size > least ? size : least;
}

static int
start_thread(struct play *play)
{
    pthread_attr_t attributes;

    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, stack_size(play->rig));
    int error = pthread_create(&play->thread, &attributes, thread_main, play->request);
    (void)pthread_attr_destroy(&attributes);
    play->threaded = error == 0;
    return -error;
}

static int
start_child(struct play *play)
{
    (void)fflush(NULL);
    play->child = fork();
    if (play->child < 0) {
        play->child = 0;
        return -errno;
    }
    if (play->child == 0)
        child_main(play);
    if (play->fd >= 0)
        (void)close(play->fd);
    request_free(play->request);
    return 0;
}

/* Finds it a stage that is as its client wants it, and takes connection or datagram. */
static int
prepare(struct play *play)
{
    struct rig *rig = play->rig;

    play->stage = stage_take(rig->bell, rig->server.settings.mixin == MIXIN_COROUTINE);
    if (play->stage == NULL)
        return -EAGAIN;
    struct ss_test *client = play->client;
    if (client != NULL) {
        atomic_store(&play->stage->held, client->held);
        atomic_store(&play->stage->portion, client->portion);
        atomic_store(&play->stage->break_after, client->break_after);
    }
    return get_request(play);
}

static int
start(struct play *play)
{
    int error = prepare(play);

    if (error == 0)
        error = play->rig->server.mixin->processes ? start_child(play) : start_thread(play);
    play->request = NULL;
    play->fd = -1;
    return error;
}

int
play_perform(struct play *play, stage_director *director)
{
    int error = prepare(play);

    if (error < 0)
        return error;
    play->stage->director = director;
    run(play->request, play->stage);
    end_context(play->request);
    play->request = NULL;
    play->fd = -1;
    return 0;
}

void
stage_fail(struct ss_request *request)
{
    char *server = (char *)request->server;

    fail((struct rig *)(void *)(server - offsetof(struct rig, server)),
         "the request goes on although it was cut: -ECANCELED is the end");
}

bool
play_has_ended(const struct play *play)
{
    return play->stage != NULL && atomic_load(&play->stage->state) == PLAY_ENDED;
}

bool
play_is_program(const struct play *play)
{
    const struct counters *counters = play->rig->server.counters;

    return play->child > 0 && play->stage != NULL && !play_has_ended(play) &&
           counter_get(counters->slots[stage_number(play->stage)].program) != 0;
}

void
play_interrupt(const struct play *play)
{
    if (play->stage == NULL || play_has_ended(play) || play_is_program(play))
        return;
    if (play->threaded)
        (void)pthread_kill(play->thread, SIGURG);
    else if (play->child > 0)
        (void)kill(play->child, SIGURG);
}

unsigned
plays_active(const struct rig *rig)
{
    unsigned active = 0;

    for (const struct play *play = rig->plays; play != NULL; play = play->next)
        active += play->stage != NULL && !play_has_ended(play);
    return active;
}

int
plays_start(struct rig *rig)
{
    int started = 0;

    for (struct play *play = rig->plays; play != NULL; play = play->next) {
        if (play->stage != NULL)
            continue;
        if (plays_active(rig) >= rig->server.settings.max_connections)
            break;
        int error = start(play);
        if (error < 0)
            return error;
        rig->last_activity = monotonic_now();
        started = 1;
    }
    return started;
}

/* ---- their end -------------------------------------------------------------------- */

/* Its process has ended, and the stage may not know. */
static void
note_end(struct play *play, int status)
{
    struct stage *stage = play->stage;
    char text[CHILD_FATE_SIZE];

    if (play_is_program(play)) {
        struct counters *counters = play->rig->server.counters;
        stage_own = stage;
        exec_account(&play->rig->server, &counters->slots[stage_number(stage)], status);
        stage_own = NULL;
    } else if (!play_has_ended(play)) {
        play->fate = strdup(child_fate_of(status, text));
    }
    play->child = 0;
    atomic_store(&stage->state, PLAY_ENDED);
}

void
plays_reap(struct rig *rig)
{
    for (struct play *play = rig->plays; play != NULL; play = play->next) {
        int status;
        if (play->child > 0 && waitpid(play->child, &status, WNOHANG) == play->child)
            note_end(play, status);
    }
}

static void
play_free(struct play *play)
{
    int status;

    if (play->threaded)
        (void)pthread_join(play->thread, NULL);
    if (play->child > 0)
        (void)waitpid(play->child, &status, 0);
    if (play->stage != NULL)
        stage_release(play->stage);
    if (play->fd >= 0)
        (void)close(play->fd);
    free(play->fate);
    free(play);
}

char *
play_problem(const struct rig *rig, const struct play *play)
{
    const struct stage *stage = play->stage;
    bool was_set_up = atomic_load(&stage->calls[HOOK_HANDLE]) > 0;
    unsigned finished = atomic_load(&stage->calls[HOOK_FINISH]);
    char *text = NULL;
    int size = 0;

    if (play->fate != NULL)
        size = asprintf(&text, "a request's process %s", play->fate);
    else if (stage->left[0] != '\0')
        size = asprintf(&text, "in a request's process, %s", stage->left);
    else if (rig->hooks.finish != NULL && finished != was_set_up &&
             strcmp(stage->outcome, "abandoned by its handler") != 0)
        size = asprintf(&text, "finish was called %u times", finished);
    return size < 0 ? NULL : text;
}

void
plays_sweep(struct rig *rig)
{
    struct play **place = &rig->plays;

    while (*place != NULL) {
        struct play *play = *place;
        if (!play->let_go || (play->stage != NULL && !play_has_ended(play))) {
            place = &play->next;
            continue;
        }
        *place = play->next;
        if (play->stage != NULL && rig->problem == NULL)
            rig->problem = play_problem(rig, play); /* which ss_test_done() tells */
        play_free(play);
    }
}
