/* SPDX-License-Identifier: MIT */
/*
 * settings_format.c - a setting's value as text that reads back as the same value
 *
 * Runs in:  the supervisor.
 * Owns:     nothing.
 * Failures: only want of memory, which is returned.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/limits.h"
#include "common/settings.h"
#include "common/texts.h"

static int
format_limit(const struct setting *setting, uint64_t value, char *buffer)
{
    if (value == LIMIT_UNCHANGED)
        return -ENODATA;
    if (value == LIMIT_NONE)
        (void)strcpy(buffer, "unlimited");
    else if (setting->type == SETTING_SIZE_LIMIT)
        (void)value_format_size(value, buffer);
    else if (setting->type == SETTING_TIME_LIMIT)
        (void)value_format_duration((double)value, buffer);
    else
        (void)snprintf(buffer, 32, "%" PRIu64, value);
    return 0;
}

static int
format_rate(const char *at, char *buffer)
{
    struct request_rate rate;

    memcpy(&rate, at, sizeof(rate));
    if (rate.count == 0)
        (void)strcpy(buffer, "none");
    else
        (void)value_format_rate(rate.count, rate.period, buffer);
    return 0;
}

static int
format_number(const struct setting *setting, const char *at, char *buffer)
{
    uint32_t integer;
    int32_t number;
    uint64_t size;
    double seconds;

    switch (setting->type) {
    case SETTING_NUMBER_LIMIT:
    case SETTING_SIZE_LIMIT:
    case SETTING_TIME_LIMIT:
        memcpy(&size, at, sizeof(size));
        return format_limit(setting, size, buffer);
    case SETTING_SIZE:
        memcpy(&size, at, sizeof(size));
        value_format_size(size, buffer);
        return 0;
    case SETTING_DURATION:
        memcpy(&seconds, at, sizeof(seconds));
        if (setting->zero && seconds <= 0)
            (void)strcpy(buffer, "none");
        else
            value_format_duration(seconds, buffer);
        return 0;
    case SETTING_RATE:
        return format_rate(at, buffer);
    case SETTING_SIGNED:
        memcpy(&number, at, sizeof(number));
        (void)snprintf(buffer, 32, "%" PRId32, number);
        return number == NICE_UNCHANGED ? -ENODATA : 0;
    case SETTING_MODE:
        memcpy(&integer, at, sizeof(integer));
        (void)snprintf(buffer, 32, "%04" PRIo32, integer);
        return integer == UMASK_UNCHANGED ? -ENODATA : 0;
    default:
        memcpy(&integer, at, sizeof(integer));
        (void)snprintf(buffer, 32, "%" PRIu32, integer);
        if (setting->zero && integer == 0)
            return (void)strcpy(buffer, "none"), 0;
        return integer < setting->min ? -ENODATA : 0; /* request_queue_size: the kernel's */
    }
}

static int
format_list(char *const *texts, char **ret)
{
    if (texts == NULL)
        return -ENODATA;
    *ret = texts_join(texts);
    return *ret == NULL ? -ENOMEM : 0;
}

int
setting_format(const struct settings *settings, const struct setting *setting, char **ret)
{
    const char *at = (const char *)settings + setting->offset, *text;
    char buffer[32], *copy;
    int choice, r;

    switch (setting->type) {
    case SETTING_GROUP:
        return -ENODATA;
    case SETTING_LIST:
    case SETTING_GROUPS:
        return format_list(*(char **const *)(const void *)at, ret);
    case SETTING_TEXT:
        text = *(char *const *)(const void *)at;
        break;
    case SETTING_ADDRESS:
        text = settings->address.text;
        break;
    case SETTING_BOOLEAN:
        text = *(const bool *)at ? "true" : "false";
        break;
    case SETTING_CHOICE:
        memcpy(&choice, at, sizeof(choice));
        text = setting->choices[choice];
        break;
    default:
        r = format_number(setting, at, buffer);
        if (r < 0)
            return r;
        text = buffer;
    }
    if (text == NULL)
        return -ENODATA;
    copy = strdup(text);
    if (copy == NULL)
        return -ENOMEM;
    *ret = copy;
    return 0;
}
