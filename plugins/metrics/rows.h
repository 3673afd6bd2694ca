/* SPDX-License-Identifier: MIT */
/*
 * rows.h - the tables and texts of the page, as HTML and as JSON
 */
#ifndef SOCKSERVERD_PLUGINS_METRICS_ROWS_H
#define SOCKSERVERD_PLUGINS_METRICS_ROWS_H

#include "../web/text.h"
#include "history.h"

/* What is shown; the caller holds the history's lock. */
struct view {
    const struct history *history;
    const json_t *requests, *sources; /* replies to GetRequests and GetSources; NULL: none */
    int64_t since;                    /* JSON: only what has changed after this look */
};

/* Writes a listener's cells anew; they have changed at this look, or not. */
void rows_note(struct track *track, int64_t looked);

/* As HTML: the rows of the table of this name, or the text of this name. False: there is none. */
bool rows_write(struct text *text, const struct view *view, const char *name, size_t size);

/* As JSON: members "tables" and "texts" of an object. */
void rows_write_all(struct text *text, const struct view *view);

#endif
