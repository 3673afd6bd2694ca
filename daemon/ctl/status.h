/* SPDX-License-Identifier: MIT */
/*
 * status.h - what the daemon says of itself, as a table
 */
#ifndef SOCKSERVERD_CTL_STATUS_H
#define SOCKSERVERD_CTL_STATUS_H

#include <jansson.h>
#include <stdint.h>

#include "ctl/table.h"

/* How to print: whether with colours, and into how many columns (0: any number). */
struct terminal {
    size_t width, height;
    bool colours;
};

/* Of standard output: $COLUMNS, or the terminal's own; colours unless $NO_COLOR is set. */
struct terminal terminal_look(void);

/* The parameters of GetStatus as a table, one row for each listener. */
void status_fill(struct table *table, const json_t *status);
/* The same for GetRequests. */
void requests_fill(struct table *table, const json_t *requests);
/* One line on the daemon itself, without its end. */
void status_headline(const json_t *status, FILE *out);

/* One thing about a listener as text; buffer of SHOW_SIZE. */
#define SHOW_SIZE 256
void show_active(const json_t *listener, char *buffer);
void show_generation(const json_t *listener, char *buffer);
void show_name(const json_t *listener, char *buffer);
void show_queue(const json_t *listener, char *buffer);
void show_rate(const json_t *listener, char *buffer);
void show_restarts(const json_t *listener, char *buffer);
void show_state(const json_t *listener, char *buffer);
void show_uptime(const json_t *listener, char *buffer);

/* Members of a JSON object; "", 0 or -1 where there is none of that type. */
const char *text_member(const json_t *object, const char *name);
uint64_t count_member(const json_t *object, const char *name);
double number_member(const json_t *object, const char *name);

#endif
