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
    struct log_settings present; /* the present configuration's, which owns the text */
    unsigned operators_level;    /* an operator's, plus one; 0: the configuration's holds */
    /* Sends every worker a message. fd is attached; -1: none. */
    void (*tell)(enum message_type type, uint64_t value, int fd, void *userdata);
    void *userdata;
};

/* Returns where workers must write their log under this configuration. */
enum log_sink supervisor_log_sink(const struct config *config);

/* Opens the log that the first configuration asks for. Returns 0 or a negative errno, which is
 * logged. */
int supervisor_log_open(struct supervisor_log *log, const struct config *config);
/* Opens the log's file anew after a log rotation. signal: the name of
 * the signal that asked for it. */
void supervisor_log_reopen(const struct supervisor_log *log, const char *signal);

/* Sets an operator's level for the daemon and every worker. It holds until the configuration's
 * level changes. Returns 0, or -EINVAL if it is no syslog level. */
int supervisor_log_set_level(struct supervisor_log *log, int level);
/* Goes on with the level, plus one, that an operator had set before an upgrade (0: none). Workers
 * have it already. */
void supervisor_log_inherit_level(struct supervisor_log *log, unsigned level);

/* Adds a mistake to errors if the log cannot change to the one that config asks for. */
void supervisor_log_check(const struct supervisor_log *log, const struct config *config,
                          struct errors *errors);
/* Changes the log to the one that config asks for; config becomes the present configuration. The
 * caller starts new workers for what only new workers can follow. */
void supervisor_log_change(struct supervisor_log *log, const struct config *config);

#endif
