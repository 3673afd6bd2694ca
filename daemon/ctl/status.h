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

/* Looks at standard output. The width is $COLUMNS or the terminal's; a terminal has colours
 * unless $NO_COLOR is set. */
struct terminal terminal_look(void);

/* Makes a table of the parameters of GetStatus, with one row for each listener. table_done()
 * releases it. */
void status_fill(struct table *table, const json_t *status);
/* Makes a table of the parameters of GetRequests in the same way. */
void requests_fill(struct table *table, const json_t *requests);
/* Writes one line on the daemon itself, without a newline. */
void status_headline(const json_t *status, FILE *out);

/* Prints a table with a row for each item of an array, which `fill` fills. */
void print_rows(const struct column *columns, size_t count, const json_t *items,
                void (*fill)(struct row *row, const json_t *item));
/* Prints what the daemon has replied, for scripts. */
void print_json(const json_t *reply);

/* Each writes one thing about a listener as text. buffer has SHOW_SIZE bytes. */
#define SHOW_SIZE 256
void show_active(const json_t *listener, char *buffer);
void show_generation(const json_t *listener, char *buffer);
void show_name(const json_t *listener, char *buffer);
void show_queue(const json_t *listener, char *buffer);
void show_rate(const json_t *listener, char *buffer);
void show_restarts(const json_t *listener, char *buffer);
void show_state(const json_t *listener, char *buffer);
void show_uptime(const json_t *listener, char *buffer);

/* Each returns a member of a JSON object, or "", 0 or -1 where there is none of that type. */
const char *text_member(const json_t *object, const char *name);
uint64_t count_member(const json_t *object, const char *name);
double number_member(const json_t *object, const char *name);

#endif
