/* SPDX-License-Identifier: MIT */
/*
 * test_shared_lock.c - a lock in shared memory: of zeros at first, and found free when its holder
 * died
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sockserver/plugin.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 8
#define ROUNDS    2000

struct area {
    struct ss_shared_lock lock;
    unsigned long count;
};

static struct area *area;

static int
make_area(void **state)
{
    (void)state;
    area = mmap(NULL, sizeof(*area), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return area == MAP_FAILED ? -1 : 0;
}

static int
remove_area(void **state)
{
    (void)state;
    return munmap(area, sizeof(*area));
}

static pid_t
start(void (*run)(void))
{
    pid_t pid = fork();

    if (pid == 0) {
        run();
        _exit(0);
    }
    assert_true(pid > 0);
    return pid;
}

static int
wait_for(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void
count(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        if (ss_shared_lock(&area->lock) != 0)
            _exit(1);
        unsigned long before = *(volatile unsigned long *)&area->count;
        if (i % 100 == 0)
            (void)sched_yield();
        *(volatile unsigned long *)&area->count = before + 1;
        if (ss_shared_unlock(&area->lock) != 0)
            _exit(1);
    }
}

/* All begin with zeros at the same moment. */
static void
processes_take_turns(void **state)
{
    pid_t pids[PROCESSES];

    (void)state;
    for (size_t i = 0; i < PROCESSES; i++)
        pids[i] = start(count);
    for (size_t i = 0; i < PROCESSES; i++)
        assert_int_equal(wait_for(pids[i]), 0);
    assert_int_equal(area->count, PROCESSES * ROUNDS);
}

static void
die_with_it(void)
{
    (void)ss_shared_lock(&area->lock);
    (void)raise(SIGKILL);
}

static void
execute_with_it(void)
{
    char *arguments[] = {(char *)"true", NULL};

    (void)ss_shared_lock(&area->lock);
    (void)execv("/bin/true", arguments);
}

static void
end_with_it(void)
{
    (void)ss_shared_lock(&area->lock);
}

static void *
end_thread_with_it(void *unused)
{
    (void)ss_shared_lock(&area->lock);
    return unused;
}

static void
the_death_of_a_holder_is_told_once(void **state)
{
    void (*const ends[])(void) = {die_with_it, execute_with_it, end_with_it};
    pthread_t thread;

    (void)state;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        (void)wait_for(start(ends[i]));
        assert_int_equal(ss_shared_lock(&area->lock), -EOWNERDEAD);
        assert_int_equal(ss_shared_unlock(&area->lock), 0);
        assert_int_equal(ss_shared_lock(&area->lock), 0);
        assert_int_equal(ss_shared_unlock(&area->lock), 0);
    }
    assert_int_equal(pthread_create(&thread, NULL, end_thread_with_it, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(ss_shared_lock(&area->lock), -EOWNERDEAD);
    assert_int_equal(ss_shared_unlock(&area->lock), 0);
}

/* Who was told, and dies before he has put it right. */
static void
who_dies_while_repairing_is_told_of_too(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        (void)wait_for(start(die_with_it));
    assert_int_equal(ss_shared_lock(&area->lock), -EOWNERDEAD);
    assert_int_equal(ss_shared_unlock(&area->lock), 0);
}

static void
unlock_anothers(void)
{
    _exit(-ss_shared_unlock(&area->lock));
}

static void
only_its_holder_unlocks_it(void **state)
{
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* it tells of it when what is not locked is unlocked */
#endif
    assert_int_equal(ss_shared_unlock(&area->lock), -EPERM);
    assert_int_equal(ss_shared_lock(&area->lock), 0);
    assert_int_equal(ss_shared_lock(&area->lock), -EDEADLK);
    assert_int_equal(WEXITSTATUS(wait_for(start(unlock_anothers))), EPERM);
    assert_int_equal(ss_shared_unlock(&area->lock), 0);
    assert_int_equal(ss_shared_unlock(&area->lock), -EPERM);
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, make_area, remove_area)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(processes_take_turns),
        CASE(the_death_of_a_holder_is_told_once),
        CASE(who_dies_while_repairing_is_told_of_too),
        CASE(only_its_holder_unlocks_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
