/* SPDX-License-Identifier: MIT */
/*
 * source_table.h - a listener's table of sources, and which worker has which of its claims
 */
#ifndef SOCKSERVERD_SUPERVISOR_LISTENER_SOURCE_TABLE_H
#define SOCKSERVERD_SUPERVISOR_LISTENER_SOURCE_TABLE_H

#include <stdint.h>
#include <systemd/sd-event.h>

#include "common/counters.h"
#include "common/settings.h"
#include "common/sources.h"

struct source_table;

/* Makes a table without sources. Returns 0 or a negative errno. */
int source_table_new(sd_event *event, struct source_table **ret);
/* Goes on with the memory that an earlier process of this daemon made, and takes fd over, also on
 * failure. source_table_keep() follows for each worker, and then source_table_adopted(). */
int source_table_import(sd_event *event, int fd, struct source_table **ret);
/* NULL is fine. */
void source_table_free(struct source_table *table);

/* Both are the table's own. Of NULL they are NULL and -1. */
struct sources *source_table_sources(const struct source_table *table);
int source_table_fd(const struct source_table *table);

/* Gives a worker so many claims. Returns the first, or NO_CLAIM: there are none left, and its
 * requests are counted nowhere. */
uint32_t source_table_claim(struct source_table *table, uint32_t count);
/* Notes that a worker has these claims already. Returns false if that cannot be. */
bool source_table_keep(struct source_table *table, uint32_t first, uint32_t count);
/* Who uses other claims is a child whose worker is gone. */
void source_table_adopted(struct source_table *table);
/* The worker with these claims is gone. What it counted is taken back; what its children count
 * that live on, when they are gone, too. NO_CLAIM is fine. */
void source_table_release(struct source_table *table, uint32_t first);

/* A worker with these claims has crashed: whoever it crashed for, as far as that can be told, gets
 * the penalty of its listener. */
void source_table_penalise_crash(struct source_table *table, uint32_t first, pid_t worker,
                                 const struct counters *counters, uint32_t slots,
                                 const struct settings *settings);

#endif
