/* SPDX-License-Identifier: MIT */
/*
 * test_smtp.c - examples/smtp with a disk that fails for a while, and lines that are too long
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>
#include <sockserver/test.h>

#define LETTERS 20000

static char folder[] = "/tmp/test_smtp.XXXXXX";

static struct ss_test *
begin_message(const char *max_line)
{
    struct ss_test *test = ss_test_load(BUILD_DIR "/examples/smtp.so");

    ss_test_keeps_descriptors(test); /* those of the maildir's folders */
    ss_test_set(test, "max_line", max_line);
    ss_test_option(test, "maildir", folder);
    ss_test_expect_line(test, "220 *");
    ss_test_send(test, "HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n");
    for (int i = 0; i < 3; i++)
        ss_test_expect_line(test, "250 *");
    ss_test_expect_line(test, "354 *");
    return test;
}

/* Removes what is in a part of the maildir, and the part: how many messages there were. */
static int
clear(const char *part)
{
    char path[sizeof(folder) + 8], name[sizeof(path) + 300];
    int count = 0;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, part);
    DIR *entries = opendir(path);
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        (void)snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        count += entry->d_name[0] != '.' && unlink(name) == 0;
    }
    (void)closedir(entries);
    assert_return_code(rmdir(path), errno);
    return count;
}

/* Its name ends in a place for mkdtemp(3), each time. */
static int
make_folder(void **state)
{
    (void)state;
    (void)strcpy(strrchr(folder, '.') + 1, "XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int
remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

/* A write beyond the limit fails, and those after it do not. */
static void
what_is_lost_in_the_middle_is_not_promised(void **state)
{
    struct ss_test *test = begin_message("64K");
    struct rlimit usual, small;
    char line[61];

    (void)state;
    (void)memset(line, 'x', sizeof(line));
    (void)strcpy(line + 58, "\r\n");
    assert_return_code(getrlimit(RLIMIT_FSIZE, &usual), errno);
    small = (struct rlimit){.rlim_cur = 1000, .rlim_max = usual.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_return_code(setrlimit(RLIMIT_FSIZE, &small), errno);
    for (int sent = 0; sent < LETTERS; sent += 60)
        ss_test_send(test, line);
    assert_return_code(setrlimit(RLIMIT_FSIZE, &usual), errno);
    ss_test_send(test, ".\r\nNOOP\r\n");
    ss_test_expect_line(test, "451 *");
    ss_test_expect_line(test, "250 *");
    ss_test_done(test);
    assert_int_equal(clear("new") + clear("tmp") + clear("cur"), 0);
}

/* Whatever `max_line` is: the lines behind a long one are lines. */
static void
a_long_line_ends_where_it_does(void **state)
{
    struct ss_test *test = begin_message("40");

    (void)state;
    ss_test_send(test, "0123456789012345678901234567890123456789012345\r\n.\r\nNOOP\r\n");
    ss_test_expect_line(test, "550 *");
    ss_test_expect_line(test, "250 *");
    ss_test_send(test, "NOOP 0123456789012345678901234567890123456789012345\r\nNOOP\r\n");
    ss_test_expect_line(test, "500 *");
    ss_test_expect_line(test, "250 *");
    ss_test_expect_nothing(test);
    ss_test_done(test);
    assert_int_equal(clear("new") + clear("tmp") + clear("cur"), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_lost_in_the_middle_is_not_promised, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_long_line_ends_where_it_does, make_folder, remove_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
