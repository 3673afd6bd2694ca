/* SPDX-License-Identifier: MIT */
/*
 * turned_away.h - the warnings about clients that gates turn away
 */
#ifndef SOCKSERVERD_WORKER_REQUEST_TURNED_AWAY_H
#define SOCKSERVERD_WORKER_REQUEST_TURNED_AWAY_H

struct ss_request;

/* Whom the worker has turned away for one reason since it last warned of that. */
struct turned_away;

/* Makes one in memory that forked children will share; it lasts as long as the worker. Returns 0
 * or a negative errno. */
int turned_away_new(struct turned_away **ret);

/*
 * Notes that the request's client was turned away because of request->refusal,
 * which has warnings. If the last warning of this reason is ten seconds old, warns
 * of all since: how many there were, and which source came most often.
 */
void turned_away_note(struct ss_request *request);

#endif
