/* SPDX-License-Identifier: MIT */
/*
 * test_unchanged.c - what is refused leaves everything as it was: each descriptor of the
 * supervisor and of its workers, each process, each socket, and what the status says
 */
#include "upgrade_fixture.h"

#include <jansson.h>
#include <signal.h>

#include "common/array.h"
#include "support/client.h"
#include "support/command.h"
#include "support/control.h"
#include "support/proc.h"

static const char *file;
static const char *taken; /* an address of somebody else's */

/* The first has more settings: with others than before, it gets a new generation in a reload. */
static const char *
served(const char *settings, const char *more)
{
    return text_of("control = { path = \"%s\"; };\nlisteners = { %s %s %s %s };",
                   test_path("control"),
                   listener_text("threads", "tcp", "threading", "good_command", settings),
                   listener_text("forks", "unix", "forking", "good_command", ""),
                   listener_text("packets", "udp", "none", "good_command", ""), more);
}

/* ---- what is refused -------------------------------------------------------------------- */

struct refusal {
    const char *label;
    void (*ask)(struct daemon *daemon, const struct refusal *row);
    const char *text;      /* in the file, or the program */
    const char *complaint; /* in the log, or of the command */
};

static void
hang_up(struct daemon *daemon, const struct refusal *row)
{
    const char *extra = strstr(row->text, "%s") == NULL
                            ? row->text
                            : text_of("taken = { address = \"%s\"; plugin = \"upper\"; };", taken);

    assert_return_code(
        rename(daemon_configuration("%s", served("max_connections = 9;", extra)), file), errno);
    daemon_signal(daemon, SIGHUP);
    (void)daemon_wait_log(daemon, "reload failed: ");
    assert_contains(daemon_log(daemon), row->complaint);
}

static void
replace_program(struct daemon *daemon, const struct refusal *row)
{
    if (row->text != NULL)
        install_script(row->text);
    else
        assert_return_code(unlink(program()), errno);
    daemon_signal(daemon, SIGUSR2);
    (void)daemon_wait_log(daemon,
                          text_of("cannot upgrade: %s; going on as before", row->complaint));
}

static void
break_file_and_upgrade(struct daemon *daemon, const struct refusal *row)
{
    assert_return_code(rename(daemon_configuration("%s %s", served("", ""), row->text), file),
                       errno);
    daemon_signal(daemon, SIGUSR2);
    (void)daemon_wait_log(daemon, "cannot upgrade: the new program's check failed");
    assert_contains(daemon_log(daemon), row->complaint);
}

static struct outcome
ctl(const char *command, const char *argument)
{
    return command_run(
        CTL_PROGRAM, "",
        (const char *const[]){"--socket", test_path("control"), command, argument, NULL});
}

static void
command(struct daemon *daemon, const struct refusal *row)
{
    const char *word = row->text, *second = strchr(word, ' ');
    struct outcome outcome = ctl(text_of("%.*s", (int)(second - word), word), second + 1);

    (void)daemon;
    assert_int_not_equal(outcome.status, 0);
    assert_contains(outcome.errors, row->complaint);
}

static const struct refusal refusals[] = {
    {"syntax", hang_up, "x = { address", "syntax error"},
    {"unknown key", hang_up, "x = { adress = \"tcp://:0\"; };", "adress"},
    {"no address", hang_up, "x = { plugin = \"upper\"; };", "\"address\" is missing"},
    {"no plugin", hang_up, "x = { address = \"tcp://127.0.0.1:0\"; plugin = \"nowhere\"; };",
     "nowhere"},
    {"plugin without handle", hang_up,
     "x = { address = \"tcp://127.0.0.1:0\"; plugin = \"bad_no_handle\"; };", "bad_no_handle"},
    {"server_activate fails", hang_up,
     "x = { address = \"tcp://127.0.0.1:0\"; plugin = \"bad_activate\"; };",
     "server_activate failed"},
    {"address in use", hang_up, "%s", "Address already in use"},
    {"unknown host", hang_up,
     "x = { address = \"tcp://no.such.host.invalid:0\"; plugin = \"upper\"; };",
     "cannot resolve \"no.such.host.invalid\""},
    {"path that cannot be bound", hang_up,
     "x = { address = \"unix:/proc/no/such/folder\"; plugin = \"upper\"; };",
     "/proc/no/such/folder"},
    {"program fails", replace_program, "#!/bin/sh\necho 'it is broken' >&2\nexit 1\n",
     "the new program's check failed"},
    {"no program", replace_program, NULL, "the new program's check failed"},
    {"another program", replace_program, "#!/bin/sh\necho configuration OK\n",
     "the new program does not understand what it would be handed"},
    {"upgrade with a bad file", break_file_and_upgrade, "nonsense = 1;\n", "nonsense"},
    {"unknown listener", command, "restart nobody", "nobody"},
    {"unknown level", command, "log-level loud", "loud"},
};

/* ---- the picture --------------------------------------------------------------------------- */

/* What moves although nothing has changed. */
static void
leave_out_figures(json_t *value)
{
    static const char *const moving[] = {"uptime_us",           "state_us", "busy_us", "cpu_us",
                                         "accepted_per_second", "recent",   "idle"};
    json_t *member;
    const char *key;
    size_t index;
    void *next;

    for (size_t i = 0; json_is_object(value) && i < ARRAY_SIZE(moving); i++)
        (void)json_object_del(value, moving[i]);
    json_object_foreach_safe(value, next, key, member) leave_out_figures(member);
    json_array_foreach(value, index, member) leave_out_figures(member);
}

static const char *
status_without_figures(void)
{
    struct outcome outcome = ctl("status", "--json");
    json_t *status = json_loads(outcome.output, 0, NULL);

    assert_non_null(status);
    leave_out_figures(status);
    const char *text = keep(json_dumps(status, JSON_SORT_KEYS | JSON_INDENT(1)));
    json_decref(status);
    return text;
}

/* The supervisor and its workers, in order of their numbers, with their descriptors. */
static const char *
processes(struct daemon *daemon)
{
    pid_t children[PROC_CHILDREN];
    size_t count = proc_children(daemon_pid(daemon), children);
    const char *text = text_of("supervisor:\n%s", proc_fd_list(daemon_pid(daemon)));

    for (size_t i = 0; i < count; i++)
        text = text_of("%sworker %d:\n%s", text, (int)children[i], proc_fd_list(children[i]));
    return text;
}

/* The control connection of the last command may still be there for a moment. */
static bool
is_quiet(struct daemon *daemon, const char *before)
{
    return strcmp(processes(daemon), before) == 0;
}

static const char *
settled_processes(struct daemon *daemon)
{
    const char *last = "", *now = processes(daemon);

    for (unsigned same = 0; same < 20; same++) {
        last = now;
        clock_pause();
        now = processes(daemon);
        if (strcmp(last, now) != 0)
            same = 0;
    }
    return now;
}

static void
everything_is_as_it_was(void **state)
{
    const struct refusal *row = *state;
    struct daemon *other = daemon_serve("tcp", "none", "upper", "");

    taken = daemon_address(other, "test");
    file = daemon_configuration("%s", served("", ""));
    struct daemon *daemon = start(file);
    const char *address = daemon_address(daemon, "threads");
    (void)daemon_address(daemon, "forks");
    (void)daemon_address(daemon, "packets");
    const char *status = status_without_figures();
    const char *before = settled_processes(daemon);

    row->ask(daemon, row);
    for (double give_up = clock_now() + DEADLINE; !is_quiet(daemon, before); clock_pause())
        if (clock_now() > give_up)
            assert_string_equal(processes(daemon), before);
    assert_string_equal(status_without_figures(), status);
    assert_string_equal(client_ask(address, "echo on\n"), "on\n");
    daemon_expect_stop(daemon);
    daemon_expect_stop(other);
}

/* A row for each refusal. */
int
main(int count, char *arguments[])
{
    static char names[ARRAY_SIZE(refusals)][80];
    struct CMUnitTest tests[ARRAY_SIZE(refusals)];

    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
        (void)snprintf(names[i], sizeof(names[i]), "everything_is_as_it_was (%s)",
                       refusals[i].label);
    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
        tests[i] = (struct CMUnitTest){
            .name = names[i],
            .test_func = everything_is_as_it_was,
            .teardown_func = test_done,
            .initial_state = (void *)(uintptr_t)&refusals[i],
        };
    cmocka_set_test_filter(count > 1 ? arguments[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
