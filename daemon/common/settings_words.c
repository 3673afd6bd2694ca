/* SPDX-License-Identifier: MIT */
/*
 * settings_words.c - what is said about mistakes in a listener's settings
 *
 * Each message names the key as it was written, what was found, what was
 * expected, and the nearest known name.
 *
 * Runs in:  the supervisor; a worker through settings_pack.c.
 * Owns:     nothing.
 * Failures: mistakes go to struct errors, as does want of memory.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/settings_private.h"
#include "common/suggest.h"

/* Here are names from Python's socketserver, and names that keys have in other programs. */
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
    {"supplementary_groups", "groups"},
    {"SupplementaryGroups", "groups"},
    {"LimitNOFILE", "limits.nofile"},
    {"LimitNPROC", "limits.nproc"},
    {"LimitAS", "limits.as"},
    {"LimitCPU", "limits.cpu"},
    {"LimitCORE", "limits.core"},
    {"LimitSTACK", "limits.stack"},
    {"per_source", "max_per_source"},
    {"MaxConnectionsPerSource", "max_per_source"},
    {"limit_conn", "max_per_source"},
    {"limit_req", "rate_per_source"},
    {"cps", "rate"},
    {"PerSourceNetBlockSize", "source_prefix"},
    {"PerSourcePenalties", "penalty"},
    {"proxy_protocol", "proxy.trusted"},
    {"send_proxy", "proxy.trusted"},
    {"accept_proxy", "proxy.trusted"},
    {"set_real_ip_from", "proxy.trusted"},
    {"proxy_protocol_timeout", "proxy.timeout"},
    {"ssl", "tls"},
    {"ssl_certificate", "tls.certificate"},
    {"ssl_certificate_key", "tls.key"},
    {"ssl_protocols", "tls.minimum"},
    {"ssl_ciphers", "tls.ciphers"},
    {"tls_cert_file", "tls.certificate"},
    {"tls_key_file", "tls.key"},
    {"certfile", "tls.certificate"},
    {"keyfile", "tls.key"},
    {"rlimit_files", "limits.nofile"},
    {"rlimit_as", "limits.as"},
    {"rlimit_cpu", "limits.cpu"},
    {"rlimit_core", "limits.core"},
    {"rlimit_stack", "limits.stack"},
};

/* Returns what a person types to give the key without --set. */
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

/* Returns a list in words, which the caller frees: "none, threading or forking". */
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
    case SETTING_SIGNED:
        length = asprintf(&text, "%sa whole number from %.0f to %.0f",
                          setting->zero ? "\"none\" or " : "", setting->min, setting->max);
        break;
    case SETTING_RATE:
        length = asprintf(&text,
                          "\"none\" or a rate such as \"20/s\", \"600/m\" or \"1000/h\": a number "
                          "from 1 to %.0f, and a second, minute or hour",
                          setting->max);
        break;
    case SETTING_SIZE:
        length =
            asprintf(&text, "%sa size such as \"64K\" or \"1M\", from %s to %s",
                     setting->zero ? "0 or " : "", value_format_size((uint64_t)setting->min, low),
                     value_format_size((uint64_t)setting->max, high));
        break;
    case SETTING_LIST:
        length = setting->min > 0 ? asprintf(&text, "a list of %.0f to %.0f items, such as %s",
                                             setting->min, setting->max, setting->example)
                                  : asprintf(&text, "a list of at most %.0f items, such as %s",
                                             setting->max, setting->example);
        break;
    case SETTING_GROUPS:
        length = asprintf(&text, "a list of at most %.0f groups, such as %s", setting->max,
                          setting->example);
        break;
    default:
        length = asprintf(&text, "a duration such as \"250ms\", \"30s\" or \"5m\", from %s to %s",
                          value_format_duration(setting->min, low),
                          value_format_duration(setting->max, high));
    }
    return length < 0 ? NULL : text;
}

static char *
expect_limit(const struct setting *setting)
{
    char low[32], high[32], *text = NULL;
    int length = -1;

    switch (setting->type) {
    case SETTING_NUMBER_LIMIT:
        length = asprintf(&text, "\"unlimited\" or a whole number from %.0f to %.0f", setting->min,
                          setting->max);
        break;
    case SETTING_SIZE_LIMIT:
        length = asprintf(&text, "\"unlimited\" or a size such as \"64K\" or \"1M\", from %s to %s",
                          value_format_size((uint64_t)setting->min, low),
                          value_format_size((uint64_t)setting->max, high));
        break;
    default:
        length = asprintf(
            &text, "\"unlimited\" or a duration such as \"30s\" or \"5m\", from %s to %s",
            value_format_duration(setting->min, low), value_format_duration(setting->max, high));
    }
    return length < 0 ? NULL : text;
}

/* Lists a group's keys without its name; if group is NULL, the keys outside groups; then NULL. */
static void
list_keys(const struct setting *group, const char *ret[SETTINGS_MOST + 2])
{
    size_t count = 0;

    for (size_t i = 0; i < settings_count; i++)
        if (setting_group_of(settings_table[i].key) == group)
            ret[count++] = settings_table[i].key + (group == NULL ? 0 : strlen(group->key) + 1);
    if (group == NULL)
        ret[count++] = "options";
    ret[count] = NULL;
}

/* Returns the keys of a group in words, which the caller frees: "nofile, nproc, as". */
static char *
name_keys(const struct setting *group)
{
    const char *keys[SETTINGS_MOST + 2];
    char *text = strdup("");

    list_keys(group, keys);
    for (size_t i = 0; text != NULL && keys[i] != NULL; i++) {
        char *longer;

        if (asprintf(&longer, "%s%s%s", text, i == 0 ? "" : ", ", keys[i]) < 0)
            longer = NULL;
        free(text);
        text = longer;
    }
    return text;
}

static char *
expect_group(const struct setting *group, const struct given *given)
{
    _cleanup_free_ char *keys = name_keys(group);
    char *text;
    int length = -1;

    if (keys != NULL && given->file == NULL)
        length = asprintf(&text, "a group; give its keys, such as %s.%.*s", group->key,
                          (int)strcspn(keys, ","), keys);
    else if (keys != NULL)
        length = asprintf(&text, "a group, in braces, with any of: %s", keys);
    return length < 0 ? NULL : text;
}

/* Returns what the key takes, in words that follow "expected"; the caller frees them. */
static char *
expected(const struct setting *setting, const struct given *given)
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
    case SETTING_NUMBER_LIMIT:
    case SETTING_SIZE_LIMIT:
    case SETTING_TIME_LIMIT:
        return expect_limit(setting);
    case SETTING_GROUP:
        return expect_group(setting, given);
    default:
        return expect_range(setting);
    }
}

/* Adds a mistake for each wrong item, at its place. Returns true if there was one. */
static bool
wrong_items(const struct settings *settings, const struct setting *setting,
            const struct given *given, struct errors *errors)
{
    bool found = false;

    for (size_t i = 0; setting->type == SETTING_LIST && i < given->item_count; i++) {
        const struct given *item = &given->items[i];
        _cleanup_free_ char *shown = NULL;

        if (settings_is_item(setting, item))
            continue;
        found = true;
        shown = value_show(item->text, item->form);
        if (shown == NULL)
            errors->exhausted = true;
        else
            settings_mistake(settings, setting->key, item, errors,
                             "found %s in the list; expected text in quotes%s, such as %s", shown,
                             setting->numbers ? ", or a whole number" : "", setting->example);
    }
    return found;
}

/* Says what was found; the caller frees it. All items are right here, only their number is not. */
static char *
show_given(const struct setting *setting, const struct given *given)
{
    char *shown;

    if (!setting_is_list(setting) || given->form != VALUE_LIST)
        return value_show(given->text, given->form);
    return asprintf(&shown, "%zu items", given->item_count) < 0 ? NULL : shown;
}

void
settings_wrong_value(const struct settings *settings, const struct setting *setting,
                     const struct given *given, struct errors *errors)
{
    if (wrong_items(settings, setting, given, errors))
        return;
    _cleanup_free_ char *shown = show_given(setting, given);
    _cleanup_free_ char *expects = expected(setting, given);
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

/* Returns the key that a person most likely meant by an unknown one, or NULL. */
static const char *
suggest_key(const char *key)
{
    const char *keys[SETTINGS_MOST + 2] = {0}, *near;

    for (size_t i = 0; i < ARRAY_SIZE(other_names); i++)
        if (strcasecmp(key, other_names[i].word) == 0)
            return other_names[i].key;
    list_keys(NULL, keys);
    for (size_t i = 0; strchr(key, '.') != NULL && i < settings_count; i++)
        keys[i] = settings_table[i].key; /* on a command line the groups' keys have dots */
    near = suggest(key, keys);
    for (size_t i = 0; near == NULL && i < settings_count; i++) {
        const struct setting *group = setting_group_of(settings_table[i].key);

        if (group != NULL && strcasecmp(key, settings_table[i].key + strlen(group->key) + 1) == 0)
            near = settings_table[i].key;
    }
    return near;
}

/* Reports an unknown key in a known group, and tells all the group's keys if none is near. */
static void
unknown_key_in_group(const struct settings *settings, const struct setting *group, const char *key,
                     const struct given *given, struct errors *errors)
{
    const char *keys[SETTINGS_MOST + 2], *name = key + strlen(group->key) + 1;
    _cleanup_free_ char *shown = value_show(name, VALUE_STRING), *known = name_keys(group);
    _cleanup_free_ char *phrase = NULL;

    list_keys(group, keys);
    phrase = suggest_phrase(name, keys);
    if (shown == NULL || known == NULL || phrase == NULL)
        errors->exhausted = true;
    else if (*phrase != '\0')
        settings_mistake(settings, group->key, given, errors, "unknown key %s%s", shown, phrase);
    else
        settings_mistake(settings, group->key, given, errors, "unknown key %s; expected one of: %s",
                         shown, known);
}

static void
unknown_key_outside(struct settings *settings, const char *key, const struct given *given,
                    struct errors *errors)
{
    const char *meant = errors_full(errors) ? NULL : suggest_key(key);
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
    /* A required key that was mistyped is not reported as missing, too. */
    if (setting != NULL && setting_is_required(setting) && !setting_given(settings, setting) &&
        settings_remember(settings, setting, given, true) < 0)
        errors->exhausted = true;
}

void
settings_unknown_key(struct settings *settings, const char *key, const struct given *given,
                     struct errors *errors)
{
    const struct setting *group = setting_group_of(key);

    if (group != NULL)
        unknown_key_in_group(settings, group, key, given, errors);
    else
        unknown_key_outside(settings, key, given, errors);
}
