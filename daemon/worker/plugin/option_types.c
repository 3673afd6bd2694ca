/* SPDX-License-Identifier: MIT */
/*
 * option_types.c - what the types of a plugin's options are called, and how each is read
 *
 * Runs in:  a worker before it serves, --describe, --stdio.
 * Owns:     nothing; values are the caller's.
 * Failures: returned.
 */
#include "worker/plugin/option_types.h"

#include <errno.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/array.h"
#include "common/suggest.h"
#include "common/texts.h"
#include "common/value.h"

static int
read_string(const struct given *given, struct option_value *ret)
{
    if (!given_is_text(given))
        return -EINVAL;
    ret->string = strdup(given->text);
    return ret->string == NULL ? -ENOMEM : 0;
}

static int
read_boolean(const struct given *given, struct option_value *ret)
{
    return value_boolean(given->text, given->form, &ret->boolean);
}

static int
read_integer(const struct given *given, struct option_value *ret)
{
    return value_integer(given->text, given->form, &ret->integer);
}

static int
read_number(const struct given *given, struct option_value *ret)
{
    return value_number(given->text, given->form, &ret->number);
}

static int
read_size(const struct given *given, struct option_value *ret)
{
    return value_size(given->text, given->form, &ret->size);
}

static int
read_duration(const struct given *given, struct option_value *ret)
{
    return value_duration(given->text, given->form, &ret->number);
}

/* One string in the place of a list is a list of one. */
static int
read_list(const struct given *given, struct option_value *ret)
{
    const struct given *items = given->form == VALUE_LIST ? given->items : given;
    size_t count = given->form == VALUE_LIST ? given->item_count : 1;

    for (size_t i = 0; i < count; i++)
        if (!given_is_text(&items[i]))
            return -EINVAL;
    ret->list = calloc(count + 1, sizeof(*ret->list));
    if (ret->list == NULL)
        return -ENOMEM;
    for (; ret->count < count; ret->count++) {
        ret->list[ret->count] = strdup(items[ret->count].text);
        if (ret->list[ret->count] == NULL)
            return -ENOMEM;
    }
    return 0;
}

/* Whether "" says that there is none: where the default says so. */
static bool
may_be_none(const struct ss_option *option)
{
    return !option->required && option_fallback(option)[0] == '\0';
}

/* The word stands in the option's list of them. */
static bool
is_choice(const char *choices, const char *word)
{
    size_t size = strlen(word), there;

    for (; *choices != '\0'; choices += there + (choices[there] == ' ')) {
        there = strcspn(choices, " ");
        if (there == size && size > 0 && strncmp(choices, word, size) == 0)
            return true;
    }
    return false;
}

static int
read_choice(const struct given *given, struct option_value *ret)
{
    if (!given_is_text(given) || !is_choice(ret->option->choices, given->text))
        return -EINVAL;
    return read_string(given, ret);
}

static int
read_path(const struct given *given, struct option_value *ret)
{
    if (!given_is_text(given) ||
        (given->text[0] != '/' && (given->text[0] != '\0' || !may_be_none(ret->option))))
        return -EINVAL;
    return read_string(given, ret);
}

/* What can listen only, is none. */
static int
judge_address(const char *text)
{
    struct address address = {0};
    char *problem = NULL;
    int r = address_parse(text, &address, &problem);

    free(problem);
    if (r < 0)
        return r;
    if (address.scheme == ADDRESS_SYSTEMD ||
        (address.host != NULL && strcmp(address.host, "*") == 0))
        r = -EINVAL;
    address_done(&address);
    return r;
}

static int
read_address(const struct given *given, struct option_value *ret)
{
    if (!given_is_text(given))
        return -EINVAL;
    if (given->text[0] == '\0' && may_be_none(ret->option))
        return read_string(given, ret);
    int r = judge_address(given->text);
    return r < 0 ? r : read_string(given, ret);
}

static double
measure_string(const struct option_value *value)
{
    return (double)strlen(value->string);
}

static double
measure_integer(const struct option_value *value)
{
    return (double)value->integer;
}

static double
measure_number(const struct option_value *value)
{
    return value->number;
}

static double
measure_size(const struct option_value *value)
{
    return (double)value->size;
}

static double
measure_list(const struct option_value *value)
{
    return (double)value->count;
}

static void
show_number(double number, char *buffer)
{
    (void)snprintf(buffer, 32, "%.15g", number);
}

static void
show_size(double number, char *buffer)
{
    (void)value_format_size((uint64_t)number, buffer);
}

static void
show_duration(double number, char *buffer)
{
    (void)value_format_duration(number, buffer);
}

/* What each type is called, how it is read, and what its range bounds. */
static const struct type {
    const char *name;
    const char *expected;
    const char *empty; /* the fallback of a row that has none */
    int (*read)(const struct given *, struct option_value *);
    double (*measure)(const struct option_value *);
    void (*show)(double, char *);
    const char *bounded; /* what stands between `expected` and the range */
} types[] = {
    [SS_STRING] = {"string", "a string", "", read_string, measure_string, show_number,
                   " with a length in bytes,"},
    [SS_BOOLEAN] = {"boolean", "true or false", "false", read_boolean, NULL, NULL, NULL},
    [SS_INTEGER] = {"integer", "an integer", "0", read_integer, measure_integer, show_number, ","},
    [SS_NUMBER] = {"number", "a number", "0", read_number, measure_number, show_number, ","},
    [SS_SIZE] = {"size", "a size in bytes, such as 512 or \"64K\"", "0", read_size, measure_size,
                 show_size, ","},
    [SS_DURATION] = {"duration", "a duration, such as \"250ms\" or \"30s\"", "0", read_duration,
                     measure_number, show_duration, ","},
    [SS_LIST] = {"list", "a list of strings, such as [ \"a\", \"b\" ]", "", read_list, measure_list,
                 show_number, ", with a number of items"},
    [SS_CHOICE] = {"choice", "", "", read_choice, NULL, NULL, NULL},
    [SS_PATH] = {"path", "an absolute path", "", read_path, measure_string, show_number,
                 " with a length in bytes,"},
    [SS_ADDRESS] = {"address",
                    "an address to connect to, such as \"tcp://HOST:PORT\" or \"unix:///PATH\"", "",
                    read_address, NULL, NULL, NULL},
};

bool
option_type_known(enum ss_type type)
{
    return (size_t)type < ARRAY_SIZE(types) && types[type].name != NULL;
}

const char *
option_type_name(enum ss_type type)
{
    return option_type_known(type) ? types[type].name : "unknown";
}

bool
option_has_range(const struct ss_option *option)
{
    return types[option->type].measure != NULL && (option->min != 0 || option->max != 0);
}

static bool
in_range(const struct ss_option *option, const struct option_value *value)
{
    if (!option_has_range(option))
        return true;
    double measure = types[option->type].measure(value);
    return measure >= option->min && measure <= option->max;
}

/* A bound that leaves its end open cannot be shown. */
void
option_show_range(const struct ss_option *option, char *buffer, size_t size)
{
    const struct type *type = &types[option->type];
    bool least = option->min >= -DBL_MAX, most = option->max <= DBL_MAX;
    char min[32], max[32];

    if (least)
        type->show(option->min, min);
    if (most)
        type->show(option->max, max);
    if (least && most)
        (void)snprintf(buffer, size, "%s to %s", min, max);
    else
        (void)snprintf(buffer, size, "%s%s",
                       least  ? "at least "
                       : most ? "at most "
                              : "any",
                       least  ? min
                       : most ? max
                              : "");
}

/* "a", "b" or "c" */
static void
describe_choices(const char *choices, char *buffer, size_t size)
{
    size_t used = 0, there;

    for (; *choices != '\0' && used < size; choices += there) {
        there = strcspn(choices, " ");
        bool last = choices[there] == '\0' || choices[there + 1] == '\0';
        const char *before = used == 0 ? "" : last ? " or " : ", ";
        used +=
            (size_t)snprintf(buffer + used, size - used, "%s\"%.*s\"", before, (int)there, choices);
        there += choices[there] == ' ';
    }
}

void
option_describe_expected(const struct ss_option *option, char *buffer, size_t size)
{
    const struct type *type = &types[option->type];
    char range[80];

    if (option->type == SS_CHOICE) {
        describe_choices(option->choices, buffer, size);
        return;
    }
    if (!option_has_range(option)) {
        (void)snprintf(buffer, size, "%s", type->expected);
        return;
    }
    bool closed = option->min >= -DBL_MAX && option->max <= DBL_MAX;
    option_show_range(option, range, sizeof(range));
    (void)snprintf(buffer, size, "%s%s %s%s", type->expected, type->bounded, closed ? "from " : "",
                   range);
}

void
option_value_release(struct option_value *value)
{
    free(value->string);
    value->string = NULL;
    texts_free(value->list);
    value->list = NULL;
}

static int
finish_value(const struct ss_option *option, int error, struct option_value *value,
             struct option_value *ret)
{
    if (error == 0 && !in_range(option, value))
        error = -ERANGE;
    if (error < 0)
        option_value_release(value);
    else
        *ret = *value;
    return error;
}

int
option_read(const struct ss_option *option, const struct given *given, struct option_value *ret)
{
    struct option_value value = {.option = option};
    int error = types[option->type].read(given, &value);

    return finish_value(option, error, &value, ret);
}

const char *
option_fallback(const struct ss_option *option)
{
    return option->fallback != NULL ? option->fallback : types[option->type].empty;
}

int
option_read_fallback(const struct ss_option *option, struct option_value *ret)
{
    struct option_value value = {.option = option};

    if (option->type != SS_LIST)
        return option_read(option, &(struct given){.text = option_fallback(option)}, ret);
    value.list = texts_split(option_fallback(option));
    value.count = texts_count(value.list);
    return finish_value(option, value.list == NULL ? -ENOMEM : 0, &value, ret);
}

/* Looks for the word among those of the list, between which a space stands. */
static char *
hint_of(const char *list, const char *word)
{
    char *lines = strdup(list), **words = NULL, *hint = NULL;

    if (lines == NULL)
        return NULL;
    for (size_t i = 0; lines[i] != '\0'; i++)
        if (lines[i] == ' ')
            lines[i] = '\n';
    words = texts_split(lines);
    if (words != NULL)
        hint = suggest_phrase(word, (const char *const *)words);
    texts_free(words);
    free(lines);
    return hint;
}

char *
option_hint(const struct ss_option *option, const char *text)
{
    static const char schemes[] = "tcp udp unix unixgram";
    char scheme[16];

    if (option->type == SS_CHOICE)
        return hint_of(option->choices, text);
    if (option->type != SS_ADDRESS || strchr(text, ':') == NULL)
        return NULL;
    (void)snprintf(scheme, sizeof(scheme), "%.*s", (int)(strchr(text, ':') - text), text);
    return is_choice(schemes, scheme) ? NULL : hint_of(schemes, scheme);
}
