/* SPDX-License-Identifier: MIT */
/*
 * test_sandbox_calls.c - the filter refuses each system call that the manual lists, and lists all
 *
 * Each call is made in a process of its own, with arguments that mean nothing.
 * Run as root, only the filter answers EPERM; another user proves less.
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
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/array.h"
#include "common/checked.h"
#include "common/cleanup.h"
#include "common/leave.h"
#include "worker/sandbox.h"

#define MANUAL SOURCE_DIR "/daemon/supervisor/sockserverd.8"

static const struct {
    const char *name;
    long number;
} calls[] = {
#define CALL(name)                                                                                 \
    {                                                                                              \
#name, SYS_##name                                                                          \
    }
    CALL(init_module),
    CALL(finit_module),
    CALL(delete_module),
    CALL(kexec_load),
    CALL(kexec_file_load),
    CALL(reboot),
    CALL(bpf),
    CALL(perf_event_open),
    CALL(userfaultfd),
    CALL(syslog),
    CALL(mount),
    CALL(umount2),
    CALL(pivot_root),
    CALL(chroot),
    CALL(swapon),
    CALL(swapoff),
    CALL(acct),
    CALL(quotactl),
    CALL(sethostname),
    CALL(setdomainname),
    CALL(settimeofday),
    CALL(clock_settime),
    CALL(adjtimex),
    CALL(clock_adjtime),
    CALL(vhangup),
    CALL(open_tree),
    CALL(move_mount),
    CALL(mount_setattr),
    CALL(fsopen),
    CALL(fsconfig),
    CALL(fsmount),
    CALL(fspick),
    CALL(fanotify_init),
#ifdef __x86_64__
    CALL(ioperm),
#endif
#ifdef __x86_64__
    CALL(iopl),
#endif
#ifdef __x86_64__
    CALL(modify_ldt),
#endif
    CALL(setns),
    CALL(unshare),
    CALL(open_by_handle_at),
    CALL(name_to_handle_at),
    CALL(add_key),
    CALL(request_key),
    CALL(keyctl),
    CALL(process_vm_writev),
    CALL(process_vm_readv),
    CALL(process_madvise),
    CALL(pidfd_getfd),
    CALL(kcmp),
    CALL(io_uring_setup),
    CALL(io_uring_enter),
    CALL(io_uring_register),
    CALL(ptrace),
};

/* ---- what the manual says ---------------------------------------------------- */

static char *
manual_list(void)
{
    _cleanup_fclose_ FILE *file = fopen(MANUAL, "re");
    char *text = NULL;
    size_t size = 0;

    assert_non_null(file);
    assert_true(getdelim(&text, &size, '\0', file) > 0);
    char *begin = strstr(text, "test_sandbox_calls.c.\n");
    assert_non_null(begin);
    char *end = strstr(begin, ".It\n");
    assert_non_null(end);
    *end = '\0';
    char *list = strdup(begin);
    free(text);
    assert_non_null(list);
    return list;
}

static size_t
count_of(const char *text, const char *part)
{
    size_t count = 0;

    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        count++;
    return count;
}

static void
manual_lists_these_calls_and_no_others(void **state)
{
    _cleanup_free_ char *list = manual_list();

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        char line[64];

        (void)snprintf(line, sizeof(line), ".Ic %s ", calls[i].name);
        if (count_of(list, line) != 1)
            fail_msg("%s is not in the list of %s", calls[i].name, MANUAL);
    }
#ifdef __x86_64__
    assert_int_equal(count_of(list, ".Ic "), ARRAY_SIZE(calls)); /* some are of this machine only */
#endif
}

/* ---- what the kernel does ----------------------------------------------------- */

/* Runs in a confined child: its answer is 0, 1 (the assertion failed), or 77 (there are no
 * filters). */
static int
in_a_sandbox(int (*attempt)(long number), long number)
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        struct sandbox sandbox;

        (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        sandbox_enter(false, &sandbox);
        leave(sandbox.seccomp ? attempt(number) : 77);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        print_message("skipped: this kernel has no seccomp filters\n");
        skip();
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int
is_refused(long number)
{
    return syscall(number, -1L, -1L, -1L, -1L, -1L, -1L) == -1 && errno == EPERM ? 0 : 1;
}

static void
each_listed_call_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        if (SANITIZED && calls[i].number == SYS_ptrace)
            continue; /* the leak check traces */
        if (in_a_sandbox(is_refused, calls[i].number) != 0)
            fail_msg("%s is not refused", calls[i].name);
    }
}

static int
clone_is_refused(long flag)
{
    long pid = syscall(SYS_clone, flag | SIGCHLD, 0L, 0L, 0L, 0L);

    if (pid == 0)
        leave(0);
    return pid == -1 && errno == EPERM ? 0 : 1;
}

static void
clone_makes_no_namespace(void **state)
{
    static const long flags[] = {CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                 CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
        assert_int_equal(in_a_sandbox(clone_is_refused, flags[i]), 0);
}

static int
does_not_exist(long number)
{
    return syscall(number, -1L, -1L, -1L, -1L, -1L, -1L) == -1 && errno == ENOSYS ? 0 : 1;
}

static void
clone3_and_other_interfaces_do_not_exist(void **state)
{
    (void)state;
    assert_int_equal(in_a_sandbox(does_not_exist, SYS_clone3), 0);
#ifdef __x86_64__
    assert_int_equal(in_a_sandbox(does_not_exist, 0x40000000 | SYS_getpid), 0);
#endif
}

static void *
thread_main(void *argument)
{
    *(bool *)argument = true;
    return NULL;
}

static int
starts_threads_and_processes(long number)
{
    bool ran = false;
    pthread_t thread;
    int status;

    (void)number;
    if (pthread_create(&thread, NULL, thread_main, &ran) != 0 || pthread_join(thread, NULL) != 0)
        return 1;
    pid_t child = fork();
    if (child == 0)
        leave(0);
    return ran && child > 0 && waitpid(child, &status, 0) == child && status == 0 ? 0 : 1;
}

static void
what_plugins_need_is_allowed(void **state)
{
    (void)state;
    assert_int_equal(in_a_sandbox(starts_threads_and_processes, 0), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manual_lists_these_calls_and_no_others),
        cmocka_unit_test(each_listed_call_is_refused),
        cmocka_unit_test(clone_makes_no_namespace),
        cmocka_unit_test(clone3_and_other_interfaces_do_not_exist),
        cmocka_unit_test(what_plugins_need_is_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
