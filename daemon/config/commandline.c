/* SPDX-License-Identifier: MIT */
/*
 * commandline.c - what the command line asks for
 *
 * One table holds every option: how it is written, what it goes with, and
 * its line of --help.
 *
 * Runs in:  every role, first thing in main().
 * Owns:     the names of assignments.
 * Failures: returned as one sentence for the person who typed it.
 */
#include "config/commandline.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/problem.h"
#include "common/suggest.h"

/* These are the roles that an option goes with. */
#define WITH(role) (1u << (role))
#define FILE_ONLY  WITH(ROLE_SERVE_FILE)
#define SERVING    (WITH(ROLE_SERVE_FILE) | WITH(ROLE_LISTEN))
#define PLUGIN     (WITH(ROLE_LISTEN) | WITH(ROLE_STDIO))
#define RUNNING    (SERVING | WITH(ROLE_STDIO))
#define ANYTHING   (~0u)

struct option {
    char letter; /* 0: none */
    const char *name;
    const char *argument; /* what it takes, for --help; NULL: nothing */
    unsigned with;        /* roles */
    int role;             /* the role it chooses, or -1 */
    int (*take)(struct commandline *commandline, const char *value, char **ret_problem);
    size_t offset; /* without take: the field it sets, a bool or a string */
    const char *help;
};

static int take_assignment(struct commandline *commandline, const char *value, bool setting,
                           char **ret_problem);
static int take_option(struct commandline *commandline, const char *value, char **ret_problem);
static int take_format(struct commandline *commandline, const char *value, char **ret_problem);
static int take_set(struct commandline *commandline, const char *value, char **ret_problem);
static int take_run(struct commandline *commandline, const char *value, char **ret_problem);
static int take_level(struct commandline *commandline, const char *value, char **ret_problem);

#define ANY_PORT     "tcp://127.0.0.1:0"
#define FIELD(field) offsetof(struct commandline, field)
#define NO_FIELD     SIZE_MAX

static const struct option options[] = {
    {'c', "config", "FILE", FILE_ONLY, ROLE_SERVE_FILE, NULL, FIELD(config_file),
     "serve what FILE says"},
    {0, "listen", "ADDRESS", WITH(ROLE_LISTEN), ROLE_LISTEN, NULL, FIELD(address),
     "serve one PLUGIN on ADDRESS, without a file"},
    {0, "stdio", NULL, WITH(ROLE_STDIO), ROLE_STDIO, NULL, NO_FIELD,
     "one request of PLUGIN on standard input"},
    {0, "describe", NULL, WITH(ROLE_DESCRIBE), ROLE_DESCRIBE, NULL, NO_FIELD,
     "show what PLUGIN is and which options it takes"},
    {0, "new", "NAME", WITH(ROLE_NEW), ROLE_NEW, NULL, FIELD(new_name),
     "make a folder with a new plugin, and its test"},
    {0, "language", "LANGUAGE", WITH(ROLE_NEW), -1, NULL, FIELD(language),
     "of --new: c, c++ or python"},
    {0, "check", NULL, SERVING, -1, NULL, FIELD(check), "find all mistakes, serve nothing"},
    {0, "mixin", "MIXIN", WITH(ROLE_LISTEN), -1, NULL, FIELD(mixin),
     "none, threading, forking or coroutine"},
    {'o', "option", "NAME=VALUE", PLUGIN, -1, take_option, NO_FIELD, "set an option of the plugin"},
    {0, "set", "KEY=VALUE", PLUGIN, -1, take_set, NO_FIELD, "set a key of the listener"},
    {0, "plugin-path", "DIRS", ANYTHING, -1, NULL, FIELD(plugin_path),
     "folders of plugins, separated by colons"},
    {0, "run", "COMMAND...", SERVING, -1, take_run, NO_FIELD,
     "run COMMAND while it serves, and end with it"},
    {0, "datagram", NULL, WITH(ROLE_STDIO), -1, NULL, FIELD(datagram),
     "standard input is one datagram"},
    {0, "once", NULL, SERVING, -1, NULL, FIELD(once), "handle one request per listener, then end"},
    {0, "strict", NULL, SERVING, -1, NULL, FIELD(strict), "end if a listener cannot start"},
    {0, "log-level", "LEVEL", RUNNING, -1, take_level, NO_FIELD,
     "from emerg to debug; usually info"},
    {0, "log-format", "FORMAT", RUNNING, -1, take_format, NO_FIELD, "text or json"},
    {0, "no-access-log", NULL, RUNNING, -1, NULL, FIELD(no_access_log),
     "log only requests with trouble"},
    {0, "json", NULL, WITH(ROLE_DESCRIBE), -1, NULL, FIELD(json), "let --describe write JSON"},
    {'h', "help", NULL, ANYTHING, ROLE_HELP, NULL, NO_FIELD, "show this"},
    {0, "version", NULL, ANYTHING, ROLE_VERSION, NULL, NO_FIELD, "show the version"},
};

const char *const commandline_option_names[] = {
    "config",   "listen", "stdio",   "describe",  "new",         "language",
    "check",    "mixin",  "option",  "set",       "plugin-path", "run",
    "datagram", "once",   "strict",  "log-level", "log-format",  "no-access-log",
    "json",     "help",   "version", NULL,
};

/* Messages call the roles by these names. */
static const char *const role_names[] = {
    [ROLE_SERVE_FILE] = "--config", [ROLE_LISTEN] = "--listen", [ROLE_STDIO] = "--stdio",
    [ROLE_DESCRIBE] = "--describe", [ROLE_NEW] = "--new",       [ROLE_HELP] = "--help",
    [ROLE_VERSION] = "--version",
};

/* ---- values ------------------------------------------------------------------------ */

static int
take_assignment(struct commandline *commandline, const char *value, bool setting,
                char **ret_problem)
{
    const char *equals = strchr(value, '=');

    if (equals == NULL || equals == value)
        return problem(ret_problem, "%s \"%s\": expected %s=VALUE", setting ? "--set" : "-o", value,
                       setting ? "KEY" : "NAME");
    struct assignment *grown =
        reallocarray(commandline->assignments, commandline->assignment_count + 1, sizeof(*grown));
    if (grown == NULL)
        return -ENOMEM;
    commandline->assignments = grown;
    char *name = strndup(value, (size_t)(equals - value));
    if (name == NULL)
        return -ENOMEM;
    grown[commandline->assignment_count++] =
        (struct assignment){.setting = setting, .name = name, .value = equals + 1};
    return 0;
}

static int
take_option(struct commandline *commandline, const char *value, char **ret_problem)
{
    return take_assignment(commandline, value, false, ret_problem);
}

static int
take_set(struct commandline *commandline, const char *value, char **ret_problem)
{
    return take_assignment(commandline, value, true, ret_problem);
}

/* Everything behind it is the command's. */
static int
take_run(struct commandline *commandline, const char *value, char **ret_problem)
{
    (void)commandline;
    if (*value == '\0')
        return problem(ret_problem, "--run needs a command: a path, or a program in $PATH");
    return 0;
}

static int
take_level(struct commandline *commandline, const char *value, char **ret_problem)
{
    commandline->log_level = log_level_from_name(value);
    if (commandline->log_level >= 0)
        return 0;
    _cleanup_free_ char *hint = suggest_phrase(value, log_level_names);
    bool guessed = hint != NULL && *hint != '\0';
    return problem(ret_problem, "--log-level: unknown level \"%s\"%s", value,
                   guessed ? hint : "; expected one from emerg to debug, such as info");
}

static int
take_format(struct commandline *commandline, const char *value, char **ret_problem)
{
    commandline->log_format = log_format_from_name(value);
    if (commandline->log_format >= 0)
        return 0;
    return problem(ret_problem, "--log-format: unknown format \"%s\"; expected text or json",
                   value);
}

/* ---- options ------------------------------------------------------------------------- */

static const struct option *
find_long(const char *name, size_t size)
{
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        if (strlen(options[i].name) == size && strncmp(options[i].name, name, size) == 0)
            return &options[i];
    return NULL;
}

/* letter is none of the NULs that stand for "no letter". */
static const struct option *
find_letter(char letter)
{
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        if (options[i].letter == letter)
            return &options[i];
    return NULL;
}

static int
unknown_option(const char *argument, char **ret_problem)
{
    const char *near = NULL;

    if (strncmp(argument, "--", 2) == 0) {
        _cleanup_free_ char *name = strndup(argument + 2, strcspn(argument + 2, "="));
        if (name == NULL)
            return -ENOMEM;
        near = suggest(name, commandline_option_names);
    }
    if (near == NULL)
        return problem(ret_problem, "unknown option %s", argument);
    return problem(ret_problem, "unknown option %.*s; did you mean --%s?",
                   (int)strcspn(argument, "="), argument, near);
}

/* This holds which arguments have been read, and which options were among them. */
struct reader {
    int argc;
    char *const *argv;
    int next;
    unsigned given; /* bit: row of options */
    bool options_over;
};

static int
choose_role(const struct option *option, struct commandline *commandline, const struct reader *seen,
            char **ret_problem)
{
    enum role role = (enum role)option->role;

    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        if ((seen->given & (1u << i)) && options[i].role >= 0 && options[i].role != option->role &&
            options[i].role < ROLE_HELP && role < ROLE_HELP)
            return problem(ret_problem, "--%s and --%s exclude each other", options[i].name,
                           option->name);
    /* A person who asks for help gets it, whatever else is given. */
    if (commandline->role < ROLE_HELP)
        commandline->role = role;
    return 0;
}

static int
apply(const struct option *option, const char *value, struct commandline *commandline,
      struct reader *reader, char **ret_problem)
{
    int r = option->role < 0 ? 0 : choose_role(option, commandline, reader, ret_problem);

    if (r < 0)
        return r;
    reader->given |= 1u << (option - options);
    if (option->take != NULL)
        return option->take(commandline, value, ret_problem);
    if (option->offset == NO_FIELD)
        return 0;
    if (option->argument == NULL)
        *(bool *)((char *)commandline + option->offset) = true;
    else
        *(const char **)((char *)commandline + option->offset) = value;
    return 0;
}

/* Reads "--name", "--name=value", "--name value", "-o value" or "-ovalue". */
static int
read_option(struct reader *reader, const char *argument, struct commandline *commandline,
            char **ret_problem)
{
    bool is_long = argument[1] == '-';
    size_t size = is_long ? strcspn(argument + 2, "=") : 1;
    const char *rest = is_long ? argument + 2 + size : argument + 2;
    const struct option *option =
        is_long ? find_long(argument + 2, size) : find_letter(argument[1]);
    const char *value = is_long && *rest == '=' ? rest + 1 : *rest != '\0' ? rest : NULL;

    if (option == NULL || (!is_long && option->argument == NULL && value != NULL))
        return unknown_option(argument, ret_problem);
    if (option->argument == NULL && value != NULL)
        return problem(ret_problem, "--%s takes no value", option->name);
    if (option->argument != NULL && value == NULL) {
        if (reader->next >= reader->argc)
            return problem(ret_problem, "--%s needs a value: %s", option->name, option->argument);
        value = reader->argv[reader->next++];
        if (option->take == take_run) { /* all that follows is the command's */
            commandline->command = reader->argv + reader->next - 1;
            reader->next = reader->argc;
        }
    } else if (option->take == take_run) {
        return problem(ret_problem, "--run: expected a blank before the command: --run %s", value);
    }
    return apply(option, value, commandline, reader, ret_problem);
}

static int
read_argument(struct reader *reader, struct commandline *commandline, char **ret_problem)
{
    const char *argument = reader->argv[reader->next++];

    if (!reader->options_over && strcmp(argument, "--") == 0) {
        reader->options_over = true;
        return 0;
    }
    if (!reader->options_over && argument[0] == '-' && argument[1] != '\0')
        return read_option(reader, argument, commandline, ret_problem);
    if (commandline->plugin != NULL && commandline->role == ROLE_NEW)
        return problem(ret_problem, "unexpected argument \"%s\" behind the folder \"%s\"", argument,
                       commandline->plugin);
    if (commandline->plugin != NULL)
        return problem(ret_problem, "unexpected argument \"%s\" behind the plugin \"%s\"", argument,
                       commandline->plugin);
    commandline->plugin = argument;
    return 0;
}

/* ---- what goes together ------------------------------------------------------------------ */

/* With what an option works that does not go with a file. */
static const char *
roles_of(const struct option *option)
{
    bool listen = (option->with & WITH(ROLE_LISTEN)) != 0;
    bool stdio = (option->with & WITH(ROLE_STDIO)) != 0;

    if (option->with & WITH(ROLE_NEW))
        return role_names[ROLE_NEW];
    if (option->with & WITH(ROLE_DESCRIBE))
        return role_names[ROLE_DESCRIBE];
    if (listen && stdio)
        return "--listen or --stdio";
    return role_names[listen ? ROLE_LISTEN : ROLE_STDIO];
}

static int
check_options_fit(const struct reader *reader, const struct commandline *commandline,
                  char **ret_problem)
{
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        if (!(reader->given & (1u << i)) || (options[i].with & WITH(commandline->role)))
            continue;
        if (commandline->role == ROLE_SERVE_FILE)
            return problem(ret_problem, "--%s works only with %s", options[i].name,
                           roles_of(&options[i]));
        return problem(ret_problem, "--%s does not go with %s", options[i].name,
                       role_names[commandline->role]);
    }
    return 0;
}

static bool
is_given(const struct reader *reader, const char *name)
{
    return (reader->given & (1u << (find_long(name, strlen(name)) - options))) != 0;
}

/* What --run serves: a plugin, by itself on any free port, or a file that was asked for. */
static int
check_command_fits(const struct reader *reader, struct commandline *commandline, char **ret_problem)
{
    if (commandline->command == NULL)
        return 0;
    if (commandline->once || commandline->check)
        return problem(ret_problem, "--run and --%s exclude each other",
                       commandline->once ? "once" : "check");
    if (commandline->role != ROLE_SERVE_FILE || is_given(reader, "config"))
        return 0;
    if (commandline->plugin == NULL)
        return problem(ret_problem, "--run needs something to serve before it: a plugin, such as "
                                    "./upper.so, or -c FILE");
    commandline->role = ROLE_LISTEN;
    commandline->address = ANY_PORT;
    return 0;
}

static int
check_plugin_fits(const struct commandline *commandline, char **ret_problem)
{
    bool wanted = commandline->role == ROLE_LISTEN || commandline->role == ROLE_STDIO ||
                  commandline->role == ROLE_DESCRIBE;

    if (wanted && commandline->plugin == NULL)
        return problem(ret_problem, "%s needs a plugin: a path such as ./upper.so, or a name",
                       role_names[commandline->role]);
    if (commandline->role == ROLE_NEW)
        return 0;
    if (!wanted && commandline->plugin != NULL)
        return problem(ret_problem,
                       "unexpected argument \"%s\"; a plugin is served without a file by: "
                       "sockserverd --listen ADDRESS %s",
                       commandline->plugin, commandline->plugin);
    if (commandline->plugin != NULL && commandline->plugin[0] == '\0')
        return problem(ret_problem, "the plugin's name is empty");
    return 0;
}

int
commandline_parse(int argc, char *const *argv, struct commandline *ret, char **ret_problem)
{
    struct reader reader = {.argc = argc, .argv = argv, .next = 1};

    *ret = (struct commandline){.role = ROLE_SERVE_FILE,
                                .config_file = SOCKSERVERD_CONFIG_FILE,
                                .log_level = -1,
                                .log_format = -1};
    *ret_problem = NULL;
    while (reader.next < argc) {
        int r = read_argument(&reader, ret, ret_problem);
        if (r < 0)
            return r;
    }
    if (ret->role >= ROLE_HELP)
        return 0;
    int r = check_command_fits(&reader, ret, ret_problem);
    if (r == 0)
        r = check_options_fit(&reader, ret, ret_problem);
    return r < 0 ? r : check_plugin_fits(ret, ret_problem);
}

void
commandline_done(struct commandline *commandline)
{
    for (size_t i = 0; i < commandline->assignment_count; i++)
        free(commandline->assignments[i].name);
    free(commandline->assignments);
    *commandline = (struct commandline){0};
}

void
commandline_help(FILE *out)
{
    (void)fputs("usage: sockserverd [-c FILE] [--check] [--once] [--strict]\n"
                "       sockserverd --listen ADDRESS [--mixin MIXIN] [-o NAME=VALUE]... PLUGIN\n"
                "       sockserverd [--listen ADDRESS] PLUGIN --run COMMAND [ARGUMENT]...\n"
                "       sockserverd --stdio [--datagram] [-o NAME=VALUE]... PLUGIN\n"
                "       sockserverd --describe PLUGIN [--json]\n"
                "       sockserverd --new NAME [--language LANGUAGE] [FOLDER]\n"
                "\n"
                "Serves TCP, UDP and Unix sockets with handler plugins.\n"
                "\n",
                out);
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        const struct option *option = &options[i];
        char left[48];
        (void)snprintf(left, sizeof(left), "%c%c%c --%s%s%s", option->letter ? '-' : ' ',
                       option->letter ? option->letter : ' ', option->letter ? ',' : ' ',
                       option->name, option->argument == NULL ? "" : " ",
                       option->argument == NULL ? "" : option->argument);
        (void)fprintf(out, "  %-27s %s\n", left, option->help);
    }
    (void)fputs("\nThe usual FILE is " SOCKSERVERD_CONFIG_FILE ".\n"
                "An ADDRESS is tcp://host:port, udp://host:port, unix:///path, unix:@name or\n"
                "unixgram:///path. A PLUGIN is a path, with a slash, or a name in the plugin\n"
                "path.\n"
                "The manual is sockserverd(8).\n",
                out);
}
