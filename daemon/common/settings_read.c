/* SPDX-License-Identifier: MIT */
/*
 * settings_read.c - the value of one key, from what somebody wrote to its field
 *
 * Runs in:  the supervisor; a worker through settings_pack.c.
 * Owns:     nothing; struct settings is settings_life.c's.
 * Failures: -EINVAL and -ERANGE, for settings_words.c to explain; -ENOMEM.
 *           The field then keeps its value.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/settings_groups.h"
#include "common/settings_private.h"
#include "common/texts.h"

int
settings_set_text(struct settings *settings, const struct setting *setting, const char *text)
{
    char *copy = strdup(text), **at = settings_member(settings, setting);

    if (copy == NULL)
        return -ENOMEM;
    free(*at);
    *at = copy;
    return 0;
}

static int
read_text(struct settings *settings, const struct setting *setting, const struct given *given)
{
    if (!given_is_text(given) || *given->text == '\0')
        return -EINVAL;
    return settings_set_text(settings, setting, given->text);
}

static int
read_boolean(struct settings *settings, const struct setting *setting, const struct given *given)
{
    return value_boolean(given->text, given->form, settings_member(settings, setting));
}

static int
read_whole(const struct setting *setting, const struct given *given, int64_t *ret)
{
    int r = value_integer(given->text, given->form, ret);

    if (r < 0)
        return r;
    return (double)*ret < setting->min || (double)*ret > setting->max ? -ERANGE : 0;
}

static int
read_integer(struct settings *settings, const struct setting *setting, const struct given *given)
{
    bool none = setting->zero && given_is_text(given) && strcmp(given->text, "none") == 0;
    int64_t value = 0;
    int r = none ? 0 : read_whole(setting, given, &value);

    if (r == 0)
        *(uint32_t *)settings_member(settings, setting) = (uint32_t)value;
    return r;
}

static int
read_signed(struct settings *settings, const struct setting *setting, const struct given *given)
{
    int64_t value;
    int r = read_whole(setting, given, &value);

    if (r == 0)
        *(int32_t *)settings_member(settings, setting) = (int32_t)value;
    return r;
}

static int
read_size(struct settings *settings, const struct setting *setting, const struct given *given)
{
    uint64_t value;
    int r = value_size(given->text, given->form, &value);

    if (r < 0)
        return r;
    if (!(setting->zero && value == 0) &&
        ((double)value < setting->min || (double)value > setting->max))
        return -ERANGE;
    *(uint64_t *)settings_member(settings, setting) = value;
    return 0;
}

static int
read_duration(struct settings *settings, const struct setting *setting, const struct given *given)
{
    bool none = setting->zero && given_is_text(given) && strcmp(given->text, "none") == 0;
    double value = 0;
    int r = 0;

    if (!none)
        r = value_duration(given->text, given->form, &value);
    if (r < 0)
        return r;
    if (!none && (value < setting->min || value > setting->max))
        return -ERANGE;
    *(double *)settings_member(settings, setting) = value + 0.0; /* no negative zero */
    return 0;
}

static int
read_rate(struct settings *settings, const struct setting *setting, const struct given *given)
{
    struct request_rate rate = {0};
    int r = 0;

    if (!given_is_text(given) || strcmp(given->text, "none") != 0)
        r = value_rate(given->text, given->form, &rate.count, &rate.period);
    if (r < 0)
        return r;
    if ((double)rate.count > setting->max)
        return -ERANGE;
    *(struct request_rate *)settings_member(settings, setting) = rate;
    return 0;
}

static int
read_mode(struct settings *settings, const struct setting *setting, const struct given *given)
{
    uint32_t mode;
    int r = value_mode(given->text, given->form, &mode);

    if (r < 0)
        return r;
    if (mode > setting->max)
        return -ERANGE;
    *(uint32_t *)settings_member(settings, setting) = mode;
    return 0;
}

static int
read_choice(struct settings *settings, const struct setting *setting, const struct given *given)
{
    if (!given_is_text(given))
        return -EINVAL;
    for (int i = 0; setting->choices[i] != NULL; i++) {
        if (strcmp(setting->choices[i], given->text) != 0)
            continue;
        memcpy(settings_member(settings, setting), &i, sizeof(i)); /* every enum here is an int */
        return 0;
    }
    return -EINVAL;
}

bool
settings_is_item(const struct setting *setting, const struct given *given)
{
    bool number = setting->numbers && given->form == VALUE_INTEGER;

    return (number || given_is_text(given)) && *given->text != '\0' &&
           strchr(given->text, '\n') == NULL;
}

/* Copies the items. Returns 0, -EINVAL or -ENOMEM; texts_free() releases *ret if it is 0. */
static int
read_items(const struct setting *setting, const struct given *items, size_t count, char ***ret)
{
    char **texts = calloc(count + 1, sizeof(*texts));
    int r = texts == NULL ? -ENOMEM : 0;

    for (size_t i = 0; r == 0 && i < count; i++) {
        if (!settings_is_item(setting, &items[i]))
            r = -EINVAL;
        else if ((texts[i] = strdup(items[i].text)) == NULL)
            r = -ENOMEM;
    }
    if (r < 0)
        texts_free(texts);
    else
        *ret = texts;
    return r;
}

/* Adds each line of plain text as an item behind those in `before`. Returns 0, -EINVAL or
 * -ENOMEM; texts_free() releases *ret if it is 0. */
static int
add_lines(char *const *before, const char *lines, char ***ret)
{
    _cleanup_free_ char *joined = texts_join(before), *all = NULL;
    bool both = texts_count(before) > 0 && *lines != '\0';
    char **texts;

    if (joined == NULL || asprintf(&all, "%s%s%s", joined, both ? "\n" : "", lines) < 0) {
        all = NULL;
        return -ENOMEM;
    }
    texts = texts_split(all);
    for (size_t i = 0; texts != NULL && texts[i] != NULL; i++)
        if (*texts[i] == '\0') {
            texts_free(texts);
            return -EINVAL;
        }
    *ret = texts;
    return texts == NULL ? -ENOMEM : 0;
}

static int
read_list(struct settings *settings, const struct setting *setting, const struct given *given)
{
    char ***at = settings_member(settings, setting), **texts = NULL;
    size_t count;
    int r;

    if (given->form == VALUE_PLAIN)
        r = add_lines(setting_given(settings, setting) ? *at : NULL, given->text, &texts);
    else if (given->form == VALUE_LIST)
        r = read_items(setting, given->items, given->item_count, &texts);
    else
        r = read_items(setting, given, 1, &texts);
    if (r < 0)
        return r;
    count = texts_count(texts);
    if ((double)count < setting->min || (double)count > setting->max) {
        texts_free(texts);
        return -ERANGE;
    }
    texts_free(*at);
    *at = texts;
    return 0;
}

/* Rounds up to a whole number: a limit cannot be a part of a second. */
static uint64_t
round_up(double number)
{
    uint64_t whole = (uint64_t)number;

    return whole + ((double)whole < number);
}

static int
read_number(const struct setting *setting, const struct given *given, double *ret)
{
    int64_t integer;
    uint64_t size;
    int r;

    switch (setting->type) {
    case SETTING_NUMBER_LIMIT:
        r = value_integer(given->text, given->form, &integer);
        *ret = r < 0 ? 0 : (double)integer;
        return r;
    case SETTING_SIZE_LIMIT:
        r = value_size(given->text, given->form, &size);
        *ret = r < 0 ? 0 : (double)size;
        return r;
    default:
        return value_duration(given->text, given->form, ret);
    }
}

static int
read_limit(struct settings *settings, const struct setting *setting, const struct given *given)
{
    uint64_t *at = settings_member(settings, setting);
    double number;
    int r;

    if (given_is_text(given) && strcmp(given->text, "unlimited") == 0) {
        *at = LIMIT_NONE;
        return 0;
    }
    r = read_number(setting, given, &number);
    if (r < 0)
        return r;
    if (number < setting->min || number > setting->max)
        return -ERANGE;
    *at = round_up(number);
    return 0;
}

/* A group has no field: each of its keys follows by itself. */
static int
read_group(struct settings *settings, const struct setting *setting, const struct given *given)
{
    (void)settings;
    (void)setting;
    return given->form == VALUE_GROUP ? 0 : -EINVAL;
}

/* Reads groups as a worker is told them; those of a file are settings_groups.c's. */
static int
read_packed_groups(struct settings *settings, const struct setting *setting,
                   const struct given *given)
{
    char ***at = settings_member(settings, setting), **texts = NULL;
    int r = given->form == VALUE_PLAIN ? add_lines(NULL, given->text, &texts) : -EINVAL;

    for (size_t i = 0; r == 0 && i < texts_count(texts); i++)
        if (!group_is_sound(setting, texts[i]))
            r = -EINVAL;
    if (r == 0 && (double)texts_count(texts) > setting->max)
        r = -ERANGE;
    if (r < 0) {
        texts_free(texts);
        return r;
    }
    texts_free(*at);
    *at = texts;
    return 0;
}

/* The index is enum setting_type; an address tells its own mistakes. */
static int (*const readers[])(struct settings *, const struct setting *, const struct given *) = {
    [SETTING_TEXT] = read_text,        [SETTING_BOOLEAN] = read_boolean,
    [SETTING_SIGNED] = read_signed,    [SETTING_INTEGER] = read_integer,
    [SETTING_SIZE] = read_size,        [SETTING_DURATION] = read_duration,
    [SETTING_MODE] = read_mode,        [SETTING_CHOICE] = read_choice,
    [SETTING_LIST] = read_list,        [SETTING_NUMBER_LIMIT] = read_limit,
    [SETTING_SIZE_LIMIT] = read_limit, [SETTING_TIME_LIMIT] = read_limit,
    [SETTING_GROUP] = read_group,      [SETTING_GROUPS] = read_packed_groups,
    [SETTING_RATE] = read_rate,
};

int
settings_read(struct settings *settings, const struct setting *setting, const struct given *given)
{
    return readers[setting->type](settings, setting, given);
}
