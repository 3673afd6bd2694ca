/* SPDX-License-Identifier: MIT */
/*
 * test_coroutine.c - switching, sleeping and taking turns, without any request
 */
#include "common/checked.h"
#include "common/clock.h"
#include "coroutine_fixture.h"

/* ---- switching --------------------------------------------------------------------- */

#if defined(__x86_64__)
/* Fills the registers that a function must keep, calls yield(coroutine), and tells if they were. */
__asm__(".pushsection .text\n"
        "call_with_registers:\n"
        "    pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
        "    pushq %rdx\n"
        "    movq %rdx, %rbx\n"
        "    leaq 1(%rdx), %rbp\n"
        "    leaq 2(%rdx), %r12\n"
        "    leaq 3(%rdx), %r13\n"
        "    leaq 4(%rdx), %r14\n"
        "    leaq 5(%rdx), %r15\n"
        "    callq *%rsi\n"
        "    popq %rdx\n"
        "    leaq (%rbx,%rbp), %rax\n"
        "    addq %r12, %rax\n"
        "    addq %r13, %rax\n"
        "    addq %r14, %rax\n"
        "    addq %r15, %rax\n"
        "    imulq $6, %rdx\n"
        "    addq $15, %rdx\n"
        "    cmpq %rdx, %rax\n"
        "    sete %al\n"
        "    movzbl %al, %eax\n"
        "    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx\n"
        "    ret\n"
        ".popsection\n");
int call_with_registers(struct coroutine *coroutine, void (*yield)(struct coroutine *),
                        uint64_t mark);

static void
keep_registers(struct coroutine *coroutine, struct work *work)
{
    for (int i = 0; i < 3; i++)
        work->result += call_with_registers(coroutine, coroutine_yield,
                                            (uint64_t)work->steps * 0x0101010101010101u);
}
#endif

static void
a_switch_keeps_registers(void **state)
{
    struct work works[3] = {{0}};

    (void)state;
#if !defined(__x86_64__)
    print_message("skipped: written for the registers of x86-64\n");
    skip();
#else
    start_loop(3);
    for (int i = 0; i < 3; i++) {
        works[i] = (struct work){.run = keep_registers, .steps = i + 1};
        start(&works[i]);
    }
    run_loop();
    for (int i = 0; i < 3; i++)
        assert_int_equal(works[i].result, 3);
#endif
}

static void
keep_rounding(struct coroutine *coroutine, struct work *work)
{
    volatile double one = 1, three = 3;

    (void)fesetround(work->fd);
    for (int i = 0; i < 5; i++) {
        coroutine_yield(coroutine);
        work->steps += fegetround() == work->fd;
        work->result += one / three > 0.33333333333333331; /* the nearest double is below 1/3 */
    }
}

static void
a_switch_keeps_floating_point_modes(void **state)
{
    struct work up = {.run = keep_rounding, .fd = FE_UPWARD};
    struct work down = {.run = keep_rounding, .fd = FE_DOWNWARD};

    (void)state;
    start_loop(2);
    start(&up);
    start(&down);
    assert_int_equal(fegetround(), FE_TONEAREST);
    run_loop();
    assert_int_equal(fegetround(), FE_TONEAREST);
    assert_int_equal(up.steps, 5);
    assert_int_equal(down.steps, 5);
    assert_int_equal(up.result, 5);
    assert_int_equal(down.result, 0);
}

static void
yield_thrice(struct coroutine *coroutine, struct work *work)
{
    char frame[2000];

    memset(frame, (char)work->steps, sizeof(frame));
    for (int i = 0; i < 3; i++)
        coroutine_yield(coroutine);
    for (size_t i = 0; i < sizeof(frame); i++)
        work->result += frame[i] != (char)work->steps;
}

static void
a_hundred_thousand_begin_and_end(void **state)
{
    const int rounds = SANITIZED ? 10 : 100, crowd = 1000;
    struct work *works = calloc((size_t)crowd, sizeof(*works));
    int ended = 0;

    (void)state;
    start_loop((uint32_t)crowd);
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < crowd; i++) {
            works[i] = (struct work){.run = yield_thrice, .steps = i};
            start(&works[i]);
        }
        run_loop();
        for (int i = 0; i < crowd; i++)
            ended += works[i].done && works[i].result == 0;
        coroutines_trim(&loop, (uint32_t)(round % 2 ? 0 : crowd), NULL);
        assert_int_equal(loop.count, round % 2 ? 0 : crowd);
    }
    assert_int_equal(ended, rounds * crowd);
    free(works);
}

static void
exit_thread(struct coroutine *coroutine, struct work *work)
{
    coroutine_yield(coroutine);
    work->steps++;
    pthread_exit(NULL);
}

static void
a_thread_exit_ends_the_coroutine_alone(void **state)
{
    (void)state;
#if CHECKED_THREAD
    print_message("skipped: ThreadSanitizer knows pthread_exit() on a thread's own stack only\n");
    skip();
#endif
    start_loop(1);
    for (int i = 0; i < 3; i++) {
        struct work leaves = {.run = exit_thread}, stays = {.run = yield_thrice, .steps = 7};

        start(&leaves);
        run_loop();
        assert_int_equal(leaves.result, -ESRCH);
        assert_int_equal(leaves.steps, 1);
        assert_false(leaves.done);
        start(&stays); /* on the same stack */
        run_loop();
        assert_true(stays.done);
    }
}

static void
the_limit_is_told(void **state)
{
    struct work work = {.run = yield_thrice};
    int error = 0;

    (void)state;
    start_loop(1);
    start(&work);
    assert_null(coroutine_take(&loop, &error));
    assert_int_equal(error, -EAGAIN);
    run_loop();
    start(&work);
    run_loop();
}

/* ---- time ------------------------------------------------------------------------------ */

static void
timers_come_in_order_never_early_and_never_lost(void **state)
{
    enum { COUNT = 500 };
    static struct timer timers[COUNT];
    struct timers heap = {0};
    struct timer *timer;
    int64_t now = 0;

    (void)state;
    srand(1);
    memset(timers, 0, sizeof(timers));
    assert_int_equal(timers_reserve(&heap, COUNT), 0);
    for (int i = 0; i < COUNT; i++)
        timers[i].until = FOREVER;
    for (int step = 0; step < 20000; step++) {
        struct timer *one = &timers[rand() % COUNT];
        int64_t earliest = FOREVER, last = 0;

        if (rand() % 4 == 0)
            timer_clear(one);
        else if (rand() % 40 == 0)
            timers_remove(&heap, one);
        else
            timers_set(&heap, one, now + 1 + rand() % 1000);
        now += rand() % 20;
        for (int i = 0; i < COUNT; i++)
            earliest = timers[i].until < earliest ? timers[i].until : earliest;
        assert_true(timers_next(&heap) <= earliest);
        while (earliest <= now) {
            int64_t due = FOREVER;
            int64_t untils[COUNT];
            for (int i = 0; i < COUNT; i++)
                untils[i] = timers[i].until;
            timer = timers_expire(&heap, now);
            assert_non_null(timer);
            due = untils[timer - timers];
            assert_true(due <= now);
            assert_true(due >= last);
            assert_true(timer->until == FOREVER);
            last = due;
            earliest = FOREVER;
            for (int i = 0; i < COUNT; i++)
                earliest = timers[i].until < earliest ? timers[i].until : earliest;
        }
        assert_null(timers_expire(&heap, now));
    }
    timers_done(&heap);
}

static void
sleepers_wake_and_not_before_their_time(void **state)
{
    struct work works[200];
    int64_t now = monotonic_now();

    (void)state;
    start_loop(200);
    for (int i = 0; i < 200; i++) {
        works[i] = (struct work){.run = sleep_until, .time = now + (i * 7919 % 200) * MS / 2};
        start(&works[i]);
    }
    run_loop();
    for (int i = 0; i < 200; i++)
        assert_int_equal(works[i].result, 0);
}

/* ---- taking turns ------------------------------------------------------------------------ */

static bool enough;

static void
be_busy(struct coroutine *coroutine, struct work *work)
{
    for (; !enough; work->steps++)
        coroutine_yield(coroutine);
}

static void
make_progress(struct coroutine *coroutine, struct work *work)
{
    for (int i = 0; i < 50; i++, work->steps++)
        (void)coroutine_wait(coroutine, -1, 0, monotonic_now() + 1);
    enough = true;
}

static void
one_among_a_thousand_busy_ones_progresses(void **state)
{
    static struct work busy[1000];
    struct work one = {.run = make_progress};

    (void)state;
    enough = false;
    start_loop(1001);
    for (int i = 0; i < 1000; i++) {
        busy[i] = (struct work){.run = be_busy};
        start(&busy[i]);
    }
    start(&one);
    run_loop();
    assert_int_equal(one.steps, 50);
    for (int i = 0; i < 1000; i++)
        assert_in_range(busy[i].steps, 50, 60); /* a turn for each of its own, and no more */
}

#define MANY_TURNS 20000

static void
be_busy_for_long(struct coroutine *coroutine, struct work *work)
{
    for (; !enough && work->steps < MANY_TURNS; work->steps++)
        coroutine_yield(coroutine);
}

static void
sleep_often(struct coroutine *coroutine, struct work *work)
{
    for (; work->steps < 5; work->steps++)
        (void)coroutine_wait(coroutine, -1, 0, monotonic_now() + MS);
    enough = true;
}

static void
a_sleeper_among_busy_ones_wakes(void **state)
{
    static struct work busy[100];
    struct work sleeper = {.run = sleep_often};

    (void)state;
    enough = false;
    start_loop(101);
    start(&sleeper);
    for (int i = 0; i < 100; i++) {
        busy[i] = (struct work){.run = be_busy_for_long};
        start(&busy[i]);
    }
    run_loop();
    for (int i = 0; i < 100; i++)
        assert_in_range(busy[i].steps, 1, MANY_TURNS - 1);
}

/* ---- overflow --------------------------------------------------------------------------- */

static int
recurse(volatile char *above)
{
    volatile char frame[512];

    frame[0] = *above;
    return *above == 1 ? 0 : recurse(frame) + frame[0];
}

static void
overflow(struct coroutine *coroutine, struct work *work)
{
    char first = 0;

    (void)coroutine;
    work->result = recurse(&first);
}

static void
crash(struct coroutine *coroutine, struct work *work)
{
    (void)coroutine;
    *(volatile int *)(uintptr_t)work->steps = 1;
}

static void *
overflow_thread(void *argument)
{
    faults_watch_thread(NULL);
    overflow(NULL, argument);
    return NULL;
}

static void
run_child(struct work *work, bool in_thread)
{
    static struct ss_server server = {.settings = {.name = (char *)"deep", .stack_size = STACK}};
    pthread_attr_t attributes;
    pthread_t thread;

    (void)signal(SIGSEGV, SIG_DFL); /* the test library has a handler of its own */
    faults_install(&server);
    if (in_thread) {
        (void)pthread_attr_init(&attributes);
        (void)pthread_attr_setstacksize(&attributes, STACK);
        (void)pthread_attr_setguardsize(&attributes, STACK_GUARD);
        (void)pthread_create(&thread, &attributes, overflow_thread, work);
        (void)pthread_join(thread, NULL);
    } else {
        start_loop(1);
        faults_watch_thread(&loop);
        start(work);
    }
    _exit(0);
}

/* How a child with this work ends, and what it says. */
static int
status_of(struct work work, bool in_thread, char *said, size_t size)
{
    int ends[2], status = -1;

    memset(said, 0, size);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        run_child(&work, in_thread);
    }
    (void)close(ends[1]);
    assert_true(read(ends[0], said, size - 1) >= 0);
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void
an_overflow_is_named_and_a_crash_is_left_alone(void **state)
{
    const struct work deep = {.run = overflow}, wild = {.run = crash, .steps = 16};
    const char *text = "sockserverd[deep/0]: stack overflow: raise stack_size (now 128K)\n";
    char said[200];

    (void)state;
    if (SANITIZED) {
        print_message("skipped: a sanitizer has a report of its own\n");
        skip();
    }
    for (int in_thread = 0; in_thread < 2; in_thread++) {
        int status = status_of(deep, in_thread, said, sizeof(said));
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSEGV);
        assert_string_equal(said, text);
    }
    int status = status_of(wild, false, said, sizeof(said));
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
    assert_string_equal(said, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(a_switch_keeps_registers),
        LOOP_TEST(a_switch_keeps_floating_point_modes),
        LOOP_TEST(a_hundred_thousand_begin_and_end),
        LOOP_TEST(a_thread_exit_ends_the_coroutine_alone),
        LOOP_TEST(the_limit_is_told),
        cmocka_unit_test(timers_come_in_order_never_early_and_never_lost),
        LOOP_TEST(sleepers_wake_and_not_before_their_time),
        LOOP_TEST(one_among_a_thousand_busy_ones_progresses),
        LOOP_TEST(a_sleeper_among_busy_ones_wakes),
        cmocka_unit_test(an_overflow_is_named_and_a_crash_is_left_alone),
    };

    return cmocka_run_group_tests_name("coroutine", tests, NULL, NULL);
}
