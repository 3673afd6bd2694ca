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
#include "worker/plugin/plugin.h"

/* So many names are looked through for "did you mean". */
#define OPTION_NAMES_MAX 100

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
};

static bool
type_known(enum ss_type type)
{
    return (size_t)type < ARRAY_SIZE(types) && types[type].name != NULL;
}

const char *
option_type_name(enum ss_type type)
{
    return type_known(type) ? types[type].name : "unknown";
}

static bool
has_range(const struct ss_option *option)
{
    const struct type *type = &types[option->type];

    return type->measure != NULL && (option->min != 0 || option->max != 0);
}

static bool
in_range(const struct ss_option *option, const struct option_value *value)
{
    if (!has_range(option))
        return true;
    double measure = types[option->type].measure(value);
    return measure >= option->min && measure <= option->max;
}

/* "a size ..., from 1 to 1G", as the end of a message. */
static void
describe_expected(const struct ss_option *option, char *buffer, size_t size)
{
    const struct type *type = &types[option->type];
    char min[32], max[32];

    if (!has_range(option)) {
        (void)snprintf(buffer, size, "%s", type->expected);
        return;
    }
    type->show(option->min, min);
    type->show(option->max, max);
    (void)snprintf(buffer, size, "%s%s from %s to %s", type->expected, type->bounded, min, max);
}

static void
value_release(struct option_value *value)
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
        value_release(value);
    else
        *ret = *value;
    return error;
}

/* Reads it as the row's type. 0, -EINVAL, -ERANGE or -ENOMEM; *ret is empty on failure. */
static int
read_value(const struct ss_option *option, const struct given *given, struct option_value *ret)
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

/* A list's fallback has an item in each line. */
static int
read_fallback(const struct ss_option *option, struct option_value *ret)
{
    struct option_value value = {.option = option};

    if (option->type != SS_LIST)
        return read_value(option, &(struct given){.text = option_fallback(option)}, ret);
    value.list = texts_split(option_fallback(option));
    value.count = texts_count(value.list);
    return finish_value(option, value.list == NULL ? -ENOMEM : 0, &value, ret);
}

static void
check_row(const struct plugin *plugin, size_t row, struct errors *errors)
{
    const struct ss_option *option = &plugin->options[row];
    struct option_value value;

    for (size_t i = 0; i < row; i++)
        if (strcmp(plugin->options[i].name, option->name) == 0)
            errors_add(errors, NULL, 0, "plugin %s: option \"%s\" stands twice in its table",
                       plugin->file, option->name);
    if (!type_known(option->type)) {
        errors_add(errors, NULL, 0, "plugin %s: option \"%s\" has the unknown type %d",
                   plugin->file, option->name, (int)option->type);
        return;
    }
    if (option->min > option->max) {
        errors_add(errors, NULL, 0, "plugin %s: option \"%s\" has min above max", plugin->file,
                   option->name);
        return;
    }
    if (option->required)
        return;
    if (read_fallback(option, &value) < 0) {
        _cleanup_free_ char *shown = value_show(option_fallback(option), VALUE_STRING);
        char expected[160];
        describe_expected(option, expected, sizeof(expected));
        errors_add(errors, NULL, 0, "plugin %s: option \"%s\" has the fallback %s; expected %s",
                   plugin->file, option->name, shown != NULL ? shown : "", expected);
        return;
    }
    value_release(&value);
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
    char expected[160], count[40];

    if (list && refuse_items(given, name, errors))
        return;
    found = value_show(given->text, given->form);
    describe_expected(option, expected, sizeof(expected));
    (void)snprintf(count, sizeof(count), "%zu item%s", given->item_count,
                   given->item_count == 1 ? "" : "s");
    errors_add(errors, given->file, given->line, "%s: found %s; expected %s", name,
               list            ? count
               : found != NULL ? found
                               : given->text,
               expected);
}

static int
take_value(const struct ss_option *option, const struct given *given, const char *name,
           struct option_value *ret, struct errors *errors)
{
    value_release(ret);
    int error = read_value(option, given, ret);
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
            char expected[160];
            describe_expected(option, expected, sizeof(expected));
            errors_add(errors, settings->file, settings->line,
                       "listeners.%s.options.%s: missing; plugin %s needs it: %s", settings->name,
                       option->name, plugin->record.name, expected);
            continue;
        }
        int error = read_fallback(option, &values[i]);
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
        value_release(&values[i]);
    free(values);
}
