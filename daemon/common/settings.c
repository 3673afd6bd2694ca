/* SPDX-License-Identifier: MIT */
/*
 * settings.c - one listener's settings: defaults, and giving keys values
 *
 * Runs in:  the supervisor; a worker through settings_pack.c.
 * Owns:     the strings of struct settings, until settings_done().
 * Failures: mistakes go to struct errors, as does want of memory.
 */
#include "common/settings.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/suggest.h"

#define LARGEST_TABLE 64 /* settings.set has as many bits */

/* Names from Python's socketserver, and what people call things elsewhere. */
static const struct {
    const char *word, *key;
} other_names[] = {
    {"server_address", "address"},
    {"listen", "address"},
    {"bind", "address"},
    {"host", "address"},
    {"port", "address"},
    {"handler", "plugin"},
    {"RequestHandlerClass", "plugin"},
    {"bind_and_activate", "enabled"},
    {"disabled", "enabled"},
    {"backlog", "request_queue_size"},
    {"allow_reuse_address", "reuse_address"},
    {"allow_reuse_port", "reuse_port"},
    {"disable_nagle_algorithm", "nodelay"},
    {"mode", "socket_mode"},
    {"max_children", "max_connections"},
    {"max_threads", "max_connections"},
    {"poll_interval", "service_interval"},
    {"rbufsize", "read_buffer"},
    {"wbufsize", "write_buffer"},
    {"workers", "cpus"},
};

static void *
member(const struct settings *settings, const struct setting *setting)
{
    return (char *)settings + setting->offset;
}

/* What a person types to give the key without --set. */
static const char *
option_for(const char *key)
{
    static const char *const options[][2] = {
        {"address", "--listen"}, {"mixin", "--mixin"}, {"plugin", "PLUGIN"}};

    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        if (strcmp(options[i][0], key) == 0)
            return options[i][1];
    return key;
}

void
settings_mistake(const struct settings *settings, const char *key, const struct given *given,
                 struct errors *errors, const char *format, ...)
{
    const char *file = given->file, *dot = key == NULL ? "" : ".";
    unsigned line = given->line;
    va_list arguments;

    va_start(arguments, format);
    _cleanup_free_ char *message = errors_format(errors, format, arguments);
    va_end(arguments);
    if (message == NULL)
        return;
    if (key == NULL)
        key = "";
    if (file == NULL && line == GIVEN_BY_OPTION)
        errors_add(errors, NULL, 0, "%s: %s", option_for(key), message);
    else if (file == NULL)
        errors_add(errors, NULL, 0, "--set%s%s: %s", *key == '\0' ? "" : " ", key, message);
    else if (settings->name == NULL)
        errors_add(errors, file, line, "defaults%s%s: %s", dot, key, message);
    else
        errors_add(errors, file, line, "listeners.%s%s%s: %s", settings->name, dot, key, message);
}

static int
set_text(struct settings *settings, const struct setting *setting, const char *text)
{
    char *copy = strdup(text), **at = member(settings, setting);

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
    return set_text(settings, setting, given->text);
}

static int
read_boolean(struct settings *settings, const struct setting *setting, const struct given *given)
{
    return value_boolean(given->text, given->form, member(settings, setting));
}

static int
read_integer(struct settings *settings, const struct setting *setting, const struct given *given)
{
    int64_t value;
    int r = value_integer(given->text, given->form, &value);

    if (r < 0)
        return r;
    if ((double)value < setting->min || (double)value > setting->max)
        return -ERANGE;
    *(uint32_t *)member(settings, setting) = (uint32_t)value;
    return 0;
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
    *(uint64_t *)member(settings, setting) = value;
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
    if (value < setting->min || value > setting->max)
        return -ERANGE;
    *(double *)member(settings, setting) = value + 0.0; /* no negative zero */
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
    *(uint32_t *)member(settings, setting) = mode;
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
        memcpy(member(settings, setting), &i, sizeof(i)); /* every enum here is an int */
        return 0;
    }
    return -EINVAL;
}

/* By enum setting_type; an address tells its own mistakes. */
static int (*const readers[])(struct settings *, const struct setting *, const struct given *) = {
    [SETTING_TEXT] = read_text,         [SETTING_BOOLEAN] = read_boolean,
    [SETTING_INTEGER] = read_integer,   [SETTING_SIZE] = read_size,
    [SETTING_DURATION] = read_duration, [SETTING_MODE] = read_mode,
    [SETTING_CHOICE] = read_choice,
};

/* "none, threading or forking" */
static char *
list_choices(const char *const *choices)
{
    char *list = NULL;

    for (size_t i = 0; choices[i] != NULL; i++) {
        const char *comma = i == 0 ? "" : choices[i + 1] == NULL ? " or " : ", ";
        char *longer;

        if (asprintf(&longer, "%s%s\"%s\"", list == NULL ? "" : list, comma, choices[i]) < 0) {
            free(list);
            return NULL;
        }
        free(list);
        list = longer;
    }
    return list;
}

static char *
expect_range(const struct setting *setting)
{
    char low[32], high[32], *text = NULL;
    int length = -1;

    switch (setting->type) {
    case SETTING_INTEGER:
        length = asprintf(&text, "a whole number from %.0f to %.0f", setting->min, setting->max);
        break;
    case SETTING_SIZE:
        length =
            asprintf(&text, "%sa size such as \"64K\" or \"1M\", from %s to %s",
                     setting->zero ? "0 or " : "", value_format_size((uint64_t)setting->min, low),
                     value_format_size((uint64_t)setting->max, high));
        break;
    default:
        length = asprintf(&text, "a duration such as \"250ms\", \"30s\" or \"5m\", from %s to %s",
                          value_format_duration(setting->min, low),
                          value_format_duration(setting->max, high));
    }
    return length < 0 ? NULL : text;
}

/* What the key takes, as it stands behind "expected". To free. */
static char *
expected(const struct setting *setting)
{
    switch (setting->type) {
    case SETTING_TEXT:
        return strdup("text in quotes, not empty");
    case SETTING_ADDRESS:
        return strdup("an address in quotes, such as \"tcp://127.0.0.1:9999\"");
    case SETTING_BOOLEAN:
        return strdup("true or false");
    case SETTING_MODE:
        return strdup("an octal mode in quotes, such as \"0660\", up to \"0777\"");
    case SETTING_CHOICE:
        return list_choices(setting->choices);
    default:
        return expect_range(setting);
    }
}

static void
wrong_value(const struct settings *settings, const struct setting *setting,
            const struct given *given, struct errors *errors)
{
    _cleanup_free_ char *shown = value_show(given->text, given->form);
    _cleanup_free_ char *expects = expected(setting);
    _cleanup_free_ char *phrase = NULL;

    if (setting->choices != NULL)
        phrase = suggest_phrase(given->text, setting->choices);
    if (shown == NULL || expects == NULL || (setting->choices != NULL && phrase == NULL))
        errors->exhausted = true;
    else if (setting->choices == NULL || !given_is_text(given))
        settings_mistake(settings, setting->key, given, errors, "found %s; expected %s", shown,
                         expects);
    else if (*phrase != '\0')
        settings_mistake(settings, setting->key, given, errors, "unknown %s %s%s", setting->key,
                         shown, phrase);
    else
        settings_mistake(settings, setting->key, given, errors, "unknown %s %s; expected %s",
                         setting->key, shown, expects);
}

/* Remembers where the key was given, for what settings_finish() has to say about it. */
static int
remember(struct settings *settings, const struct setting *setting, const struct given *given,
         bool wrong)
{
    const struct given place = {.file = given->file, .line = given->line};
    const size_t row = (size_t)(setting - settings_table);
    struct given copy;

    if (settings->places == NULL)
        settings->places = calloc(settings_count, sizeof(*settings->places));
    if (settings->places == NULL || given_copy(&place, &copy) < 0)
        return -ENOMEM;
    given_done(&settings->places[row]);
    settings->places[row] = copy;
    settings->set |= UINT64_C(1) << row;
    settings->wrong &= ~(UINT64_C(1) << row);
    settings->wrong |= (uint64_t)wrong << row;
    return 0;
}

/* The key most likely meant by an unknown one, or NULL. */
static const char *
suggest_key(const char *key)
{
    const char *keys[LARGEST_TABLE + 2] = {"options"};

    for (size_t i = 0; i < ARRAY_SIZE(other_names); i++)
        if (strcasecmp(key, other_names[i].word) == 0)
            return other_names[i].key;
    for (size_t i = 0; i < settings_count; i++)
        keys[i + 1] = settings_table[i].key;
    return suggest(key, keys);
}

static void
unknown_key(struct settings *settings, const char *key, const struct given *given,
            struct errors *errors)
{
    const char *meant = suggest_key(key);
    const struct setting *setting = meant == NULL ? NULL : setting_find(meant);
    _cleanup_free_ char *shown = value_show(key, VALUE_STRING);

    if (shown == NULL)
        errors->exhausted = true;
    else if (meant == NULL)
        settings_mistake(settings, NULL, given, errors,
                         "unknown key %s; sockserverd.conf(5) lists those there are", shown);
    else
        settings_mistake(settings, NULL, given, errors, "unknown key %s; did you mean \"%s\"?",
                         shown, meant);
    /* A mistyped key is not missing as well. */
    if (setting != NULL && setting_is_required(setting) && !setting_given(settings, setting) &&
        remember(settings, setting, given, true) < 0)
        errors->exhausted = true;
}

void
settings_mistake_at(const struct settings *settings, const struct setting *setting,
                    struct errors *errors, const char *format, ...)
{
    static const struct given nowhere = {0};
    const struct given *place =
        settings->places == NULL ? &nowhere : &settings->places[setting - settings_table];
    va_list arguments;

    va_start(arguments, format);
    _cleanup_free_ char *message = errors_format(errors, format, arguments);
    va_end(arguments);
    if (message != NULL)
        settings_mistake(settings, setting->key, place, errors, "%s", message);
}

static int
set_address(struct settings *settings, const char *text, char **ret_problem)
{
    struct address address;
    int r = address_parse(text, &address, ret_problem);

    if (r < 0)
        return r;
    address_done(&settings->address);
    settings->address = address;
    return 0;
}

void
settings_set(struct settings *settings, const char *key, const struct given *given,
             struct errors *errors)
{
    const struct setting *setting = setting_find(key);
    _cleanup_free_ char *problem = NULL;
    int r;

    if (setting == NULL) {
        unknown_key(settings, key, given, errors);
        return;
    }
    if (setting->type != SETTING_ADDRESS)
        r = readers[setting->type](settings, setting, given);
    else if (given_is_text(given))
        r = set_address(settings, given->text, &problem);
    else
        r = -EINVAL;
    /* A key with a wrong value was given all the same: it is not missing as well. */
    if (remember(settings, setting, given, r < 0) < 0 || r == -ENOMEM)
        errors->exhausted = true;
    else if (problem != NULL)
        settings_mistake(settings, key, given, errors, "%s", problem);
    else if (r < 0)
        wrong_value(settings, setting, given, errors);
}

int
settings_init(struct settings *settings, const char *name)
{
    *settings = (struct settings){
        .uid = (uid_t)-1,
        .gid = (gid_t)-1,
        .socket_uid = (uid_t)-1,
        .socket_gid = (gid_t)-1,
        .umask = UMASK_UNCHANGED,
    };
    if (name != NULL && (settings->name = strdup(name)) == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *setting = &settings_table[i];
        const struct given fallback = {.text = setting->fallback};

        if (fallback.text != NULL && readers[setting->type](settings, setting, &fallback) < 0) {
            settings_done(settings);
            return -ENOMEM;
        }
    }
    return 0;
}

static void
option_done(struct option_setting *option)
{
    free(option->name);
    given_done(&option->given);
}

void
settings_done(struct settings *settings)
{
    for (size_t i = 0; i < settings_count; i++) {
        if (settings_table[i].type == SETTING_TEXT)
            free(*(char **)member(settings, &settings_table[i]));
        if (settings->places != NULL)
            given_done(&settings->places[i]);
    }
    for (size_t i = 0; i < settings->option_count; i++)
        option_done(&settings->options[i]);
    address_done(&settings->address);
    free(settings->options);
    free(settings->places);
    free(settings->plugin_file);
    free(settings->file);
    free(settings->name);
    *settings = (struct settings){0};
}

int
settings_add_option(struct settings *settings, const char *name, const struct given *given)
{
    struct option_setting option = {.name = strdup(name)};
    struct option_setting *options =
        reallocarray(settings->options, settings->option_count + 1, sizeof(*options));

    if (options != NULL)
        settings->options = options;
    if (options == NULL || option.name == NULL || given_copy(given, &option.given) < 0) {
        option_done(&option);
        return -ENOMEM;
    }
    settings->options[settings->option_count++] = option;
    return 0;
}
