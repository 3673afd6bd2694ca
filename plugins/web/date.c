/* SPDX-License-Identifier: MIT */
/*
 * date.c - times as HTTP writes them
 *
 * Runs in:  a handler.
 * Owns:     nothing.
 * Failures: none.
 */
#include "date.h"

#include <stddef.h>
#include <string.h>

static void
write_two(char *to, int number)
{
    to[0] = (char)('0' + number / 10 % 10);
    to[1] = (char)('0' + number % 10);
}

void
date_write(time_t time, char text[DATE_SIZE])
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm parts = {.tm_mday = 1, .tm_year = 70, .tm_wday = 4};

    (void)gmtime_r(&time, &parts);
    memcpy(text, "Xxx, 00 Xxx 0000 00:00:00 GMT", DATE_SIZE);
    memcpy(text, days + (size_t)parts.tm_wday * 3, 3);
    write_two(text + 5, parts.tm_mday);
    memcpy(text + 8, months + (size_t)parts.tm_mon * 3, 3);
    write_two(text + 12, (parts.tm_year + 1900) / 100);
    write_two(text + 14, parts.tm_year % 100);
    write_two(text + 17, parts.tm_hour);
    write_two(text + 20, parts.tm_min);
    write_two(text + 23, parts.tm_sec);
}

bool
date_read(const char *text, time_t *ret)
{
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %e %H:%M:%S %Y"};

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct tm parts = {0};
        const char *end = strptime(text, forms[i], &parts);
        if (end == NULL || *end != '\0')
            continue;
        *ret = timegm(&parts);
        return true;
    }
    return false;
}

time_t
date_now(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return now.tv_sec;
}
