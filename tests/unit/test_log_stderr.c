/* SPDX-License-Identifier: MIT */
/*
 * test_log_stderr.c - standard error as pipe, socket and file: no line ever waits
 */
#include "log_fixture.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/cleanup.h"

/* ---- nobody reads ------------------------------------------------------------------ */

static void
check_drops_counts_and_heals(void)
{
    const char *text, *last;

    assert_int_equal(log_open(LOG_TO_STDERR, NULL), 0);
    assert_int_equal(overfill(), 4);
    text = arrived();
    assert_null(strstr(text, "lost"));
    last = text + strlen(text) - 1;
    assert_int_equal(*last, '\n');
    log_info("again");
    log_info("and again");
    assert_string_equal(arrived(), "sockserverd: 4 log lines were lost\n"
                                   "sockserverd: again\n"
                                   "sockserverd: and again\n");
}

static void
full_pipe_drops_counts_and_heals(void **state)
{
    (void)state;
    use_pipe();
    check_drops_counts_and_heals();
}

static void
full_socket_drops_counts_and_heals(void **state)
{
    (void)state;
    use_socket();
    check_drops_counts_and_heals();
}

/* The description that others share stays as it was. */
static void
shared_stderr_stays_blocking(void **state)
{
    (void)state;
    use_open_pipe();
    assert_int_equal(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0);
}

/* A pipe that belongs to another user cannot be opened anew. */
static void
foreign_pipe_is_asked_before_it_is_written_to(void **state)
{
    pid_t child;
    int status;

    (void)state;
    if (geteuid() != 0) {
        print_message("skipped: needs root, to become somebody else\n");
        skip();
    }
    use_pipe();
    child = fork();
    if (child == 0) {
        if (setresuid(65534, 65534, 65534) < 0 || log_open(LOG_TO_STDERR, NULL) < 0)
            _exit(2);
        for (int i = 0; i < 1000; i++)
            log_info("line %d", i);
        _exit(log_dropped() > 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_string_equal(strtok(arrived(), "\n"), "sockserverd: line 0");
}

static void
vanished_reader_does_no_harm(void **state)
{
    uint64_t before = log_dropped();

    (void)state;
    use_open_pipe();
    close(reader);
    reader = -1;
    log_info("into the void");
    assert_int_equal(log_dropped(), before + 1);
    use_open_pipe();
    log_info("back");
    assert_string_equal(arrived(), "sockserverd: 1 log line was lost\nsockserverd: back\n");
}

static void
child_does_not_report_its_parents_losses(void **state)
{
    const char *text;
    pid_t child;
    int status;

    (void)state;
    use_open_pipe();
    (void)overfill();
    (void)arrived();
    child = fork();
    if (child == 0) {
        log_info("child speaks");
        _exit(log_dropped() == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    text = arrived();
    assert_string_equal(text, "sockserverd: child speaks\n");
    log_info("parent");
    assert_string_equal(arrived(), "sockserverd: 4 log lines were lost\nsockserverd: parent\n");
}

/* ---- files -------------------------------------------------------------------------- */

static char *
content(const char *path)
{
    reader = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(reader >= 0);
    return arrived();
}

/* A log file's lines begin with time and level, 30 characters for "info". */
static const char *
undated(const char *text)
{
    static char rest[4096];
    const char *from = text;
    size_t used = 0;

    while (*from != '\0') {
        if (strncmp(from, "20", 2) == 0 && strncmp(from + 23, "Z info ", 7) == 0)
            from += 30;
        do
            rest[used++] = *from++;
        while (from[-1] != '\n');
    }
    rest[used] = '\0';
    return rest;
}

static void
log_file_is_appended_to_and_reopened(void **state)
{
    char *path = path_in_folder("log");
    char *moved = strdup(path_in_folder("log.1"));
    struct stat status;

    (void)state;
    path = path_in_folder("log");
    assert_int_equal(log_open(LOG_TO_STDERR, NULL), 0);
    assert_int_equal(log_open_file(path), 0);
    log_info("first");
    assert_int_equal(rename(path, moved), 0);
    log_info("second");
    assert_int_equal(log_open_file(path), 0);
    log_info("third");
    assert_int_equal(write(STDERR_FILENO, "plain\n", 6), 6);
    log_info("fourth");
    assert_string_equal(undated(content(moved)), "sockserverd: first\nsockserverd: second\n");
    close(reader);
    assert_string_equal(undated(content(path)), "sockserverd: third\nplain\nsockserverd: fourth\n");
    assert_int_equal(fstat(reader, &status), 0);
    assert_int_equal(status.st_mode & 07777 & ~0640u, 0);
    free(moved);
}

static void
log_file_that_cannot_be_opened_changes_nothing(void **state)
{
    (void)state;
    use_open_pipe();
    assert_int_equal(log_open_file(path_in_folder("missing/log")), -ENOENT);
    log_info("still here");
    assert_string_equal(arrived(), "sockserverd: still here\n");
}

/* `sockserverd 2>file` gives a description that does not append. */
static void
redirected_file_is_not_overwritten(void **state)
{
    int fd = open(path_in_folder("plain"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    (void)state;
    become_stderr(fd);
    assert_int_equal(log_open(LOG_TO_STDERR, NULL), 0);
    log_info("a line of ours");
    assert_int_equal(write(STDERR_FILENO, "printed\n", 8), 8);
    assert_string_equal(content(path_in_folder("plain")), "sockserverd: a line of ours\nprinted\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(full_pipe_drops_counts_and_heals),
        TEST(full_socket_drops_counts_and_heals),
        TEST(shared_stderr_stays_blocking),
        TEST(foreign_pipe_is_asked_before_it_is_written_to),
        TEST(vanished_reader_does_no_harm),
        TEST(child_does_not_report_its_parents_losses),
        TEST(log_file_is_appended_to_and_reopened),
        TEST(log_file_that_cannot_be_opened_changes_nothing),

        TEST(redirected_file_is_not_overwritten),
    };

    return cmocka_run_group_tests_name("log_stderr", tests, make_folder, remove_folder);
}
