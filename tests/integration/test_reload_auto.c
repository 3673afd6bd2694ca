/* SPDX-License-Identifier: MIT */
/*
 * test_reload_auto.c - reload = "auto": files of the configuration that change in all ways known
 *
 * Each way is waited for by what the daemon does then, not by time. That nothing happens can only
 * be seen by waiting; a slow machine makes such a test weaker, and never fails it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "integration/reload_fixture.h"
#include "support/command.h"

#define A_WHILE_USEC 1500000 /* three times what the daemon waits for quiet */

static const char *
path_of(const char *folder, const char *name)
{
    return text_of("%s/%s", folder, name);
}

static void
write_in_place(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_return_code(fd, errno);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_return_code(close(fd), errno);
}

/* Nobody sees half of it. */
static void
write_file(const char *path, const char *text)
{
    const char *beside = test_path("written");

    write_in_place(beside, text);
    assert_return_code(rename(beside, path), errno);
}

static const char *
make_folder(const char *path)
{
    assert_return_code(mkdir(path, 0755), errno);
    return path;
}

/* Turns the link to another target at once, as who deploys does it. */
static void
turn_link(const char *target, const char *link)
{
    const char *beside = text_of("%s.new", link);

    assert_return_code(symlink(target, beside), errno);
    assert_return_code(rename(beside, link), errno);
}

static const char *
listeners(const char *name)
{
    return text_of("listeners = {\n%s};\n",
                   listener_text(name, "unix", "threading", "good_command", ""));
}

static const char *
automatic(const char *name)
{
    return file_text(daemon_configuration("reload = \"auto\";\n%s", listeners(name)));
}

static struct daemon *
run(const char *path)
{
    struct daemon *daemon = DAEMON_RUN("-c", path);

    (void)daemon_address(daemon, "first");
    return daemon;
}

static void
expect_reloads(struct daemon *daemon, size_t count)
{
    (void)daemon_wait_log_times(daemon, "reloaded: ", count);
    assert_int_equal(daemon_count_log(daemon, "reload failed"), 0);
}

/* ---- what is noticed ------------------------------------------------------------------------ */

static void
a_file_is_written_or_replaced(void **state)
{
    const char *path = test_path("auto.conf");

    (void)state;
    write_file(path, automatic("first"));
    struct daemon *daemon = run(path);
    write_in_place(path, automatic("second"));
    (void)daemon_address(daemon, "second");
    (void)daemon_wait_log(daemon, "reloaded: "); /* half of it may have been seen before */
    assert_contains(daemon_log(daemon), text_of("%s has changed: reloading", path));
    write_file(path, automatic("third"));
    (void)daemon_address(daemon, "third");
    (void)daemon_wait_log_times(daemon, "reloaded: ", 2);
    daemon_expect_stop(daemon);
}

/* The folder comes later than the daemon, and may go again. */
static void
drop_ins_come_change_and_go(void **state)
{
    const char *path = test_path("auto.conf"), *folder = test_path("auto.conf.d");
    const char *one = path_of(folder, "one.conf"), *two = path_of(folder, "two.conf");

    (void)state;
    write_file(path, automatic("first"));
    struct daemon *daemon = run(path);
    (void)make_folder(folder);
    write_file(one, listeners("second"));
    (void)daemon_address(daemon, "second");
    expect_reloads(daemon, 1);
    write_file(two, listeners("third"));
    (void)daemon_address(daemon, "third");
    expect_reloads(daemon, 2);
    assert_contains(daemon_log(daemon), "the drop-in folder has changed: reloading");
    assert_return_code(unlink(one), errno);
    expect_reloads(daemon, 3);
    (void)daemon_wait_log(daemon, "[second]: removed from the configuration");
    assert_return_code(rename(folder, test_path("elsewhere")), errno);
    expect_reloads(daemon, 4);
    (void)daemon_wait_log(daemon, "[third]: removed from the configuration");
    daemon_expect_stop(daemon);
}

/* As Kubernetes does it: each file is a link into a folder, to which a second link leads. */
static void
a_volume_is_turned_to_other_files(void **state)
{
    const char *volume = make_folder(test_path("volume")), *data = path_of(volume, "..data");
    const char *path = path_of(volume, "auto.conf");

    (void)state;
    write_file(path_of(make_folder(path_of(volume, "..1")), "auto.conf"), automatic("first"));
    write_file(path_of(make_folder(path_of(volume, "..2")), "auto.conf"), automatic("second"));
    write_file(path_of(make_folder(path_of(volume, "..3")), "auto.conf"), automatic("third"));
    turn_link("..1", data);
    assert_return_code(symlink("..data/auto.conf", path), errno);
    struct daemon *daemon = run(path);
    turn_link("..2", data);
    (void)daemon_address(daemon, "second");
    expect_reloads(daemon, 1);
    turn_link("..3", data);
    (void)daemon_address(daemon, "third");
    expect_reloads(daemon, 2);
    daemon_expect_stop(daemon);
}

/* A link far above the file; and what it leads to is then written in place. */
static void
a_release_is_turned_to_another(void **state)
{
    const char *one = make_folder(test_path("one")), *two = make_folder(test_path("two"));
    const char *current = test_path("current");
    const char *file_two = path_of(make_folder(path_of(two, "etc")), "auto.conf");

    (void)state;
    write_file(path_of(make_folder(path_of(one, "etc")), "auto.conf"), automatic("first"));
    write_file(file_two, automatic("second"));
    turn_link(one, current);
    struct daemon *daemon = run(path_of(current, "etc/auto.conf"));
    turn_link("two", current);
    (void)daemon_address(daemon, "second");
    expect_reloads(daemon, 1);
    write_in_place(file_two, automatic("third"));
    (void)daemon_address(daemon, "third");
    (void)daemon_wait_log_times(daemon, "reloaded: ", 2);
    daemon_expect_stop(daemon);
}

static void
what_the_file_names_is_noticed(void **state)
{
    const char *path = test_path("auto.conf"), *list = test_path("clients");
    const char *part = path_of(make_folder(test_path("parts")), "part.conf");

    (void)state;
    write_file(list, "10.0.0.0/8\n");
    write_file(part, listeners("first"));
    write_file(path, file_text(daemon_configuration(
                         "reload = \"auto\";\ndefaults = { deny = [ \"@%s\" ]; };\n"
                         "@include \"%s\"\n",
                         list, part)));
    struct daemon *daemon = run(path);
    write_file(list, "10.0.0.0/7\n10.2.0.0/16\n");
    expect_reloads(daemon, 1);
    assert_contains(daemon_log(daemon), text_of("%s has changed: reloading", list));
    write_file(part, listeners("second"));
    (void)daemon_address(daemon, "second");
    expect_reloads(daemon, 2);
    daemon_expect_stop(daemon);
}

/* The mistake is in a file that the served configuration does not know. */
static void
a_mistake_is_repaired(void **state)
{
    const char *path = test_path("auto.conf");
    const char *part = path_of(make_folder(test_path("parts")), "part.conf");

    (void)state;
    write_file(path, automatic("first"));
    write_file(part, "listeners = { second = { address = ; }; };\n");
    struct daemon *daemon = run(path);
    write_file(path,
               file_text(daemon_configuration("reload = \"auto\";\n@include \"%s\"\n", part)));
    (void)daemon_wait_log(daemon, "reload failed: ");
    assert_contains(daemon_log(daemon), "part.conf:1: ");
    write_file(part, listeners("second"));
    (void)daemon_address(daemon, "second");
    (void)daemon_wait_log(daemon, "reloaded: ");
    assert_int_equal(daemon_count_log(daemon, "reload failed: "), 1);
    daemon_expect_stop(daemon);
}

/* ---- what is not ---------------------------------------------------------------------------- */

static void
other_files_are_no_reason(void **state)
{
    const char *path = test_path("auto.conf"), *folder = make_folder(test_path("auto.conf.d"));

    (void)state;
    write_file(path, automatic("first"));
    struct daemon *daemon = run(path);
    write_file(test_path("beside"), "anything");
    write_file(path_of(folder, ".one.conf.swp"), "what an editor leaves");
    assert_return_code(rename(test_path("beside"), path_of(folder, "one.conf~")), errno);
    (void)usleep(A_WHILE_USEC);
    assert_lacks(daemon_log(daemon), "has changed");
    daemon_expect_stop(daemon);
}

/* The file itself says whether the next change is noticed. */
static void
manual_is_manual(void **state)
{
    const char *path = test_path("auto.conf");

    (void)state;
    write_file(path, automatic("first"));
    struct daemon *daemon = run(path);
    write_file(path, file_text(daemon_configuration("%s", listeners("second"))));
    expect_reloads(daemon, 1);
    write_file(path, automatic("third"));
    (void)usleep(A_WHILE_USEC);
    assert_int_equal(daemon_count_log(daemon, "has changed"), 1);
    daemon_signal(daemon, SIGHUP);
    expect_reloads(daemon, 2);
    write_file(path, automatic("fourth"));
    (void)daemon_address(daemon, "fourth");
    expect_reloads(daemon, 3);
    daemon_expect_stop(daemon);
}

/* The new program watches, too. */
static void
an_upgrade_goes_on_watching(void **state)
{
    struct daemon *daemon = daemon_start("reload = \"auto\";\n%s", listeners("first"));

    (void)state;
    (void)daemon_address(daemon, "first");
    assert_int_equal(CTL(daemon, "upgrade").status, 0);
    size_t done = daemon_count_log(daemon, "reloaded: ");
    write_file(daemon_file(daemon), automatic("second"));
    (void)daemon_address(daemon, "second");
    expect_reloads(daemon, done + 1);
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST(a_file_is_written_or_replaced), TEST(drop_ins_come_change_and_go),
          TEST(a_volume_is_turned_to_other_files), TEST(a_release_is_turned_to_another),
          TEST(what_the_file_names_is_noticed), TEST(a_mistake_is_repaired),
          TEST(other_files_are_no_reason), TEST(manual_is_manual),
          TEST(an_upgrade_goes_on_watching))
