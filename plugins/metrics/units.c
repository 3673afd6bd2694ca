/* SPDX-License-Identifier: MIT */
/*
 * units.c - figures as people read them: few digits, and a unit behind
 *
 * Runs in:  a handler, or the sampler's thread.
 * Owns:     nothing.
 * Failures: none.
 */
#include "units.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct unit {
    double size;
    const char *name;
};

/* Three digits, of the greatest unit that the number reaches. */
static void
write_in(char *text, double number, const struct unit *units, size_t count)
{
    size_t i = 0;

    if (!(number >= 0)) {
        (void)strcpy(text, "–");
        return;
    }
    while (i + 1 < count && number >= units[i + 1].size * 0.9995)
        i++;
    double shown = number / units[i].size;
    int digits = units[i].size == 1 || shown >= 99.95 ? 0 : shown >= 9.995 ? 1 : 2;
    (void)snprintf(text, UNITS_SIZE, "%.*f%s", digits, shown < 1e12 ? shown : 1e12, units[i].name);
}

void
units_count(char *text, double number)
{
    static const struct unit units[] = {{1, ""}, {1e3, "k"}, {1e6, "M"}, {1e9, "G"}};
    bool small = number < 9999.5; /* four digits are read as easily as three and a unit */

    write_in(text, number, units, small ? 1 : sizeof(units) / sizeof(units[0]));
}

void
units_rate(char *text, double number)
{
    if (number >= 0.05 && number < 99.95)
        (void)snprintf(text, UNITS_SIZE, "%.1f", number);
    else
        units_count(text, number);
}

void
units_time(char *text, double micros)
{
    static const struct unit units[] = {{1, " µs"}, {1e3, " ms"}, {1e6, " s"}};

    if (micros >= 1e8)
        units_age(text, micros / 1e6);
    else
        write_in(text, micros, units, sizeof(units) / sizeof(units[0]));
}

void
units_bytes(char *text, double bytes)
{
    static const struct unit units[] = {
        {1, " B"}, {1024, " KiB"}, {1048576, " MiB"}, {1073741824, " GiB"}};

    write_in(text, bytes, units, sizeof(units) / sizeof(units[0]));
}

void
units_age(char *text, double seconds)
{
    if (seconds >= 2 * 86400)
        (void)snprintf(text, UNITS_SIZE, "%.0f d", (double)(long)(seconds / 86400));
    else if (seconds >= 2 * 3600)
        (void)snprintf(text, UNITS_SIZE, "%.0f h", (double)(long)(seconds / 3600));
    else if (seconds >= 120)
        (void)snprintf(text, UNITS_SIZE, "%.0f min", (double)(long)(seconds / 60));
    else if (seconds >= 0)
        (void)snprintf(text, UNITS_SIZE, "%.0f s", seconds);
    else
        (void)strcpy(text, "–");
}
