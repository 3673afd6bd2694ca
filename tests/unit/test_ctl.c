/* SPDX-License-Identifier: MIT */
/*
 * test_ctl.c - sockserverctl's command line; its help, manual and completion say what the table
 * says
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "config/source.h"
#include "ctl/ctl.h"

#define MANUAL     SOURCE_DIR "/daemon/ctl/sockserverctl.1"
#define COMPLETION SOURCE_DIR "/daemon/ctl/sockserverctl.bash"
#define INTERFACE  SOURCE_DIR "/daemon/supervisor/control/org.sockserver.Control.varlink"

static int
parse(const char *line, struct ctl_arguments *ret, char **ret_problem)
{
    static char words[256];
    char *argv[16] = {(char *)(uintptr_t) "sockserverctl"};
    int argc = 1;

    (void)snprintf(words, sizeof(words), "%s", line);
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = word;
    return ctl_parse(argc, argv, ret, ret_problem);
}

static void
commands_are_understood(void **state)
{
    static const struct {
        const char *line, *socket, *command, *operand;
        bool json, wait;
    } cases[] = {
        {"status", CTL_SOCKET, "status", NULL, false, false},
        {"status upper --json", CTL_SOCKET, "status", "upper", true, false},
        {"--json status", CTL_SOCKET, "status", NULL, true, false},
        {"--socket /x top", "/x", "top", NULL, false, false},
        {"--socket=/x reload", "/x", "reload", NULL, false, false},
        {"drain upper --wait --socket /y", "/y", "drain", "upper", false, true},
        {"drain upper --wait=2.5", CTL_SOCKET, "drain", "upper", false, true},
        {"drain --all --wait", CTL_SOCKET, "drain", NULL, false, true},
        {"resume --all", CTL_SOCKET, "resume", NULL, false, false},
        {"health upper --json", CTL_SOCKET, "health", "upper", true, false},
        {"stop -- --odd", CTL_SOCKET, "stop", "--odd", false, false},
        {"log-level debug", CTL_SOCKET, "log-level", "debug", false, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct ctl_arguments arguments;
        char *problem;
        assert_int_equal(parse(cases[i].line, &arguments, &problem), 0);
        assert_string_equal(arguments.socket, cases[i].socket);
        assert_string_equal(arguments.command->name, cases[i].command);
        assert_int_equal(arguments.operand == NULL, cases[i].operand == NULL);
        if (cases[i].operand != NULL)
            assert_string_equal(arguments.operand, cases[i].operand);
        else
            assert_null(arguments.operand);
        assert_int_equal(arguments.json, cases[i].json);
        assert_int_equal(arguments.wait, cases[i].wait);
    }
}

static void
mistakes_are_named(void **state)
{
    static const char *const cases[][2] = {
        {"", "no command given"},
        {"statsu", "unknown command \"statsu\"; did you mean \"status\"?"},
        {"drain", "drain: no NAME given"},
        {"log-level", "log-level: no LEVEL given"},
        {"reload upper", "reload: unexpected \"upper\""},
        {"stop a b", "stop: unexpected \"b\""},
        {"stop a --wait", "stop does not take --wait"},
        {"top --json", "top does not take --json"},
        {"status --jsno", "unknown option --jsno; did you mean \"json\"?"},
        {"status --json=yes", "--json takes no value"},
        {"drain a --wait=soon", "--wait=soon: expected seconds, such as 30"},
        {"drain a --wait=-1", "--wait=-1: expected seconds, such as 30"},
        {"drain a --wait=", "--wait=: expected seconds, such as 30"},
        {"drain a --all", "drain: --all or NAME, not both"},
        {"stop --all", "stop does not take --all"},
        {"status -x", "unknown option -x"},
        {"status --socket", "--socket needs a path"},
        {"--socket= status", "--socket needs a path"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct ctl_arguments arguments;
        _cleanup_free_ char *problem = NULL;
        assert_int_equal(parse(cases[i][0], &arguments, &problem), -EINVAL);
        assert_string_equal(problem, cases[i][1]);
    }
}

static void
read_text(const char *file, char **ret)
{
    size_t size;

    assert_int_equal(source_read(file, ret, &size), 0);
}

static char *
help_text(void)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    ctl_help(out);
    (void)fclose(out);
    return text;
}

static size_t
count(const char *text, const char *part)
{
    size_t found = 0;

    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        found++;
    return found;
}

static void
expect_once(const char *text, const char *where, const char *part)
{
    if (count(text, part) != 1)
        fail_msg("%s has %zu times: %s", where, count(text, part), part);
}

/* "\n.It Cm drain Ar NAME Op Fl -wait\n", and no command that does not exist. */
static void
manual_has_every_command(void **state)
{
    _cleanup_free_ char *manual = NULL;
    size_t entries = 0;

    (void)state;
    read_text(MANUAL, &manual);
    const char *start = strstr(manual, "The commands are:"), *end = strstr(start, "\n.El");
    for (size_t i = 0; i < ctl_command_count; i++) {
        const struct ctl_command *command = &ctl_commands[i];
        char entry[128];
        bool optional = command->takes == OPERAND_OPTIONAL;
        (void)snprintf(entry, sizeof(entry), "\n.It Cm %s%s%s%s%s%s\n", command->name,
                       command->takes == OPERAND_NONE ? ""
                       : optional                     ? " Oo Ar "
                                                      : " Ar ",
                       command->takes == OPERAND_NONE ? "" : command->operand,
                       optional ? " Oc" : "", command->option == NULL ? "" : " Op Fl -",
                       command->option == NULL ? "" : command->option);
        expect_once(manual, "the manual", entry);
    }
    for (const char *at = start; (at = strstr(at, "\n.It Cm ")) != NULL && at < end; at++)
        entries++;
    assert_int_equal(entries, ctl_command_count);
}

static void
help_has_every_command_and_option(void **state)
{
    _cleanup_free_ char *help = help_text(), *manual = NULL;

    (void)state;
    read_text(MANUAL, &manual);
    for (size_t i = 0; i < ctl_command_count; i++) {
        char line[64];
        (void)snprintf(line, sizeof(line), "\n  %s ", ctl_commands[i].name);
        expect_once(help, "the help", line);
        expect_once(help, "the help", ctl_commands[i].help);
    }
    for (size_t i = 0; ctl_options[i] != NULL; i++) {
        char line[64];
        (void)snprintf(line, sizeof(line), "\n  --%s", ctl_options[i]);
        expect_once(help, "the help", line);
        (void)snprintf(line, sizeof(line), "\n.It Fl -%s", ctl_options[i]);
        expect_once(manual, "the manual", line);
    }
    for (char *line = strtok(help, "\n"); line != NULL; line = strtok(NULL, "\n"))
        assert_true(strlen(line) <= 80);
}

static void
completion_has_every_command(void **state)
{
    _cleanup_free_ char *completion = NULL;

    (void)state;
    read_text(COMPLETION, &completion);
    for (size_t i = 0; i < ctl_command_count; i++)
        assert_true(count(completion, ctl_commands[i].name) >= 1);
    for (size_t i = 0; ctl_options[i] != NULL; i++)
        assert_true(count(completion, ctl_options[i]) >= 1);
    for (size_t i = 0; log_level_names[i] != NULL; i++)
        assert_true(count(completion, log_level_names[i]) >= 1);
}

/* What a command calls is a method of the interface. */
static void
interface_has_every_method(void **state)
{
    _cleanup_free_ char *interface = NULL;

    (void)state;
    read_text(INTERFACE, &interface);
    size_t methods = 0;
    for (size_t i = 0; i < ctl_command_count; i++) {
        char line[64];
        if (ctl_commands[i].method == NULL)
            continue;
        methods++;
        (void)snprintf(line, sizeof(line), "\nmethod %s(",
                       strrchr(ctl_commands[i].method, '.') + 1);
        expect_once(interface, "the interface", line);
    }
    assert_true(methods > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_understood),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(manual_has_every_command),
        cmocka_unit_test(help_has_every_command_and_option),
        cmocka_unit_test(completion_has_every_command),
        cmocka_unit_test(interface_has_every_method),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
