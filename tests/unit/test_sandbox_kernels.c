/* SPDX-License-Identifier: MIT */
/*
 * test_sandbox_kernels.c - what a worker asks of kernels that are older, or that refuse
 *
 * The functions here take the places of the C library's in the program: the
 * kernel knows as much of landlock as the test says.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/array.h"
#include "common/leave.h"
#include "fds_fixture.h"
#include "worker/sandbox.h"

#define REFER_BIT    (UINT64_C(1) << 13)
#define TRUNCATE_BIT (UINT64_C(1) << 14)

/* ---- the kernel ------------------------------------------------------------------------------ */

enum refusal { NOTHING, THE_RULESET, A_RULE, THE_RESTRICTION, THE_ROOT_FOLDER, A_LOOK };

static struct {
    int abi; /* -1: landlock is unknown, or switched off */
    enum refusal refused;
    bool confining;
    size_t size; /* of the attributes that it got */
    uint64_t attributes[3];
    unsigned rules;
} kernel;

static int
refuse(bool refused)
{
    errno = EPERM;
    return refused ? -1 : 0;
}

/* The first call asks for the version, the second makes the rules. */
static long
make_ruleset(const void *attributes, size_t size)
{
    if (attributes == NULL)
        return kernel.abi;
    kernel.size = size;
    memcpy(kernel.attributes, attributes, size);
    return kernel.refused == THE_RULESET ? refuse(true) : open("/dev/null", O_RDONLY | O_CLOEXEC);
}

long
syscall(long number, ...)
{
    static long (*real)(long, ...);
    long values[6];
    va_list more;

    va_start(more, number);
    for (int i = 0; i < 6; i++)
        values[i] = va_arg(more, long);
    va_end(more);
    switch (number) {
    case SYS_landlock_create_ruleset:
        kernel.confining = true;
        return make_ruleset((const void *)values[0], (size_t)values[1]);
    case SYS_landlock_add_rule:
        kernel.rules++;
        return refuse(kernel.refused == A_RULE && kernel.rules == 2);
    case SYS_landlock_restrict_self:
        kernel.confining = false;
        return refuse(kernel.refused == THE_RESTRICTION);
    default:
        if (real == NULL)
            *(void **)&real = dlsym(RTLD_NEXT, "syscall");
        return real(number, values[0], values[1], values[2], values[3], values[4], values[5]);
    }
}

DIR *
opendir(const char *path)
{
    static DIR *(*real)(const char *);

    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "opendir");
    if (strcmp(path, "/") == 0 && refuse(kernel.refused == THE_ROOT_FOLDER) < 0)
        return NULL;
    return real(path);
}

int
fstat(int fd, struct stat *ret)
{
    static int (*real)(int, struct stat *);

    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "fstat");
    if (kernel.confining && refuse(kernel.refused == A_LOOK) < 0)
        return -1;
    return real(fd, ret);
}

/* ---- the tests ------------------------------------------------------------------------------- */

/* In a process of its own, as the filter of system calls stays. */
static void
in_child(void (*run)(const void *userdata), const void *userdata)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        run(userdata);
        leave(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

struct expected {
    int abi;
    bool datagrams;
    int landlock; /* the one in use */
    size_t size;
    bool truncate;
    uint64_t scoped;
};

static void
enter_kernel(const void *userdata)
{
    const struct expected *expected = userdata;
    struct sandbox sandbox;
    size_t fds = count_fds();

    kernel.abi = expected->abi;
    sandbox_enter(expected->datagrams, &sandbox);
    assert_int_equal(sandbox.landlock, expected->landlock);
    assert_int_equal(kernel.size, expected->size);
    if (expected->landlock > 0) {
        assert_true(kernel.rules > 0);
        assert_true((kernel.attributes[0] & REFER_BIT) != 0);
        assert_int_equal((kernel.attributes[0] & TRUNCATE_BIT) != 0, expected->truncate);
        assert_int_equal(kernel.attributes[2], expected->scoped);
    }
    assert_int_equal(count_fds(), fds);
}

/* A kernel that gets what it does not know refuses all of it. */
static void
each_kernel_is_asked_for_what_it_knows(void **state)
{
    static const struct expected rows[] = {
        {-1, false, 0, 0, false, 0},    {0, false, 0, 0, false, 0}, {1, false, 0, 0, false, 0},
        {2, false, 2, 8, false, 0},     {3, false, 3, 8, true, 0},  {5, true, 5, 8, true, 0},
        {6, false, 6, 24, true, 1 | 2}, {6, true, 6, 24, true, 2},  {7, false, 7, 24, true, 1 | 2},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("ABI %d\n", rows[i].abi);
        in_child(enter_kernel, &rows[i]);
    }
}

static void
be_refused(const void *userdata)
{
    struct sandbox sandbox;
    size_t fds = count_fds();

    kernel.abi = 6;
    kernel.refused = *(const enum refusal *)userdata;
    sandbox_enter(false, &sandbox);
    /* What cannot be looked at gets no rule, and the rest is in force. */
    assert_int_equal(sandbox.landlock, kernel.refused == A_LOOK ? 6 : 0);
    if (kernel.refused == A_LOOK)
        assert_int_equal(kernel.rules, 0);
    assert_int_equal(count_fds(), fds);
}

/* Never half: what is reported as in use is in force. */
static void
a_kernel_that_refuses_confines_nothing(void **state)
{
    static const enum refusal rows[] = {THE_RULESET, A_RULE, THE_RESTRICTION, THE_ROOT_FOLDER,
                                        A_LOOK};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        in_child(be_refused, &rows[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kernel_is_asked_for_what_it_knows),
        cmocka_unit_test(a_kernel_that_refuses_confines_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
