/* SPDX-License-Identifier: MIT */
/*
 * test_bad_files.c - every bad configuration of the corpus, through the program
 *
 * The unit test of the configuration judges what config_load() says of
 * tests/conf/bad. Here each file meets the executable: --check, a start, and a
 * running daemon whose file has become bad, by SIGHUP, by sockserverctl reload
 * and by an upgrade. Nothing ends by a signal, every mistake is told with its
 * place, and the daemon is afterwards what it was before.
 */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "support/client.h"
#include "support/command.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

#define RUNNING     "running.conf" /* what the daemon was started with */
#define PLUGIN_PATH SHIPPED_PLUGINS ":" FIXTURES
#define CONTROL(...)                                                                               \
    command_run(CTL_PROGRAM, "",                                                                   \
                (const char *const[]){"--socket", test_path("control"), __VA_ARGS__, NULL})

/* ---- what a message must be ----------------------------------------------------------------- */

static bool
has_place(const char *line)
{
    const char *colon = strchr(line, ':');

    if (colon == NULL || colon == line)
        return false;
    size_t digits = strspn(colon + 1, "0123456789");
    return digits > 0 && strncmp(colon + 1 + digits, ": ", 2) == 0;
}

/* Each line begins with FILE:LINE. */
static void
expect_places(const char *text)
{
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
        if (!has_place(line))
            fail_msg("this line has no FILE:LINE: %.*s", (int)strcspn(line, "\n"), line);
}

/* Each line of expected stands somewhere in the text. */
static void
expect_lines(const char *text, const char *expected)
{
    while (*expected != '\0') {
        size_t size = strcspn(expected, "\n");

        assert_contains(text, text_of("%.*s", (int)size, expected));
        expected += size + (expected[size] == '\n');
    }
}

/* ---- the corpus ------------------------------------------------------------------------- */

/* A copy of the corpus in the test's folder, which becomes the current one. */
static void
enter_corpus(void)
{
    assert_return_code(chdir("/"), errno); /* the test before this one has taken its folder away */
    if (system(text_of("cp -r %s/tests/conf/bad/. %s", SOURCE_DIR, test_folder())) != 0)
        fail_msg("cannot copy tests/conf/bad");
    assert_return_code(chdir(test_folder()), errno);
}

static int
is_conf(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');

    return dot != NULL && strcmp(dot, ".conf") == 0 && strcmp(entry->d_name, RUNNING) != 0 &&
           strcmp(entry->d_name, "good.conf") != 0 && entry->d_type == DT_REG;
}

/* What the file beside NAME.conf says must be said. */
static const char *
expected_of(const char *name)
{
    return file_text(text_of("%.*s.expected", (int)(strlen(name) - strlen(".conf")), name));
}

/* The same of a file that bears the daemon's name, unless it names itself. */
static const char *
expected_when_running(const char *name)
{
    const char *rest = expected_of(name), *found, *text = "";

    if (strstr(file_text(name), name) != NULL)
        return rest;
    for (; (found = strstr(rest, name)) != NULL; rest = found + strlen(name))
        text = text_of("%s%.*s" RUNNING, text, (int)(found - rest), rest);
    return text_of("%s%s", text, rest);
}

/* The daemon's file is that one from now on, and so are its drop-ins. */
static void
become(const char *name)
{
    (void)unlink("next");
    (void)unlink(RUNNING ".d");
    assert_return_code(symlink(name, "next"), errno);
    assert_return_code(rename("next", RUNNING), errno);
    if (access(text_of("%s.d", name), F_OK) == 0)
        assert_return_code(symlink(text_of("%s.d", name), RUNNING ".d"), errno);
}

/* ---- the running daemon ----------------------------------------------------------------- */

static struct daemon *
start_good(void)
{
    (void)test_file("good.conf",
                    text_of("log = { target = \"stderr\"; };\n"
                            "control = { path = \"%s\"; };\nlisteners = {\n%s%s};\n",
                            test_path("control"),
                            listener_text("test", "tcp", "threading", "good_command", ""),
                            listener_text("local", "unix", "forking", "upper", "")));
    become("good.conf");
    struct daemon *daemon = DAEMON_RUN("--plugin-path", PLUGIN_PATH, "-c", RUNNING);
    (void)daemon_address(daemon, "local");
    (void)daemon_address(daemon, "test");
    WAIT_UNTIL(CONTROL("status").status == 0);
    return daemon;
}

/* What sockserverctl tells of the listeners, without what time changes. */
static const char *
listeners_now(void)
{
    struct outcome outcome = CONTROL("status", "--json");
    json_t *status = json_loads(outcome.output, 0, NULL);
    const json_t *listener;
    const char *text = "";
    size_t i;

    json_array_foreach(json_object_get(status, "listeners"), i, listener)
    {
        static const char *const members[] = {"name",  "address", "enabled",    "plugin",
                                              "mixin", "state",   "generation", "restarts"};

        for (size_t j = 0; j < ARRAY_SIZE(members); j++) {
            _cleanup_free_ char *value =
                json_dumps(json_object_get(listener, members[j]), JSON_ENCODE_ANY);

            text = text_of("%s %s", text, value == NULL ? "?" : value);
        }
    }
    json_decref(status);
    return text;
}

static const char *
workers_now(struct daemon *daemon)
{
    pid_t children[PROC_CHILDREN];
    size_t count = proc_children(daemon_pid(daemon), children);
    const char *text = "";

    for (size_t i = 0; i < count && i < PROC_CHILDREN; i++)
        text = text_of("%s %d", text, (int)children[i]);
    return text;
}

struct snapshot {
    const char *listeners, *workers, *fds;
};

/* The connection of a sockserverctl that has ended may still be about to be closed. */
static const char *
settled_fds(struct daemon *daemon)
{
    const char *fds = proc_fd_list(daemon_pid(daemon));

    for (int same = 0; same < 20; same++) {
        const char *now = proc_fd_list(daemon_pid(daemon));

        if (strcmp(now, fds) != 0)
            same = 0;
        fds = now;
        clock_pause();
    }
    return fds;
}

static struct snapshot
take_snapshot(struct daemon *daemon)
{
    return (struct snapshot){
        .listeners = listeners_now(),
        .workers = workers_now(daemon),
        .fds = settled_fds(daemon),
    };
}

/* It serves, and neither its workers nor its descriptors have changed. */
static void
expect_serving(struct daemon *daemon, const struct snapshot *before)
{
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "echo hi\n"), "hi\n");
    WAIT_UNTIL(strcmp(workers_now(daemon), before->workers) == 0);
    WAIT_UNTIL(strcmp(proc_fd_list(daemon_pid(daemon)), before->fds) == 0);
}

/* Nor has what it tells about itself. */
static void
expect_unchanged(struct daemon *daemon, const struct snapshot *before)
{
    expect_serving(daemon, before);
    assert_string_equal(listeners_now(), before->listeners);
}

/* ---- one file, one way ------------------------------------------------------------------ */

static void
check_refuses(const char *name, const char *expected)
{
    struct outcome outcome = COMMAND("", "--plugin-path", PLUGIN_PATH, "--check", "-c", name);

    assert_int_equal(outcome.status, 78);
    assert_string_equal(outcome.output, "");
    assert_starts(outcome.errors, expected); /* then what is wrong with the plugins */
    expect_places(outcome.errors);
}

static void
start_refuses(const char *name, const char *expected)
{
    struct outcome outcome = COMMAND("", "--plugin-path", PLUGIN_PATH, "-c", name);

    assert_int_equal(outcome.status, 78);
    assert_string_equal(outcome.output, "");
    assert_string_equal(outcome.errors, expected);
}

static void
hangup_refuses(struct daemon *daemon, const char *expected)
{
    size_t failed = daemon_count_log(daemon, "reload failed: "),
           before = strlen(daemon_log(daemon));

    daemon_signal(daemon, SIGHUP);
    (void)daemon_wait_log_times(daemon, "reload failed: ", failed + 1);
    expect_lines(daemon_log(daemon) + before, expected);
}

static void
reload_refuses(const char *expected)
{
    struct outcome outcome = CONTROL("reload");

    assert_int_equal(outcome.status, 1);
    assert_starts(outcome.errors, expected);
}

static void
upgrade_refuses(const char *expected)
{
    struct outcome outcome = CONTROL("upgrade");

    assert_int_equal(outcome.status, 1);
    expect_lines(outcome.errors, expected);
    assert_contains(outcome.errors, "the new program's check failed");
}

/* ---- cases ---------------------------------------------------------------------------------- */

static void
each_file(int least, void (*judge)(const char *name, void *userdata), void *userdata)
{
    _cleanup_free_ struct dirent **entries = NULL;
    int count = scandir(".", &entries, is_conf, alphasort);

    assert_true(count >= least);
    for (int i = 0; i < count; i++) {
        print_message("%s\n", entries[i]->d_name);
        judge(entries[i]->d_name, userdata);
        free(entries[i]);
    }
}

static void
judge_alone(const char *name, void *userdata)
{
    const char *expected = expected_of(name);

    (void)userdata;
    check_refuses(name, expected);
    start_refuses(name, expected);
}

static void
bad_files_are_refused_before_anything_runs(void **state)
{
    (void)state;
    enter_corpus();
    each_file(70, judge_alone, NULL);
}

struct running {
    struct daemon *daemon;
    struct snapshot before;
};

static void
judge_running(const char *name, void *userdata)
{
    const struct running *running = userdata;
    const char *expected = expected_when_running(name);
    static unsigned number;

    if (SANITIZED && number++ % 3 != 0)
        return; /* each costs a second there, and the plain suite has them all */
    become(name);
    hangup_refuses(running->daemon, expected);
    expect_serving(running->daemon, &running->before);
    reload_refuses(expected);
    expect_serving(running->daemon, &running->before);
    upgrade_refuses(expected);
    expect_unchanged(running->daemon, &running->before);
}

static void
bad_files_change_nothing_in_a_running_daemon(void **state)
{
    struct running running;

    (void)state;
    enter_corpus();
    running.daemon = start_good();
    running.before = take_snapshot(running.daemon);
    each_file(70, judge_running, &running);
    become("good.conf");
    assert_int_equal(CONTROL("reload").status, 0);
    daemon_expect_stop(running.daemon);
}

/* ---- what is no text a person wrote ----------------------------------------------------- */

static void
write_nonsense(const char *name)
{
    _cleanup_fclose_ FILE *file = fopen(name, "we");
    unsigned seed = 1;

    assert_non_null(file);
    for (int i = 0; i < 1500000; i++)
        (void)putc(rand_r(&seed) % 256, file);
}

static void
write_keys(const char *name)
{
    _cleanup_fclose_ FILE *file = fopen(name, "we");

    assert_non_null(file);
    (void)fputs("log = {\n", file);
    for (int i = 0; i < 20000; i++)
        (void)fprintf(file, "unknown_key_%d = %d;\n", i, i);
    (void)fputs("};\n", file);
}

static void
make_socket(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", name);
    assert_return_code(bind(fd, (const struct sockaddr *)&address, sizeof(address)), errno);
    (void)close(fd);
}

static void
make_all_kinds(void)
{
    assert_return_code(mkfifo("fifo", 0600), errno);
    assert_return_code(mkdir("folder", 0700), errno);
    assert_return_code(symlink("/dev/zero", "zero"), errno);
    assert_return_code(symlink("/dev/full", "full"), errno);
    assert_return_code(symlink("/proc/kmsg", "kmsg"), errno);
    assert_return_code(symlink("loop", "loop"), errno);
    make_socket("socket");
    write_nonsense("nonsense");
    write_keys("keys");
    (void)test_file("fifo.inc", "@include \"fifo\"\n");
    (void)test_file("zero.inc", "@include \"zero\"\n");
    (void)test_file("kmsg.inc", "@include \"kmsg\"\n");
    (void)test_file("nonsense.inc", "@include \"nonsense\"\n");
}

/* Whatever is named as configuration, it is refused in a moment, and the daemon goes on. */
static void
what_is_no_text_holds_nobody_up(void **state)
{
    static const struct {
        const char *name, *why;
    } kinds[] = {
        {"fifo", "it is not a regular file"},
        {"folder", "Is a directory"},
        {"zero", "it is not a regular file"},
        {"full", "it is not a regular file"},
        {"kmsg", ""}, /* read by nobody but root, and by root only with CAP_SYSLOG */
        {"loop", "Too many levels of symbolic links"},
        {"socket", "it is not a regular file"},
        {"nothing-here", "No such file or directory"},
        {"nonsense", "it is larger than 1 MiB"},
        {"keys", ":2002: more than 2000 settings in one group"},
        {"fifo.inc", ":1: @include \"fifo\": cannot read fifo: it is not a regular file"},
        {"zero.inc", ":1: @include \"zero\": cannot read zero: it is not a regular file"},
        {"kmsg.inc", ":1: @include \"kmsg\": cannot read kmsg: "},
        {"nonsense.inc",
         ":1: @include \"nonsense\": cannot read nonsense: it is larger than 1 MiB"},
    };
    const double allowed = INSTRUMENTED ? 20 : 4;

    (void)state;
    enter_corpus();
    make_all_kinds();
    struct daemon *daemon = start_good();
    struct snapshot before = take_snapshot(daemon);
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        double began = clock_now();
        struct outcome outcome = COMMAND("", "--check", "-c", kinds[i].name);

        print_message("%s\n", kinds[i].name);
        assert_int_equal(outcome.status, 78);
        assert_starts(outcome.errors, kinds[i].name);
        assert_contains(outcome.errors, kinds[i].why);
        become(kinds[i].name);
        hangup_refuses(daemon, kinds[i].why);
        outcome = CONTROL("reload");
        assert_int_equal(outcome.status, 1);
        assert_contains(outcome.errors, kinds[i].why);
        assert_true(clock_now() - began < allowed);
        expect_unchanged(daemon, &before);
    }
    daemon_expect_stop(daemon);
}

static void
an_absolute_include_is_read(void **state)
{
    const char *inner = test_file("inner.inc", listener_text("test", "tcp", "none", "upper", ""));
    const char *file =
        daemon_configuration("listeners = {\n@include \"%s\"\n};",
                             test_file("outer.inc", text_of("@include \"%s\"\n", inner)));

    (void)state;
    struct outcome outcome = COMMAND("", "--check", "-c", file);
    assert_string_equal(outcome.errors, "");
    assert_int_equal(outcome.status, 0);
    struct daemon *daemon = DAEMON_RUN("-c", file);
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "hi\n"), "HI\n");
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST(bad_files_are_refused_before_anything_runs),
          TEST(bad_files_change_nothing_in_a_running_daemon), TEST(what_is_no_text_holds_nobody_up),
          TEST(an_absolute_include_is_read))
