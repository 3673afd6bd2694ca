/* SPDX-License-Identifier: MIT */
/*
 * ctl.c - sockserverctl: its commands and its command line
 *
 * Runs in:  sockserverctl.
 * Owns:     nothing.
 * Failures: of the command line: one line on standard error, status 64.
 */
#include "ctl/ctl.h"

#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/control_interface.h"
#include "common/printable.h"
#include "common/suggest.h"
#include "common/value.h"

#define LONGEST_WAIT (24 * 3600.0)
#define METHOD(name) CONTROL_INTERFACE "." name

/* clang-format off */
const struct ctl_command ctl_commands[] = {
    {"status", OPERAND_OPTIONAL, "NAME", "json", false, "how all listeners are, or all about one", NULL, ctl_status},
    {"top", OPERAND_NONE, NULL, NULL, false, "the same, live, with the longest requests; q quits", NULL, ctl_top},
    {"health", OPERAND_OPTIONAL, "NAME", "json", false, "whether clients can be taken; status 0: they can", NULL, ctl_health},
    {"requests", OPERAND_REQUIRED, "NAME", "json", false, "each request that runs, and how far it is", NULL, ctl_requests},
    {"backtrace", OPERAND_TWO, "NAME REQUEST", "json", false, "where a request's handler is now", NULL, ctl_backtrace},
    {"cancel", OPERAND_TWO, "NAME REQUEST", NULL, false, "end one request", NULL, ctl_cancel},
    {"explain", OPERAND_TWO, "NAME WHO", "json", false, "what allow, deny and limits make of a client", NULL, ctl_explain},
    {"sources", OPERAND_OPTIONAL, "NAME", "json", false, "the busiest sources, and who is turned away", NULL, ctl_sources},
    {"pardon", OPERAND_TWO, "NAME WHO", NULL, false, "forget a source's penalty", NULL, ctl_pardon},
    {"reload", OPERAND_NONE, NULL, NULL, false, "read the configuration anew; wait until it serves", METHOD("Reload"), ctl_operate},
    {"drain", OPERAND_REQUIRED, "NAME", "wait", true, "accept no more; clients wait in the queue", METHOD("Drain"), ctl_operate},
    {"resume", OPERAND_REQUIRED, "NAME", NULL, true, "accept again after drain", METHOD("Resume"), ctl_operate},
    {"stop", OPERAND_REQUIRED, "NAME", NULL, false, "finish what runs, then close the socket", METHOD("Stop"), ctl_operate},
    {"start", OPERAND_REQUIRED, "NAME", NULL, false, "start a stopped, disabled or failed listener", METHOD("Start"), ctl_operate},
    {"restart", OPERAND_REQUIRED, "NAME", NULL, false, "new workers on the same socket, refusing nobody", METHOD("Restart"), ctl_operate},
    {"upgrade", OPERAND_NONE, NULL, NULL, false, "execute the installed program anew, losing nobody", METHOD("Upgrade"), ctl_upgrade},
    {"log-level", OPERAND_REQUIRED, "LEVEL", NULL, false, "log what is at least as urgent: err, info, debug...", METHOD("SetLogLevel"), ctl_operate},
    {"import", OPERAND_NONE, NULL, "xinetd", false, "make a configuration of xinetd's or inetd's", NULL, ctl_import},
};
/* clang-format on */
const size_t ctl_command_count = ARRAY_SIZE(ctl_commands);

const char *const ctl_options[] = {"socket", "xinetd", "inetd",   "json", "wait",
                                   "all",    "help",   "version", NULL};

void
ctl_help(FILE *out)
{
    (void)fputs("Usage: sockserverctl [--socket PATH] COMMAND\n\n"
                "Looks into and steers a running sockserverd.\n\n"
                "Commands:\n",
                out);
    for (size_t i = 0; i < ctl_command_count; i++) {
        const struct ctl_command *command = &ctl_commands[i];
        char text[64];
        (void)snprintf(
            text, sizeof(text), "%s%s%s%s%s%s%s%s", command->name,
            command->takes == OPERAND_NONE ? "" : " ",
            command->takes == OPERAND_OPTIONAL ? "[" : "",
            command->takes == OPERAND_NONE ? "" : command->operand,
            command->takes == OPERAND_OPTIONAL ? "]" : "", command->option == NULL ? "" : " [--",
            command->option == NULL ? "" : command->option, command->option == NULL ? "" : "]");
        (void)fprintf(out, "  %-25s%s%s\n", text,
                      strlen(text) > 25 ? "\n                            " : " ", command->help);
    }
    (void)fputs("\nOptions:\n"
                "  --socket PATH             the control socket, if not " CTL_SOCKET "\n"
                "  --json                    what is shown, as JSON\n"
                "  --wait[=SECONDS]          drain: wait until nothing runs any more\n"
                "  --all                     drain, resume: all listeners, instead of NAME\n"
                "  --xinetd FILE             import: this one, and what it includes\n"
                "  --inetd FILE              import: this one\n"
                "  --help, -h                this text\n"
                "  --version                 the version\n\n"
                "See sockserverctl(1).\n",
                out);
}

static int __attribute__((format(printf, 2, 3)))
complain(char **ret_problem, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    if (vasprintf(ret_problem, format, arguments) < 0)
        *ret_problem = NULL;
    va_end(arguments);
    return -EINVAL;
}

static int
unknown_command(const char *word, char **ret_problem)
{
    const char *names[ARRAY_SIZE(ctl_commands) + 1] = {0};

    for (size_t i = 0; i < ARRAY_SIZE(ctl_commands); i++)
        names[i] = ctl_commands[i].name;
    _cleanup_free_ char *phrase = suggest_phrase(word, names);
    return complain(ret_problem, "unknown command \"%s\"%s", word, phrase == NULL ? "" : phrase);
}

static int
parse_seconds(const char *text, struct ctl_arguments *arguments, char **ret_problem)
{
    if (value_number(text, VALUE_PLAIN, &arguments->seconds) < 0 || arguments->seconds < 0 ||
        arguments->seconds > LONGEST_WAIT)
        return complain(ret_problem, "--wait=%s: expected seconds, such as 30", text);
    arguments->wait = true;
    return 0;
}

/* Reads one word after "--". next is the argument that follows, NULL at the end. */
static int
parse_option(const char *option, const char *next, struct ctl_arguments *arguments,
             bool *ret_took_next, char **ret_problem)
{
    const char *value = strchr(option, '=');
    _cleanup_free_ char *name =
        value == NULL ? strdup(option) : strndup(option, (size_t)(value - option));

    if (name == NULL)
        return -ENOMEM;
    const char **path = strcmp(name, "socket") == 0   ? &arguments->socket
                        : strcmp(name, "xinetd") == 0 ? &arguments->xinetd
                        : strcmp(name, "inetd") == 0  ? &arguments->inetd
                                                      : NULL;
    if (path != NULL) {
        *ret_took_next = value == NULL;
        *path = value == NULL ? next : value + 1;
        if (*path == NULL || **path == '\0')
            return complain(ret_problem, "--%s needs a path", name);
        return 0;
    }
    if (value != NULL && strcmp(name, "wait") == 0)
        return parse_seconds(value + 1, arguments, ret_problem);
    if (value != NULL)
        return complain(ret_problem, "--%s takes no value", name);
    if (strcmp(name, "json") == 0)
        arguments->json = true;
    else if (strcmp(name, "wait") == 0)
        arguments->wait = true;
    else if (strcmp(name, "all") == 0)
        arguments->all = true;
    else if (strcmp(name, "help") == 0)
        arguments->help = true;
    else if (strcmp(name, "version") == 0)
        arguments->version = true;
    else {
        _cleanup_free_ char *phrase = suggest_phrase(name, ctl_options);
        return complain(ret_problem, "unknown option --%s%s", name, phrase == NULL ? "" : phrase);
    }
    return 0;
}

static int
parse_word(const char *word, struct ctl_arguments *arguments, char **ret_problem)
{
    if (arguments->command != NULL) {
        enum ctl_operand takes = arguments->command->takes;
        const char **place = arguments->operand == NULL ? &arguments->operand : &arguments->second;
        if (takes == OPERAND_NONE || *place != NULL ||
            (place == &arguments->second && takes != OPERAND_TWO))
            return complain(ret_problem, "%s: unexpected \"%s\"", arguments->command->name, word);
        *place = word;
        return 0;
    }
    for (size_t i = 0; i < ctl_command_count; i++)
        if (strcmp(ctl_commands[i].name, word) == 0) {
            arguments->command = &ctl_commands[i];
            return 0;
        }
    return unknown_command(word, ret_problem);
}

static int
judge(const struct ctl_arguments *arguments, char **ret_problem)
{
    const struct ctl_command *command = arguments->command;

    if (arguments->help || arguments->version)
        return 0;
    if (command == NULL)
        return complain(ret_problem, "no command given");
    if (arguments->all && !command->all)
        return complain(ret_problem, "%s does not take --all", command->name);
    if (arguments->all && arguments->operand != NULL)
        return complain(ret_problem, "%s: --all or %s, not both", command->name, command->operand);
    if (command->takes == OPERAND_REQUIRED && arguments->operand == NULL && !arguments->all)
        return complain(ret_problem, "%s: no %s given", command->name, command->operand);
    if (command->takes == OPERAND_TWO && arguments->second == NULL)
        return complain(ret_problem, "%s: expected %s", command->name, command->operand);
    if (arguments->json && (command->option == NULL || strcmp(command->option, "json") != 0))
        return complain(ret_problem, "%s does not take --json", command->name);
    if ((arguments->xinetd != NULL || arguments->inetd != NULL) && command->run != ctl_import)
        return complain(ret_problem, "%s does not take --%s", command->name,
                        arguments->xinetd != NULL ? "xinetd" : "inetd");
    if (arguments->wait && (command->option == NULL || strcmp(command->option, "wait") != 0))
        return complain(ret_problem, "%s does not take --wait", command->name);
    return 0;
}

int
ctl_parse(int argc, char *const *argv, struct ctl_arguments *ret, char **ret_problem)
{
    struct ctl_arguments arguments = {.socket = CTL_SOCKET, .seconds = -1};
    bool options = true;
    int r = 0;

    *ret_problem = NULL;
    for (int i = 1; i < argc && r == 0; i++) {
        bool took_next = false;
        if (options && strcmp(argv[i], "--") == 0)
            options = false;
        else if (options && strcmp(argv[i], "-h") == 0)
            arguments.help = true;
        else if (options && strncmp(argv[i], "--", 2) == 0)
            r = parse_option(argv[i] + 2, i + 1 < argc ? argv[i + 1] : NULL, &arguments, &took_next,
                             ret_problem);
        else if (options && argv[i][0] == '-')
            r = complain(ret_problem, "unknown option %s", argv[i]);
        else
            r = parse_word(argv[i], &arguments, ret_problem);
        i += took_next;
    }
    if (r == 0)
        r = judge(&arguments, ret_problem);
    if (r == 0)
        *ret = arguments;
    return r;
}

int
ctl_main(int argc, char *const *argv)
{
    struct ctl_arguments arguments = {0};
    _cleanup_free_ char *problem = NULL;
    enum ctl_result result = CTL_FINE;

    (void)setlocale(LC_CTYPE, "");
    if (ctl_parse(argc, argv, &arguments, &problem) < 0) {
        (void)fputs("sockserverctl: ", stderr);
        printable_put(stderr, problem == NULL ? "out of memory" : problem);
        (void)fputs("\nsee sockserverctl --help\n", stderr);
        return CTL_USAGE;
    }
    if (arguments.help)
        ctl_help(stdout);
    else if (arguments.version)
        (void)puts("sockserverctl " SOCKSERVERD_VERSION);
    else
        result = arguments.all ? ctl_operate_all(&arguments) : arguments.command->run(&arguments);
    return fflush(stdout) != 0 && result == CTL_FINE ? CTL_FAILED : (int)result;
}
