/* SPDX-License-Identifier: MIT */
/*
 * condition.h - If-Match and its kin: what a client wants only of a certain state of a file
 */
#ifndef SOCKSERVERD_PLUGINS_HTTP_CONDITION_H
#define SOCKSERVERD_PLUGINS_HTTP_CONDITION_H

#include <stdbool.h>
#include <sys/stat.h>

#include "../web/date.h"
#include "../web/head.h"

#define TAG_SIZE 64

/* The state of a file that an answer is about. */
struct version {
    char tag[TAG_SIZE]; /* with its quotation marks and, if it is weak, W/ */
    char date[DATE_SIZE];
    time_t changed;
};

void version_init(struct version *version, const struct stat *status, time_t now);

/* 200, 304 or 412, as RFC 9110 (13.2.2) orders the fields. */
int conditions_judge(const struct head *head, const struct version *version);

/* Whether Range is to be heeded: If-Range names this version, or is not there. */
bool condition_allows_range(const struct head *head, const struct version *version);

#endif
