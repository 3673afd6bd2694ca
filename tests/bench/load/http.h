/* SPDX-License-Identifier: MIT */
/*
 * http.h - an HTTP answer, as far as load must understand it
 */
#ifndef BENCH_LOAD_HTTP_H
#define BENCH_LOAD_HTTP_H

#include <stddef.h>
#include <stdint.h>

#define ANSWER_HEAD 2048

/* All zero: nothing has come. */
struct answer {
    char head[ANSWER_HEAD];
    size_t size;   /* of the head, as far as it has come; 0 again when the body begins */
    uint64_t left; /* of the body */
};

enum answer_state { ANSWER_BAD, ANSWER_INCOMPLETE, ANSWER_COMPLETE };

/* Takes what has come. Bad: it has another status than 200, no Content-Length, or more behind it.
 */
enum answer_state answer_take(struct answer *answer, const char *bytes, size_t size);

#endif
