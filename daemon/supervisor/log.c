/* SPDX-License-Identifier: MIT */
/*
 * log.c - where the daemon's log goes, and changing it while it runs
 *
 * Runs in:  the supervisor.
 * Owns:     nothing; the log itself is common/log.c's.
 * Failures: of opening at the start: logged and returned; later: logged, and
 *           the log stays where it is.
 */
#include "supervisor/log.h"

#include <errno.h>
#include <string.h>

static const char *
target_of(const struct log_settings *settings)
{
    return settings->target == NULL ? "auto" : settings->target;
}

static bool
logs_to_file(const struct log_settings *settings)
{
    return target_of(settings)[0] == '/';
}

enum log_sink
supervisor_log_sink(const struct config *config)
{
    const char *target = target_of(&config->log);

    if (strcmp(target, "auto") == 0)
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
supervisor_log_open(struct supervisor_log *log, const struct config *config)
{
    int r = 0;

    log->present = config->log;
    log_set_level(config->log.level);
    log_set_format(config->log.format);
    if (logs_to_file(&config->log) && (r = log_open_file(config->log.target)) < 0) {
        log_error("log.target: cannot open %s: %s", config->log.target, strerror(-r));
        return r;
    }
    open_sink(config);
    return 0;
}

void
supervisor_log_reopen(const struct supervisor_log *log, const char *signal)
{
    const char *file = log->present.target;

    if (!logs_to_file(&log->present))
        return;
    int r = log_open_file(file);
    if (r < 0) {
        log_error("%s: cannot reopen %s: %s; going on with the old file", signal, file,
                  strerror(-r));
        return;
    }
    log_notice("%s: log file reopened", signal);
}

/* ---- the level ---------------------------------------------------------------------- */

static void
change_level(const struct supervisor_log *log, int level)
{
    log_set_level(level);
    log->tell(MESSAGE_LOG_LEVEL, (uint64_t)level, -1, log->userdata);
}

int
supervisor_log_set_level(struct supervisor_log *log, int level)
{
    if (level < LOG_EMERG || level > LOG_DEBUG)
        return -EINVAL;
    log->operators_level = (unsigned)level + 1;
    change_level(log, level);
    return 0;
}

void
supervisor_log_inherit_level(struct supervisor_log *log, unsigned level)
{
    log->operators_level = level;
    if (level != 0)
        log_set_level((int)level - 1);
}

/* ---- at a reload --------------------------------------------------------------------- */

void
supervisor_log_check(const struct supervisor_log *log, const struct config *config,
                     struct errors *errors)
{
    bool to_stderr = !logs_to_file(&config->log) && supervisor_log_sink(config) == LOG_TO_STDERR;

    if (to_stderr && logs_to_file(&log->present))
        errors_add(errors, config->file, 0,
                   "log.target: found \"%s\" after a file, in whose favour standard error was "
                   "closed; restart the daemon for this, or keep %s",
                   target_of(&config->log), log->present.target);
}

static void
change_target(const struct config *config)
{
    if (logs_to_file(&config->log)) {
        int r = log_open_file(config->log.target);
        if (r < 0) {
            log_error("log.target: cannot open %s: %s; the log stays where it is",
                      config->log.target, strerror(-r));
            return;
        }
    }
    open_sink(config);
}

void
supervisor_log_change(struct supervisor_log *log, const struct config *config)
{
    if (strcmp(target_of(&log->present), target_of(&config->log)) != 0)
        change_target(config);
    log_set_format(config->log.format);
    if (log->present.level != config->log.level) {
        log->operators_level = 0;
        change_level(log, config->log.level);
    }
    log->present = config->log;
}
