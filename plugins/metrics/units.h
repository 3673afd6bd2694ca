/* SPDX-License-Identifier: MIT */
/*
 * units.h - figures as people read them
 */
#ifndef SOCKSERVERD_PLUGINS_METRICS_UNITS_H
#define SOCKSERVERD_PLUGINS_METRICS_UNITS_H

#include <stddef.h>

#define UNITS_SIZE 24 /* has room for each of them */

/* "0", "7", "1.2k"; "–" for a negative one: it is not known. */
void units_count(char *text, double number);
/* The same with a fraction where it matters: "0.3". */
void units_rate(char *text, double number);
/* "240 µs", "1.2 ms", "3.4 s", "5 min" */
void units_time(char *text, double micros);
/* "12 KiB" */
void units_bytes(char *text, double bytes);
/* "5 s", "3 min", "4 h", "12 d": for what lasts. */
void units_age(char *text, double seconds);

#endif
