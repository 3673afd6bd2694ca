/* SPDX-License-Identifier: MIT */
/*
 * test_usage.c - what processes have used
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/usage.h"

#define MILLISECOND UINT64_C(1000000)

/* Until this process has computed for so long. */
static void
compute(uint64_t nanoseconds)
{
    uint64_t began = usage_cpu();

    while (usage_cpu() - began < nanoseconds)
        ;
}

static void
own_time_grows_with_work(void **state)
{
    uint64_t began = usage_cpu();

    (void)state;
    compute(20 * MILLISECOND);
    assert_true(usage_cpu() - began >= 20 * MILLISECOND);
}

/* A child that has ended is known before it is reaped, whatever its name, and in sum afterwards. */
static void
an_ended_child_is_known(void **state)
{
    siginfo_t info;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        (void)prctl(PR_SET_NAME, "a) R 1 2 3");
        compute(50 * MILLISECOND);
        _exit(0);
    }
    assert_true(pid > 0);
    assert_return_code(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), errno);
    uint64_t used = usage_cpu_of_ended(pid), before = usage_cpu_of_children();
    assert_in_range(used / MILLISECOND, 30, 5000); /* it is counted in ticks */
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(usage_cpu_of_children() - before >= 40 * MILLISECOND);
    assert_int_equal(usage_cpu_of_ended(pid), 0);
}

static void
memory_counts_what_was_touched(void **state)
{
    const size_t size = 16 << 20;
    uint64_t before = usage_memory();

    (void)state;
    assert_true(before > 100000);
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    memset(memory, 1, size);
    assert_in_range(usage_memory() - before, size - (1 << 20), size + (8 << 20));
    assert_return_code(munmap(memory, size), errno);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_time_grows_with_work),
        cmocka_unit_test(an_ended_child_is_known),
        cmocka_unit_test(memory_counts_what_was_touched),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
