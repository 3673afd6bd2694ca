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
settings_mistake(const struct settings *settings, const char *key, const char *file, unsigned line,
                 struct errors *errors, const char *format, ...)
{
    const char *dot = key == NULL ? "" : ".";
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
read_text(struct settings *settings, const struct setting *setting, const char *text,
          enum value_form form)
{
    if ((form != VALUE_STRING && form != VALUE_PLAIN) || *text == '\0')
        return -EINVAL;
    return set_text(settings, setting, text);
}

static int
read_boolean(struct settings *settings, const struct setting *setting, const char *text,
             enum value_form form)
{
    return value_boolean(text, form, member(settings, setting));
}

static int
read_integer(struct settings *settings, const struct setting *setting, const char *text,
             enum value_form form)
{
    int64_t value;
    int r = value_integer(text, form, &value);

    if (r < 0)
        return r;
    if ((double)value < setting->min || (double)value > setting->max)
        return -ERANGE;
    *(uint32_t *)member(settings, setting) = (uint32_t)value;
    return 0;
}

static int
read_size(struct settings *settings, const struct setting *setting, const char *text,
          enum value_form form)
{
    uint64_t value;
    int r = value_size(text, form, &value);

    if (r < 0)
        return r;
    if (!(setting->zero && value == 0) &&
        ((double)value < setting->min || (double)value > setting->max))
        return -ERANGE;
    *(uint64_t *)member(settings, setting) = value;
    return 0;
}

static int
read_duration(struct settings *settings, const struct setting *setting, const char *text,
              enum value_form form)
{
    bool word = form == VALUE_STRING || form == VALUE_PLAIN;
    double value = 0;
    int r = 0;

    if (!(setting->zero && word && strcmp(text, "none") == 0))
        r = value_duration(text, form, &value);
    if (r < 0)
        return r;
    if (value < setting->min || value > setting->max)
        return -ERANGE;
    *(double *)member(settings, setting) = value + 0.0; /* no negative zero */
    return 0;
}

static int
read_mode(struct settings *settings, const struct setting *setting, const char *text,
          enum value_form form)
{
    unsigned long mode;
    char *end;

    /* A number in the file is decimal to libconfig: 0660 would be 660. */
    if ((form != VALUE_STRING && form != VALUE_PLAIN) || strlen(text) > 5)
        return -EINVAL;
    if (*text == '\0' || text[strspn(text, "01234567")] != '\0')
        return -EINVAL;
    mode = strtoul(text, &end, 8);
    if ((double)mode > setting->max)
        return -ERANGE;
    *(uint32_t *)member(settings, setting) = (uint32_t)mode;
    return 0;
}

static int
read_choice(struct settings *settings, const struct setting *setting, const char *text,
            enum value_form form)
{
    if (form != VALUE_STRING && form != VALUE_PLAIN)
        return -EINVAL;
    for (int i = 0; setting->choices[i] != NULL; i++) {
        if (strcmp(setting->choices[i], text) != 0)
            continue;
        memcpy(member(settings, setting), &i, sizeof(i)); /* every enum here is an int */
        return 0;
    }
    return -EINVAL;
}

/* By enum setting_type; an address tells its own mistakes. */
static int (*const readers[])(struct settings *, const struct setting *, const char *,
                              enum value_form) = {
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
wrong_value(const struct settings *settings, const struct setting *setting, const char *text,
            enum value_form form, const char *file, unsigned line, struct errors *errors)
{
    _cleanup_free_ char *shown = value_show(text, form), *expects = expected(setting);
    _cleanup_free_ char *phrase = NULL;

    if (setting->choices != NULL)
        phrase = suggest_phrase(text, setting->choices);
    if (shown == NULL || expects == NULL || (setting->choices != NULL && phrase == NULL))
        errors->exhausted = true;
    else if (setting->choices == NULL || (form != VALUE_STRING && form != VALUE_PLAIN))
        settings_mistake(settings, setting->key, file, line, errors, "found %s; expected %s", shown,
                         expects);
    else if (*phrase != '\0')
        settings_mistake(settings, setting->key, file, line, errors, "unknown %s %s%s",
                         setting->key, shown, phrase);
    else
        settings_mistake(settings, setting->key, file, line, errors, "unknown %s %s; expected %s",
                         setting->key, shown, expects);
}

/* Remembers where the key was given, for what settings_finish() has to say about it. */
static int
remember(struct settings *settings, const struct setting *setting, const char *file, unsigned line,
         bool wrong)
{
    const size_t row = (size_t)(setting - settings_table);
    struct setting_place *place;
    char *copy = NULL;

    if (settings->places == NULL)
        settings->places = calloc(settings_count, sizeof(*settings->places));
    if (settings->places == NULL || (file != NULL && (copy = strdup(file)) == NULL))
        return -ENOMEM;
    place = &settings->places[row];
    free(place->file);
    *place = (struct setting_place){.file = copy, .line = line};
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
unknown_key(struct settings *settings, const char *key, const char *file, unsigned line,
            struct errors *errors)
{
    const char *meant = errors_full(errors) ? NULL : suggest_key(key);
    const struct setting *setting = meant == NULL ? NULL : setting_find(meant);
    _cleanup_free_ char *shown = value_show(key, VALUE_STRING);

    if (shown == NULL)
        errors->exhausted = true;
    else if (meant == NULL)
        settings_mistake(settings, NULL, file, line, errors,
                         "unknown key %s; sockserverd.conf(5) lists those there are", shown);
    else
        settings_mistake(settings, NULL, file, line, errors, "unknown key %s; did you mean \"%s\"?",
                         shown, meant);
    /* A mistyped key is not missing as well. */
    if (setting != NULL && setting_is_required(setting) && !setting_given(settings, setting) &&
        remember(settings, setting, file, line, true) < 0)
        errors->exhausted = true;
}

void
settings_mistake_at(const struct settings *settings, const struct setting *setting,
                    struct errors *errors, const char *format, ...)
{
    const struct setting_place *place =
        settings->places == NULL ? NULL : &settings->places[setting - settings_table];
    va_list arguments;

    va_start(arguments, format);
    _cleanup_free_ char *message = errors_format(errors, format, arguments);
    va_end(arguments);
    if (message != NULL)
        settings_mistake(settings, setting->key, place == NULL ? NULL : place->file,
                         place == NULL ? 0 : place->line, errors, "%s", message);
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
settings_set(struct settings *settings, const char *key, const char *text, enum value_form form,
             const char *file, unsigned line, struct errors *errors)
{
    const struct setting *setting = setting_find(key);
    _cleanup_free_ char *problem = NULL;
    int r;

    if (setting == NULL) {
        unknown_key(settings, key, file, line, errors);
        return;
    }
    if (setting->type != SETTING_ADDRESS)
        r = readers[setting->type](settings, setting, text, form);
    else if (form == VALUE_STRING || form == VALUE_PLAIN)
        r = set_address(settings, text, &problem);
    else
        r = -EINVAL;
    /* A key with a wrong value was given all the same: it is not missing as well. */
    if (remember(settings, setting, file, line, r < 0) < 0 || r == -ENOMEM)
        errors->exhausted = true;
    else if (problem != NULL)
        settings_mistake(settings, key, file, line, errors, "%s", problem);
    else if (r < 0)
        wrong_value(settings, setting, text, form, file, line, errors);
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

        if (setting->fallback != NULL &&
            readers[setting->type](settings, setting, setting->fallback, VALUE_PLAIN) < 0) {
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
    free(option->text);
    free(option->file);
}

void
settings_done(struct settings *settings)
{
    for (size_t i = 0; i < settings_count; i++) {
        if (settings_table[i].type == SETTING_TEXT)
            free(*(char **)member(settings, &settings_table[i]));
        if (settings->places != NULL)
            free(settings->places[i].file);
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
settings_add_option(struct settings *settings, const char *name, const char *text,
                    enum value_form form, const char *file, unsigned line)
{
    struct option_setting option = {.form = form, .line = line};
    struct option_setting *options =
        reallocarray(settings->options, settings->option_count + 1, sizeof(*options));

    if (options == NULL)
        return -ENOMEM;
    settings->options = options;
    option.name = strdup(name);
    option.text = strdup(text);
    option.file = file == NULL ? NULL : strdup(file);
    if (option.name == NULL || option.text == NULL || (file != NULL && option.file == NULL)) {
        option_done(&option);
        return -ENOMEM;
    }
    settings->options[settings->option_count++] = option;
    return 0;
}
