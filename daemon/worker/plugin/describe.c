/* SPDX-License-Identifier: MIT */
/*
 * describe.c - what a plugin says of itself: for operators, and as JSON for tools
 *
 * Runs in:  the process that was started: the plugin's constructors run in it.
 * Owns:     nothing that outlives it.
 * Failures: why the plugin does not load, on standard error.
 */
#include "worker/plugin/describe.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "common/texts.h"
#include "common/value.h"
#include "worker/plugin/options.h"
#include "worker/plugin/plugin.h"

static const struct flag {
    uint32_t bit; /* 0: always allowed */
    const char *name;
} transports[] = {{SS_STREAM, "stream"}, {SS_DATAGRAM, "datagram"}},
  mixins[] = {
      {0, "none"}, {0, "forking"}, {SS_THREADING, "threading"}, {SS_COROUTINE, "coroutine"}};

static void
print_flags(const char *title, uint32_t bits, const struct flag *flags, size_t count)
{
    const char *separator = "";

    (void)printf("%-12s", title);
    for (size_t i = 0; i < count; i++)
        if ((bits & flags[i].bit) == flags[i].bit) {
            (void)printf("%s%s", separator, flags[i].name);
            separator = ", ";
        }
    (void)printf("\n");
}

static void
format_bound(enum ss_type type, double bound, char *buffer)
{
    if (type == SS_SIZE)
        (void)value_format_size((uint64_t)bound, buffer);
    else if (type == SS_DURATION)
        (void)value_format_duration(bound, buffer);
    else
        (void)snprintf(buffer, 32, "%.15g", bound);
}

/* As in the file: "hello", or [ "a", "b" ]. */
static void
print_default(const struct ss_option *option)
{
    char **items = NULL;

    if (option->type != SS_LIST) {
        (void)printf(", default \"%s\")\n", option_fallback(option));
        return;
    }
    items = texts_split(option_fallback(option));
    (void)printf(", default [ ");
    for (size_t i = 0; items != NULL && items[i] != NULL; i++) {
        _cleanup_free_ char *shown = value_show(items[i], VALUE_STRING);

        (void)printf("%s%s ", shown != NULL ? shown : "", items[i + 1] != NULL ? "," : "");
    }
    (void)printf("])\n");
    texts_free(items);
}

static void
print_option(const struct ss_option *option)
{
    char min[32], max[32];

    (void)printf("  %s (%s", option->name, option_type_name(option->type));
    if (option->min != 0 || option->max != 0) {
        format_bound(option->type, option->min, min);
        format_bound(option->type, option->max, max);
        (void)printf(", %s to %s%s", min, max, option->type == SS_LIST ? " items" : "");
    }
    if (option->required)
        (void)printf(", required)\n");
    else
        print_default(option);
    if (option->help != NULL)
        (void)printf("      %s\n", option->help);
}

static void
print_text(const struct plugin *plugin)
{
    const struct ss_plugin *record = &plugin->record;

    (void)printf("%-12s%s\n", "name", record->name);
    (void)printf("%-12s%s\n", "summary", record->summary != NULL ? record->summary : "");
    (void)printf("%-12s%s\n", "file", plugin->file);
    (void)printf("%-12s%u\n", "ABI", record->abi);
    print_flags("transports", record->transports, transports, ARRAY_SIZE(transports));
    print_flags("mixins", record->mixins, mixins, ARRAY_SIZE(mixins));
    (void)printf("options%s\n", plugin->option_count == 0 ? "     none" : "");
    for (size_t i = 0; i < plugin->option_count; i++)
        print_option(&plugin->options[i]);
}

static json_t *
flags_json(uint32_t bits, const struct flag *flags, size_t count)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++)
        if ((bits & flags[i].bit) == flags[i].bit)
            (void)json_array_append_new(array, json_string(flags[i].name));
    return array;
}

/* A list's is an array of strings, any other is the text that the plugin has. */
static json_t *
default_json(const struct ss_option *option)
{
    char **items = NULL;
    json_t *array;

    if (option->type != SS_LIST)
        return json_string(option_fallback(option));
    array = json_array();
    items = texts_split(option_fallback(option));
    for (size_t i = 0; items != NULL && items[i] != NULL; i++)
        (void)json_array_append_new(array, json_string(items[i]));
    texts_free(items);
    return array;
}

static json_t *
option_json(const struct ss_option *option)
{
    json_t *object = json_pack("{s:s, s:s, s:b, s:s}", "name", option->name, "type",
                               option_type_name(option->type), "required", option->required, "help",
                               option->help != NULL ? option->help : "");

    if (!option->required)
        (void)json_object_set_new(object, "default", default_json(option));
    if (option->min != 0 || option->max != 0) {
        (void)json_object_set_new(object, "min", json_real(option->min));
        (void)json_object_set_new(object, "max", json_real(option->max));
    }
    return object;
}

static int
print_json(const struct plugin *plugin)
{
    const struct ss_plugin *record = &plugin->record;
    json_t *options = json_array();

    for (size_t i = 0; i < plugin->option_count; i++)
        (void)json_array_append_new(options, option_json(&plugin->options[i]));
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:i, s:o, s:o, s:o}", "name", record->name, "summary",
                  record->summary != NULL ? record->summary : "", "file", plugin->file, "abi",
                  (int)record->abi, "transports",
                  flags_json(record->transports, transports, ARRAY_SIZE(transports)), "mixins",
                  flags_json(record->mixins, mixins, ARRAY_SIZE(mixins)), "options", options);
    if (object == NULL) {
        (void)fprintf(stderr, "sockserverd: cannot describe %s: its texts are not UTF-8\n",
                      plugin->file);
        return 1;
    }
    int error = json_dumpf(object, stdout, JSON_INDENT(2));
    (void)printf("\n");
    json_decref(object);
    return error < 0 ? 1 : 0;
}

int
describe_main(const char *plugin_file, bool json)
{
    struct errors errors = {0};
    struct plugin plugin;
    int status = 0;

    if (plugin_load(plugin_file, &plugin, &errors) < 0) {
        for (size_t i = 0; i < errors.count; i++)
            (void)fprintf(stderr, "sockserverd: %s\n", errors.texts[i]);
        status = 1;
    } else if (json) {
        status = print_json(&plugin);
    } else {
        print_text(&plugin);
    }
    if (fflush(stdout) != 0)
        status = 1;
    errors_done(&errors);
    plugin_done(&plugin);
    return status;
}
