/* SPDX-License-Identifier: MIT */
/*
 * log.h - where the daemon's log goes, and changing it while it runs
 */
#ifndef SOCKSERVERD_SUPERVISOR_LOG_H
#define SOCKSERVERD_SUPERVISOR_LOG_H

#include <stdint.h>

#include "common/channel.h"
#include "common/errors.h"
#include "common/log.h"
#include "config/config.h"

struct supervisor_log {
    struct log_settings present; /* of the present configuration, which owns the text */
    unsigned operators_level;    /* that an operator has set, plus one; 0: the configuration's */
    /* Sends every worker a message, for they write to the same log. fd -1: none. */
    void (*tell)(enum message_type type, uint64_t value, int fd, void *userdata);
    void *userdata;
};

/* What workers are told about where to log. */
enum log_sink supervisor_log_sink(const struct config *config);

/* Opens what the first configuration asks for. 0 or a negative errno, and that is logged. */
int supervisor_log_open(struct supervisor_log *log, const struct config *config);
/* After log rotation: everybody writes to the new file. signal: who asked. */
void supervisor_log_reopen(const struct supervisor_log *log, const char *signal);

/* An operator's level, for the daemon and every worker, until the configuration's becomes another.
 * 0, or -EINVAL if it is no syslog level. */
int supervisor_log_set_level(struct supervisor_log *log, int level);
/* The level, plus one, that an operator had set before an upgrade; 0: none. Workers have it. */
void supervisor_log_inherit_level(struct supervisor_log *log, unsigned level);

/* Whether the log can change from the present one to that of config; else a mistake is added. */
void supervisor_log_check(const struct supervisor_log *log, const struct config *config,
                          struct errors *errors);
/* Changes it; what only new workers can follow is left to the caller. config becomes the present
 * one. */
void supervisor_log_change(struct supervisor_log *log, const struct config *config);

#endif
