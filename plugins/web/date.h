/* SPDX-License-Identifier: MIT */
/*
 * date.h - times as HTTP writes them
 */
#ifndef SOCKSERVERD_PLUGINS_WEB_DATE_H
#define SOCKSERVERD_PLUGINS_WEB_DATE_H

#include <stdbool.h>
#include <time.h>

#define DATE_SIZE 30 /* "Sun, 06 Nov 1994 08:49:37 GMT" and a NUL */

void date_write(time_t time, char text[DATE_SIZE]);

/* In any of HTTP's three forms. */
bool date_read(const char *text, time_t *ret);

time_t date_now(void);

#endif
