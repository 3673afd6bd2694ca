/* SPDX-License-Identifier: MIT */
/*
 * scenes.h - what the files of good_conversation share
 */
#ifndef GOOD_CONVERSATION_SCENES_H
#define GOOD_CONVERSATION_SCENES_H

#include <sockserver/plugin.h>

#define LONG 60.0 /* seconds: it ends before */

struct scene {
    const char *name;
    int (*play)(struct ss_request *request);
};

/* Each ends with an empty row. */
extern const struct scene reading_scenes[];
extern const struct scene waiting_scenes[];
extern const struct scene times_scenes[];
extern const struct scene other_side_scenes[];
extern const struct scene ends_scenes[];

/* Logs a call and its result. */
#define TELL(call) tell(#call, (long)(call))
long tell(const char *call, long result);

/* Reads a line, and logs it. */
long tell_line(struct ss_request *request);

/* It is the client's turn. */
void now(struct ss_request *request);

#endif
