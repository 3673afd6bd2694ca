/* SPDX-License-Identifier: MIT */
/*
 * log.c - where the daemon's log goes, and changing it while it runs
 *
 * Runs in:  the supervisor.
 * Owns:     nothing.
 * Failures: of opening at the start: logged and returned; later: logged, and
 *           the log stays where it is.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/log.h"
#include "supervisor/supervisor_private.h"

static bool
logs_to_file(const struct config *config)
{
    return config->log.target != NULL && config->log.target[0] == '/';
}

enum log_sink
supervisor_log_sink(const struct config *config)
{
    const char *target = config->log.target;

    if (target == NULL || strcmp(target, "auto") == 0)
        return log_sink_auto();
    return strcmp(target, "journal") == 0 ? LOG_TO_JOURNAL : LOG_TO_STDERR;
}

static void
open_sink(const struct config *config)
{
    int r = log_open(supervisor_log_sink(config), NULL);

    if (r < 0)
        log_warning("cannot log to the journal: %s; logging to standard error", strerror(-r));
}

int
supervisor_log_open(const struct config *config)
{
    int r = 0;

    log_set_level(config->log.level);
    if (logs_to_file(config) && (r = log_open_file(config->log.target)) < 0) {
        log_error("log.target: cannot open %s: %s", config->log.target, strerror(-r));
        return r;
    }
    open_sink(config);
    return 0;
}

void
supervisor_tell(struct supervisor *supervisor, unsigned order, uint64_t value, int fd)
{
    for (size_t i = 0; i < supervisor->count; i++)
        listener_tell(supervisor->listeners[i], order, value, fd);
    for (size_t i = 0; i < supervisor->removed_count; i++)
        listener_tell(supervisor->removed[i], order, value, fd);
}

void
supervisor_log_reopen(struct supervisor *supervisor, const char *signal)
{
    const char *file = supervisor->config->log.target;

    if (!logs_to_file(supervisor->config))
        return;
    int r = log_open_file(file);
    if (r < 0) {
        log_error("%s: cannot reopen %s: %s; going on with the old file", signal, file,
                  strerror(-r));
        return;
    }
    supervisor_tell(supervisor, MESSAGE_LOG_FILE, 0, STDERR_FILENO);
    log_notice("%s: log file reopened", signal);
}

/* ---- at a reload --------------------------------------------------------------------- */

void
supervisor_log_check(const struct supervisor *supervisor, const struct config *config,
                     struct errors *errors)
{
    bool to_stderr = !logs_to_file(config) && supervisor_log_sink(config) == LOG_TO_STDERR;

    if (to_stderr && logs_to_file(supervisor->config))
        errors_add(errors, config->file, 0,
                   "log.target: found \"%s\" after a file, in whose favour standard error was "
                   "closed; restart the daemon for this, or keep %s",
                   config->log.target == NULL ? "auto" : config->log.target,
                   supervisor->config->log.target);
}

static bool
same_target(const struct config *one, const struct config *other)
{
    const char *target = one->log.target == NULL ? "auto" : one->log.target;

    return strcmp(target, other->log.target == NULL ? "auto" : other->log.target) == 0;
}

static void
change_target(struct supervisor *supervisor, const struct config *config)
{
    if (logs_to_file(config)) {
        int r = log_open_file(config->log.target);
        if (r < 0) {
            log_error("log.target: cannot open %s: %s; the log stays where it is",
                      config->log.target, strerror(-r));
            return;
        }
        supervisor_tell(supervisor, MESSAGE_LOG_FILE, 0, STDERR_FILENO);
    }
    open_sink(config);
}

void
supervisor_log_change_level(struct supervisor *supervisor, int level)
{
    log_set_level(level);
    supervisor_tell(supervisor, MESSAGE_LOG_LEVEL, (uint64_t)level, -1);
}

/* A level that an operator has set holds until the configuration's is another. */
void
supervisor_log_change(struct supervisor *supervisor, const struct config *config)
{
    if (!same_target(supervisor->config, config))
        change_target(supervisor, config);
    if (supervisor->config->log.level == config->log.level)
        return;
    supervisor->log_level = 0;
    supervisor_log_change_level(supervisor, config->log.level);
}
