/* SPDX-License-Identifier: MIT */
/*
 * value.c - text to typed value and back
 *
 * White space, locale-dependent numbers, "inf" and "nan", hex floats, compound
 * durations ("1m30s") and fractions of bytes are not accepted.
 *
 * Runs in:  supervisor and worker, while reading settings and plugin options.
 * Owns:     nothing.
 * Failures: returned; the caller knows what the value is for.
 */
#include "common/value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"

#define LONGEST_NUMBER 64

static int
copy_items(const struct given *given, struct given *ret)
{
    if (given->item_count == 0)
        return 0;
    ret->items = calloc(given->item_count, sizeof(*ret->items));
    if (ret->items == NULL)
        return -ENOMEM;
    for (; ret->item_count < given->item_count; ret->item_count++) {
        int r = given_copy(&given->items[ret->item_count], &ret->items[ret->item_count]);

        if (r < 0)
            return r;
    }
    return 0;
}

int
given_copy(const struct given *given, struct given *ret)
{
    struct given copy = {.form = given->form, .line = given->line};

    copy.text = given->text == NULL ? NULL : strdup(given->text);
    copy.file = given->file == NULL ? NULL : strdup(given->file);
    copy.key = given->key == NULL ? NULL : strdup(given->key);
    if ((given->key != NULL && copy.key == NULL) || (given->text != NULL && copy.text == NULL) ||
        (given->file != NULL && copy.file == NULL) || copy_items(given, &copy) < 0) {
        given_done(&copy);
        return -ENOMEM;
    }
    *ret = copy;
    return 0;
}

void
given_done(struct given *given)
{
    for (size_t i = 0; i < given->item_count; i++)
        given_done(&given->items[i]);
    free(given->items);
    free((char *)given->key);
    free((char *)given->text);
    free((char *)given->file);
    *given = (struct given){0};
}

bool
given_equal(const struct given *one, const struct given *other)
{
    if (strcmp(one->text, other->text) != 0 || one->form != other->form)
        return false;
    if (one->form == VALUE_GROUP)
        return true; /* no option takes one, and nobody is told what is in it */
    if (one->item_count != other->item_count)
        return false;
    for (size_t i = 0; i < one->item_count; i++)
        if (!given_equal(&one->items[i], &other->items[i]))
            return false;
    return true;
}

static bool
is_text(enum value_form form)
{
    return form == VALUE_STRING || form == VALUE_PLAIN;
}

static bool
is_scalar(enum value_form form)
{
    return form != VALUE_GROUP && form != VALUE_LIST;
}

bool
given_is_text(const struct given *given)
{
    return is_text(given->form);
}

int
value_boolean(const char *text, enum value_form form, bool *ret)
{
    if (form != VALUE_BOOLEAN && form != VALUE_PLAIN)
        return -EINVAL;
    if (strcasecmp(text, "true") == 0)
        *ret = true;
    else if (strcasecmp(text, "false") == 0)
        *ret = false;
    else
        return -EINVAL;
    return 0;
}

int
value_integer(const char *text, enum value_form form, int64_t *ret)
{
    const char *digits = text + (*text == '-' || *text == '+');
    bool hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    intmax_t value;
    char *end;

    if (form == VALUE_FLOAT || form == VALUE_BOOLEAN || !is_scalar(form))
        return -EINVAL;
    if (!isdigit((unsigned char)digits[0]) || (hex && !isxdigit((unsigned char)digits[2])))
        return -EINVAL;
    errno = 0;
    value = strtoimax(text, &end, hex ? 16 : 10);
    if (*end != '\0')
        return -EINVAL;
    if (errno == ERANGE)
        return -ERANGE;
    *ret = value;
    return 0;
}

/* Reads the decimal number that text begins with; *ret_rest is what follows. */
static int
read_number(const char *text, double *ret, const char **ret_rest)
{
    char copy[LONGEST_NUMBER];
    size_t size;
    double value;
    char *end;

    if (isspace((unsigned char)*text))
        return -EINVAL;
    size = strspn(text, "+-.0123456789");
    /* An exponent counts only when digits follow: "5e" is not a number, "5m" has a unit. */
    if (size > 0 && (text[size] == 'e' || text[size] == 'E')) {
        size_t sign = text[size + 1] == '-' || text[size + 1] == '+';
        size_t digits = strspn(text + size + 1 + sign, "0123456789");

        if (digits > 0)
            size += 1 + sign + digits;
    }
    if (size == 0 || size >= sizeof(copy))
        return -EINVAL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    errno = 0;
    value = strtod(copy, &end);
    if (*end != '\0')
        return -EINVAL;
    if (!isfinite(value))
        return -ERANGE;
    *ret = value;
    *ret_rest = text + size;
    return 0;
}

int
value_number(const char *text, enum value_form form, double *ret)
{
    const char *rest;
    int64_t integer;
    double value;
    int r;

    if (form == VALUE_BOOLEAN || !is_scalar(form))
        return -EINVAL;
    if (form == VALUE_INTEGER && value_integer(text, form, &integer) == 0) {
        *ret = (double)integer; /* may be hexadecimal */
        return 0;
    }
    r = read_number(text, &value, &rest);
    if (r < 0)
        return r;
    if (*rest != '\0')
        return -EINVAL;
    *ret = value;
    return 0;
}

int
value_size(const char *text, enum value_form form, uint64_t *ret)
{
    static const char units[] = "KMGT";
    const char *unit;
    uintmax_t value;
    unsigned shift = 0;
    int64_t integer;
    char *end;

    if (form == VALUE_FLOAT || form == VALUE_BOOLEAN || !is_scalar(form))
        return -EINVAL;
    if (!isdigit((unsigned char)*text))
        return -EINVAL;
    if (strncasecmp(text, "0x", 2) == 0) {
        int r = value_integer(text, form, &integer);

        if (r < 0)
            return r;
        *ret = (uint64_t)integer;
        return 0;
    }
    errno = 0;
    value = strtoumax(text, &end, 10);
    if (*end != '\0') {
        unit = strchr(units, toupper((unsigned char)*end));
        if (unit == NULL || end[1] != '\0')
            return -EINVAL;
        shift = 10 * (unsigned)(unit - units + 1);
    }
    if (errno == ERANGE || value > UINT64_MAX >> shift)
        return -ERANGE;
    *ret = (uint64_t)value << shift;
    return 0;
}

/* The units stand in the order in which value_format_duration() tries them: the largest is
 * first. */
static const struct {
    const char *name;
    double seconds, per_second;
} duration_units[] = {
    {"d", 86400, 0}, {"h", 3600, 0}, {"m", 60, 0}, {"s", 1, 1}, {"ms", 0, 1e3}, {"us", 0, 1e6},
};

/* Returns seconds. A division rounds only once, so "100ms" is exactly the double 0.1. */
static double
in_seconds(double count, size_t unit)
{
    if (duration_units[unit].per_second > 0)
        return count / duration_units[unit].per_second;
    return count * duration_units[unit].seconds;
}

int
value_duration(const char *text, enum value_form form, double *ret)
{
    const char *rest;
    double value;
    int r;

    if (form == VALUE_INTEGER)
        return value_number(text, form, ret);
    if (form == VALUE_BOOLEAN || !is_scalar(form))
        return -EINVAL;
    r = read_number(text, &value, &rest);
    if (r < 0)
        return r;
    if (*rest != '\0') {
        size_t unit = 0;

        while (unit < ARRAY_SIZE(duration_units) && strcmp(rest, duration_units[unit].name) != 0)
            unit++;
        if (unit == ARRAY_SIZE(duration_units))
            return -EINVAL;
        value = in_seconds(value, unit);
    }
    if (!isfinite(value))
        return -ERANGE;
    *ret = value;
    return 0;
}

static const struct {
    const char *name;
    uint32_t seconds;
} rate_periods[] = {{"/s", 1}, {"/m", 60}, {"/h", 3600}};

int
value_rate(const char *text, enum value_form form, uint32_t *ret_count, uint32_t *ret_period)
{
    size_t digits = strspn(text, "0123456789"), period = 0;

    if (!is_text(form) || digits == 0)
        return -EINVAL;
    while (period < ARRAY_SIZE(rate_periods) &&
           strcmp(text + digits, rate_periods[period].name) != 0)
        period++;
    if (period == ARRAY_SIZE(rate_periods))
        return -EINVAL;
    uintmax_t count = strtoumax(text, NULL, 10);
    if (count == 0 || count > UINT32_MAX)
        return -ERANGE;
    *ret_count = (uint32_t)count;
    *ret_period = rate_periods[period].seconds;
    return 0;
}

int
value_mode(const char *text, enum value_form form, uint32_t *ret)
{
    size_t digits = strspn(text, "01234567");
    unsigned long mode;

    /* A number in the file is decimal to libconfig: 0660 would be 660. */
    if (!is_text(form) || digits == 0 || digits > 5 || text[digits] != '\0')
        return -EINVAL;
    mode = strtoul(text, NULL, 8);
    if (mode > 0777)
        return -ERANGE;
    *ret = (uint32_t)mode;
    return 0;
}

char *
value_format_size(uint64_t bytes, char *buffer)
{
    static const char *const units[] = {"", "K", "M", "G", "T"};
    size_t unit = 0;

    while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < ARRAY_SIZE(units)) {
        bytes /= 1024;
        unit++;
    }
    (void)snprintf(buffer, 32, "%" PRIu64 "%s", bytes, units[unit]);
    return buffer;
}

char *
value_format_duration(double seconds, char *buffer)
{
    if (seconds == 0)
        return strcpy(buffer, "0");
    for (size_t unit = 0; unit < ARRAY_SIZE(duration_units); unit++) {
        double per = duration_units[unit].per_second;
        double exact = per > 0 ? seconds * per : seconds / duration_units[unit].seconds;

        if (fabs(exact) >= (per > 1 ? 1e9 : 1e15))
            continue;
        /* Not nearbyint(): it would be all that a worker needs the library libm for. */
        double count = (double)(int64_t)(exact < 0 ? exact - 0.5 : exact + 0.5);
        if (count == 0 || in_seconds(count, unit) != seconds)
            continue;
        (void)snprintf(buffer, 32, "%.0f%s", count, duration_units[unit].name);
        return buffer;
    }
    for (int precision = 1; precision <= 17; precision++) {
        (void)snprintf(buffer, 32, "%.*gs", precision, seconds);
        if (strtod(buffer, NULL) == seconds)
            break;
    }
    return buffer;
}

char *
value_format_rate(uint32_t count, uint32_t period, char *buffer)
{
    size_t i = 0;

    while (i + 1 < ARRAY_SIZE(rate_periods) && rate_periods[i].seconds != period)
        i++;
    (void)snprintf(buffer, 32, "%" PRIu32 "%s", count, rate_periods[i].name);
    return buffer;
}

/* Returns the text in quotes, which the caller frees. What would spoil a line of a message is
 * made visible, and a long text is cut. */
static char *
show_string(const char *text)
{
    static const size_t longest = 120;
    size_t length = strnlen(text, longest + 1);
    char *shown = malloc(length * 4 + 8), *end = shown;

    if (shown == NULL)
        return NULL;
    *end++ = '"';
    for (size_t i = 0; i < length && i < longest; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '"' || c == '\\')
            end += sprintf(end, "\\%c", c);
        else if (c == '\n')
            end = stpcpy(end, "\\n");
        else if (c < ' ' || c == 0x7f)
            end += sprintf(end, "\\x%02x", c);
        else
            *end++ = (char)c;
    }
    strcpy(end, length > longest ? "\"..." : "\"");
    return shown;
}

char *
value_show(const char *text, enum value_form form)
{
    if (form == VALUE_GROUP)
        return strdup("a group");
    if (form == VALUE_LIST)
        return strdup("a list");
    if (is_text(form))
        return show_string(text);
    return strdup(text);
}
