/* SPDX-License-Identifier: MIT */
/*
 * options.c - plugin options: the table's own soundness, and values against it
 *
 * Runs in:  a worker before it serves, --describe, --stdio.
 * Owns:     the values it returns.
 * Failures: every mistake is added to the caller's errors; nothing is used
 *           that was found wrong.
 */
#include "worker/plugin/options.h"

#include <errno.h>
#include <string.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/suggest.h"
#include "common/texts.h"
#include "common/value.h"
#include "worker/plugin/option_types.h"
#include "worker/plugin/plugin.h"

/* So many names are looked through for "did you mean". */
#define OPTION_NAMES_MAX 100

/* Whether the file could set an option of this name. */
static bool
is_name(const char *name)
{
    bool letter = (name[0] >= 'a' && name[0] <= 'z') || (name[0] >= 'A' && name[0] <= 'Z');

    return letter &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")] ==
               '\0';
}

static void
check_name(const struct plugin *plugin, size_t row, struct errors *errors)
{
    const struct ss_option *option = &plugin->options[row];
    _cleanup_free_ char *shown =
        is_name(option->name) ? NULL : value_show(option->name, VALUE_STRING);

    if (shown != NULL)
        errors_add(errors, NULL, 0,
                   "plugin %s: no file could set the option %s; expected a name of a letter, and "
                   "then letters, digits, '_' and '-'",
                   plugin->file, shown);
    for (size_t i = 0; i < row; i++)
        if (strcmp(plugin->options[i].name, option->name) == 0)
            errors_add(errors, NULL, 0, "plugin %s: option \"%s\" stands twice in its table",
                       plugin->file, option->name);
}

static bool
are_choices(const char *choices)
{
    size_t size = choices == NULL ? 0 : strlen(choices);

    return size > 0 && choices[0] != ' ' && choices[size - 1] != ' ' &&
           strstr(choices, "  ") == NULL && strchr(choices, '\n') == NULL;
}

/* What the type takes beside a name. Returns false if something is wrong. */
static bool
check_type(const struct plugin *plugin, const struct ss_option *option, struct errors *errors)
{
    const char *wrong = NULL;

    if (!option_type_known(option->type)) {
        errors_add(errors, NULL, 0, "plugin %s: option \"%s\" has the unknown type %d",
                   plugin->file, option->name, (int)option->type);
        return false;
    }
    if (!(option->min <= option->max)) /* one of them may be no number */
        wrong = "has min above max";
    else if (option->type == SS_CHOICE && !are_choices(option->choices))
        wrong = "has no good .choices; expected its words, with one space between";
    else if (option->type == SS_CHOICE && !option->required && option->fallback == NULL)
        wrong = "is a choice without a fallback; give it one, or make it required";
    if (wrong != NULL)
        errors_add(errors, NULL, 0, "plugin %s: option \"%s\" %s", plugin->file, option->name,
                   wrong);
    return wrong == NULL;
}

static void
check_row(const struct plugin *plugin, size_t row, struct errors *errors)
{
    const struct ss_option *option = &plugin->options[row];
    struct option_value value;

    check_name(plugin, row, errors);
    if (!check_type(plugin, option, errors))
        return;
    if (option->required)
        return;
    if (option_read_fallback(option, &value) < 0) {
        _cleanup_free_ char *shown = value_show(option_fallback(option), VALUE_STRING);
        char expected[OPTION_EXPECTED_SIZE];
        option_describe_expected(option, expected, sizeof(expected));
        errors_add(errors, NULL, 0, "plugin %s: option \"%s\" has the fallback %s; expected %s",
                   plugin->file, option->name, shown != NULL ? shown : "", expected);
        return;
    }
    option_value_release(&value);
}

void
options_check_table(const struct plugin *plugin, struct errors *errors)
{
    for (size_t i = 0; i < plugin->option_count; i++)
        check_row(plugin, i, errors);
}

/* How messages name one option: as the file or the command line does. */
static void
name_option(const struct settings *settings, const struct option_setting *setting, char *buffer,
            size_t size)
{
    if (setting->given.file == NULL)
        (void)snprintf(buffer, size, "-o %s", setting->name);
    else
        (void)snprintf(buffer, size, "listeners.%s.options.%s", settings->name, setting->name);
}

void
options_complain(const struct settings *settings, const char *option, const char *text,
                 struct errors *errors)
{
    char name[200];

    for (size_t i = 0; i < settings->option_count; i++) {
        const struct option_setting *setting = &settings->options[i];
        if (strcmp(setting->name, option) != 0)
            continue;
        name_option(settings, setting, name, sizeof(name));
        errors_add(errors, setting->given.file, setting->given.line, "%s: %s", name, text);
        return;
    }
    errors_add(errors, settings->file, settings->line, "listeners.%s.options.%s: %s",
               settings->name, option, text);
}

static void
refuse_unknown(const struct plugin *plugin, const struct option_setting *setting, const char *name,
               struct errors *errors)
{
    const char *names[OPTION_NAMES_MAX + 1] = {NULL};

    if (plugin->option_count == 0) {
        errors_add(errors, setting->given.file, setting->given.line,
                   "%s: plugin %s takes no options", name, plugin->record.name);
        return;
    }
    for (size_t i = 0; i < plugin->option_count && i < OPTION_NAMES_MAX; i++)
        names[i] = plugin->options[i].name;
    _cleanup_free_ char *hint = suggest_phrase(setting->name, names);
    errors_add(errors, setting->given.file, setting->given.line,
               "%s: plugin %s has no such option%s", name, plugin->record.name,
               hint != NULL ? hint : "");
}

/* Each item that is no string, where it stands. Whether there was one. */
static bool
refuse_items(const struct given *list, const char *name, struct errors *errors)
{
    bool refused = false;

    for (size_t i = 0; i < list->item_count; i++) {
        const struct given *item = &list->items[i];
        _cleanup_free_ char *found = NULL;

        if (given_is_text(item))
            continue;
        found = value_show(item->text, item->form);
        errors_add(errors, item->file, item->line,
                   "%s: found %s in the list; expected a string in "
                   "quotes",
                   name, found != NULL ? found : item->text);
        refused = true;
    }
    return refused;
}

static void
refuse_value(const struct ss_option *option, const struct given *given, const char *name,
             struct errors *errors)
{
    bool list = option->type == SS_LIST && given->form == VALUE_LIST;
    _cleanup_free_ char *found = NULL;
    _cleanup_free_ char *hint = NULL;
    char expected[OPTION_EXPECTED_SIZE], count[40];

    if (list && refuse_items(given, name, errors))
        return;
    found = value_show(given->text, given->form);
    option_describe_expected(option, expected, sizeof(expected));
    (void)snprintf(count, sizeof(count), "%zu item%s", given->item_count,
                   given->item_count == 1 ? "" : "s");
    hint = option_hint(option, given->text);
    errors_add(errors, given->file, given->line, "%s: found %s; expected %s%s", name,
               list            ? count
               : found != NULL ? found
                               : given->text,
               expected, hint != NULL ? hint : "");
}

static int
take_value(const struct ss_option *option, const struct given *given, const char *name,
           struct option_value *ret, struct errors *errors)
{
    option_value_release(ret);
    int error = option_read(option, given, ret);
    if (error == -ENOMEM)
        return error;
    if (error < 0)
        refuse_value(option, given, name, errors);
    ret->option = option; /* given, though perhaps wrongly */
    return 0;
}

/* On the command line each -o of a list's name adds an item; all are taken with the first. */
static int
take_typed_list(const struct ss_option *option, const struct settings *settings, const char *name,
                struct option_value *ret, struct errors *errors)
{
    struct given list = {.form = VALUE_LIST};

    if (ret->option != NULL)
        return 0;
    list.items = calloc(settings->option_count, sizeof(*list.items));
    if (list.items == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < settings->option_count; i++)
        if (strcmp(settings->options[i].name, option->name) == 0)
            list.items[list.item_count++] = settings->options[i].given;
    int error = take_value(option, &list, name, ret, errors);
    free(list.items); /* their strings are the settings' */
    return error;
}

static int
take_setting(const struct plugin *plugin, const struct settings *settings,
             const struct option_setting *setting, struct option_value *values,
             struct errors *errors)
{
    char name[200];
    size_t row = 0;

    name_option(settings, setting, name, sizeof(name));
    while (row < plugin->option_count && strcmp(plugin->options[row].name, setting->name) != 0)
        row++;
    if (row == plugin->option_count) {
        refuse_unknown(plugin, setting, name, errors);
        return 0;
    }
    if (plugin->options[row].type == SS_LIST && setting->given.form == VALUE_PLAIN)
        return take_typed_list(&plugin->options[row], settings, name, &values[row], errors);
    return take_value(&plugin->options[row], &setting->given, name, &values[row], errors);
}

/* Fills the rows that the file did not give. */
static int
take_fallbacks(const struct plugin *plugin, const struct settings *settings,
               struct option_value *values, struct errors *errors)
{
    for (size_t i = 0; i < plugin->option_count; i++) {
        const struct ss_option *option = &plugin->options[i];

        if (values[i].option != NULL)
            continue;
        if (option->required) {
            char expected[OPTION_EXPECTED_SIZE];
            option_describe_expected(option, expected, sizeof(expected));
            errors_add(errors, settings->file, settings->line,
                       "listeners.%s.options.%s: missing; plugin %s needs it: %s", settings->name,
                       option->name, plugin->record.name, expected);
            continue;
        }
        int error = option_read_fallback(option, &values[i]);
        if (error < 0)
            return error;
    }
    return 0;
}

int
options_resolve(const struct plugin *plugin, const struct settings *settings,
                struct option_value **ret, struct errors *errors)
{
    struct option_value *values = NULL;
    int error = 0;

    if (plugin->option_count > 0) {
        values = calloc(plugin->option_count, sizeof(*values));
        if (values == NULL)
            return -ENOMEM;
    }
    for (size_t i = 0; i < settings->option_count && error == 0; i++)
        error = take_setting(plugin, settings, &settings->options[i], values, errors);
    if (error == 0)
        error = take_fallbacks(plugin, settings, values, errors);
    if (error < 0) {
        options_free(values, plugin->option_count);
        return error;
    }
    *ret = values;
    return 0;
}

void
options_free(struct option_value *values, size_t count)
{
    for (size_t i = 0; values != NULL && i < count; i++)
        option_value_release(&values[i]);
    free(values);
}
