/* SPDX-License-Identifier: MIT */
/*
 * main.c - from the arguments to a role, and from its end to an exit status
 *
 * Runs in:  every process of the daemon.
 * Owns:     nothing that outlives the role.
 * Failures: of reading the command line and the configuration are told here;
 *           of serving, where they happen.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "common/apart.h"
#include "common/child.h"
#include "common/cleanup.h"
#include "common/descriptors.h"
#include "common/inherited.h"
#include "common/mixins.h"
#include "common/patience.h"
#include "common/printable.h"
#include "common/stray_signals.h"
#include "config/commandline.h"
#include "config/config.h"
#include "create/create.h"
#include "supervisor/change/check.h"
#include "supervisor/change/load.h"
#include "supervisor/change/upgrade.h"
#include "supervisor/listener/spawn.h"
#include "supervisor/signals.h"
#include "supervisor/supervisor.h"
#include "worker/once.h"
#include "worker/plugin/describe.h"
#include "worker/request/gate.h"
#include "worker/worker.h"

enum status {
    STATUS_FINE = 0,
    STATUS_FAILED = 1,                /* while running */
    STATUS_USAGE = EX_USAGE,          /* 64: the command line */
    STATUS_CONFIGURATION = EX_CONFIG, /* 78: the configuration */
};

static int
status_of(int error)
{
    if (error == -EINVAL)
        return STATUS_CONFIGURATION;
    return error < 0 ? STATUS_FAILED : STATUS_FINE;
}

static int
print_errors(const struct errors *errors)
{
    for (size_t i = 0; i < errors->count; i++)
        (void)fprintf(stderr, "%s\n", errors->texts[i]);
    if (errors->exhausted)
        (void)fprintf(stderr, "sockserverd: out of memory\n");
    return errors_any(errors) ? STATUS_CONFIGURATION : STATUS_FINE;
}

static int
report_failure(const char *what, int error)
{
    char reason[SPAWN_REASON_SIZE];

    (void)fprintf(stderr, "sockserverd: cannot %s: %s\n", what, spawn_reason(error, reason));
    return STATUS_FAILED;
}

/* Replaces what the file says about everything by what the command line says. */
static void
override(struct config *config, const struct commandline *commandline)
{
    if (commandline->log_level >= 0)
        config->log.level = commandline->log_level;
    else if (commandline->command != NULL)
        config->log.level = LOG_WARNING; /* the rest is the command's to say */
    if (commandline->log_format >= 0)
        config->log.format = (enum log_format)commandline->log_format;
    if (commandline->no_access_log)
        config->log.access = false;
}

static int
load_file(struct config *config, const struct commandline *commandline, struct errors *errors)
{
    int r = config_load(config, commandline->config_file, commandline->plugin_path, errors);

    override(config, commandline);
    return r;
}

/* Makes the only listener of a command line, and the configuration that goes with it. */
static int
load_plugin(struct config *config, const struct commandline *commandline,
            struct settings *ret_settings, struct errors *errors)
{
    int r = config_load_nothing(config, commandline->plugin_path);

    if (r < 0)
        return r;
    override(config, commandline);
    return commandline_settings(commandline, config->plugin_path, ret_settings, errors);
}

static int
load_commandline(struct config *config, const struct commandline *commandline,
                 struct errors *errors)
{
    struct settings settings = {0};
    int r = load_plugin(config, commandline, &settings, errors);

    if (r < 0 || errors_any(errors)) {
        settings_done(&settings);
        return r < 0 ? r : -EINVAL;
    }
    return config_add_listener(config, &settings);
}

/* Reads the configuration for the start, and again for each reload; each time in a process of
 * its own (load.h). */
static int
load(struct config *config, struct errors *errors, const void *userdata)
{
    const struct commandline *commandline = userdata;

    return commandline->role == ROLE_LISTEN ? load_commandline(config, commandline, errors)
                                            : load_file(config, commandline, errors);
}

/* Returns how many descriptors the supervisor will need for it. */
static size_t
count_descriptors(const struct config *config)
{
    size_t workers = 0;

    for (size_t i = 0; i < config->listener_count; i++)
        workers += mixin_workers(config->listeners[i]);
    return descriptors_needed(config->listener_count, workers);
}

#define USUAL_DESCRIPTORS 1024 /* nobody needs to be told of fewer */

static void
say_descriptors(const struct config *config)
{
    size_t needed = count_descriptors(config), allowed = descriptors_allowed();

    if (needed > allowed)
        (void)printf(
            "warning: a reload or an upgrade of %zu listener%s needs up to %zu descriptors, "
            "but only %zu are allowed; raise LimitNOFILE= of the unit, or ulimit -Hn\n",
            config->listener_count, config->listener_count == 1 ? "" : "s", needed, allowed);
    else if (needed > USUAL_DESCRIPTORS)
        (void)printf(
            "a reload or an upgrade of %zu listener%s needs up to %zu descriptors; %zu are "
            "allowed\n",
            config->listener_count, config->listener_count == 1 ? "" : "s", needed, allowed);
}

static int
check(const struct config *config, const struct commandline *commandline, struct errors *errors)
{
    /* Only mistakes are of interest, unless more was asked for. */
    log_set_level(commandline->log_level >= 0 ? commandline->log_level : LOG_WARNING);
    /* The sockets of a running daemon are open, so no name is looked up for its upgrade. */
    int r = check_listeners(config, getenv(UPGRADE_VARIABLE) == NULL, errors);

    if (r < 0)
        return report_failure("check the listeners", r);
    int status = print_errors(errors);
    if (status != STATUS_FINE)
        return status;
    if ((r = upgrade_answer()) < 0)
        return report_failure("take over from the running daemon", r);
    (void)puts("configuration OK");
    say_descriptors(config);
    return STATUS_FINE;
}

static int
run_supervisor(const struct commandline *commandline, struct config *config)
{
    bool alone = commandline->role == ROLE_LISTEN;
    size_t needed = count_descriptors(config);
    int status = -1;
    const struct supervisor_options options = {
        .command_status = &status,
        .command = commandline->command,
        .strict = commandline->strict || alone ||
                  commandline->command != NULL, /* whoever typed it wants to know at once */
        .once = commandline->once,
        .end_when_idle = commandline->once || alone,
        .load = load,
        .userdata = commandline,
    };

    descriptors_raise_limit();
    if (needed > descriptors_allowed())
        log_warning(
            "%zu listener%s may need up to %zu descriptors, but only %zu are allowed; raise "
            "LimitNOFILE= of the unit, or ulimit -Hn",
            config->listener_count, config->listener_count == 1 ? "" : "s", needed,
            descriptors_allowed());
    int r = supervisor_run(config, &options);
    if (commandline->command == NULL)
        return status_of(r);
    return status < 0 ? STATUS_FAILED : status;
}

/* Reads the configuration for serving, in a process of its own. In an upgrade, the program that
 * was tried has already read the file, so what fails now will pass; and nothing must end this
 * process, as there are workers. */
static int
load_to_serve(struct config *config, struct errors *errors, const struct commandline *commandline)
{
    const struct load_setup setup = {
        .loader = load, .loader_userdata = commandline, .patience_usec = LOAD_USEC};
    bool upgraded = getenv(UPGRADE_VARIABLE) != NULL && !commandline->check;
    int r = load_now(&setup, !upgraded, config, errors);

    if (!upgraded)
        return r;
    patience_begin();
    while (r < 0 && r != -ETIMEDOUT && patience_allows(-EAGAIN)) {
        config_done(config);
        errors_done(errors);
        r = load_now(&setup, !upgraded, config, errors);
    }
    return r;
}

/* Says why there is no configuration to serve. Its mistakes have an exit status of their own. */
static int
report_load(int error, const struct errors *errors)
{
    if (error != -EINVAL && !errors_any(errors))
        return report_failure("load the configuration", error);
    if (error == -EINVAL || errors->exhausted)
        return print_errors(errors);
    for (size_t i = 0; i < errors->count; i++)
        (void)fprintf(stderr, "sockserverd: %s\n", errors->texts[i]);
    return STATUS_FAILED;
}

static int
serve(const struct commandline *commandline)
{
    struct errors errors = {0};
    struct config config = {0};
    int r = load_to_serve(&config, &errors, commandline);
    int status;

    if (r == -EINTR && !commandline->check)
        status = STATUS_FINE; /* told to stop before anything was served */
    else if (r < 0 && !(r == -EINVAL && commandline->check))
        status = report_load(r, &errors);
    else if (commandline->check)
        status = check(&config, commandline, &errors);
    else
        status = run_supervisor(commandline, &config);
    config_done(&config);
    errors_done(&errors);
    return status;
}

/* ---- plugin code, while a person waits ------------------------------------ */

static const char *
remedy_for(int signal)
{
    switch (signal) {
    case SIGBUS:
        return "is its file cut short? Install it again";
    case SIGKILL:
        return "was memory short, or has somebody killed it?";
    default:
        return "is its file damaged? If not, its code has a fault: debug it with "
               "gdb -ex 'set follow-fork-mode child'";
    }
}

/* Runs the function, which loads the plugin, in a child. The exit status. */
static int
run_apart(int (*function)(void *), void *userdata, const char *plugin_file)
{
    char fate[CHILD_FATE_SIZE];
    siginfo_t end;
    int r = apart_run(function, userdata, &end);

    if (r < 0)
        return report_failure("start a process for the plugin", r);
    if (end.si_code == CLD_EXITED)
        return end.si_status;
    apart_follow(&end);
    (void)fputs("sockserverd: plugin ", stderr);
    printable_put(stderr, plugin_file);
    (void)fprintf(stderr, ": the process that ran it %s: %s\n", child_fate(&end, fate),
                  remedy_for(end.si_status));
    return STATUS_FAILED;
}

/* What --stdio and --describe have read of their command line. */
struct alone {
    const struct commandline *commandline;
    struct config config;
    struct settings settings;
    struct errors errors;
};

static int
serve_stdio(void *userdata)
{
    struct alone *alone = userdata;

    log_set_level(alone->config.log.level);
    log_set_format(alone->config.log.format);
    signals_unblock();
    stray_signals_survive_large_file();
    return once_main(&alone->settings, alone->commandline->datagram);
}

static int
describe_plugin(void *userdata)
{
    struct alone *alone = userdata;

    signals_unblock();
    stray_signals_survive_large_file();
    return describe_main(alone->settings.plugin_file, alone->commandline->json);
}

/* Reads the command line and runs the plugin. strict: everything must be right that a listener
 * needs, not only the plugin's file. */
static int
run_alone(const struct commandline *commandline, int (*function)(void *), bool strict)
{
    struct alone alone = {.commandline = commandline};
    int status = STATUS_FAILED;

    if (load_plugin(&alone.config, commandline, &alone.settings, &alone.errors) == 0)
        status = strict ? print_errors(&alone.errors) : STATUS_FINE;
    if (status == STATUS_FINE)
        status = run_apart(function, &alone, alone.settings.plugin_file);
    settings_done(&alone.settings);
    config_done(&alone.config);
    errors_done(&alone.errors);
    return status;
}

static int
stdio(const struct commandline *commandline)
{
    return run_alone(commandline, serve_stdio, true);
}

static int
describe(const struct commandline *commandline)
{
    return run_alone(commandline, describe_plugin, false);
}

static int
new_plugin(const struct commandline *commandline)
{
    return create_plugin(commandline->new_name, commandline->language, commandline->plugin);
}

static int
help(const struct commandline *commandline)
{
    (void)commandline;
    commandline_help(stdout);
    return STATUS_FINE;
}

static int
version(const struct commandline *commandline)
{
    (void)commandline;
    (void)puts("sockserverd " SOCKSERVERD_VERSION);
    return STATUS_FINE;
}

static int (*const roles[])(const struct commandline *) = {
    [ROLE_SERVE_FILE] = serve,  [ROLE_LISTEN] = serve,   [ROLE_STDIO] = stdio,
    [ROLE_DESCRIBE] = describe, [ROLE_NEW] = new_plugin, [ROLE_HELP] = help,
    [ROLE_VERSION] = version,
};

static int
run(int argc, char **argv)
{
    struct commandline commandline;
    _cleanup_free_ char *problem = NULL;
    int status;

    if (commandline_parse(argc, argv, &commandline, &problem) < 0) {
        (void)fputs("sockserverd: ", stderr);
        printable_put(stderr, problem == NULL ? "out of memory" : problem);
        (void)fputs("\nsee sockserverd --help\n", stderr);
        status = STATUS_USAGE;
    } else {
        status = roles[commandline.role](&commandline);
    }
    commandline_done(&commandline);
    return fflush(stdout) != 0 && status == STATUS_FINE ? STATUS_FAILED : status;
}

int
main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--worker") == 0)
        return worker_main(argc, argv, all_gates);
    upgrade_remember(argv);
    if (inherited_put_right() < 0)
        return STATUS_FAILED;
    signals_block();
    stray_signals_survive();
    return run(argc, argv);
}
