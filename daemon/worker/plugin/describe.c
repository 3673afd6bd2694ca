/* SPDX-License-Identifier: MIT */
/*
 * describe.c - what a plugin says of itself: for operators, and as JSON for tools
 *
 * Runs in:  a child of the process that was started (common/apart.c), because
 *           the plugin's constructors run, too.
 * Owns:     nothing that outlives it.
 * Failures: why the plugin does not load, on standard error.
 */
#include "worker/plugin/describe.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/mixins.h"
#include "common/printable.h"
#include "common/texts.h"
#include "common/value.h"
#include "worker/plugin/near_hooks.h"
#include "worker/plugin/options.h"
#include "worker/plugin/plugin.h"

/* What a plugin states in bits, as names. */
struct names {
    const char *names[PLUGIN_HOOKS];
    size_t count;
};

static void
add_name(struct names *names, const char *name)
{
    if (names->count < ARRAY_SIZE(names->names))
        names->names[names->count++] = name;
}

static struct names
name_transports(uint32_t transports)
{
    struct names names = {0};

    if (transports & SS_STREAM)
        add_name(&names, "stream");
    if (transports & SS_DATAGRAM)
        add_name(&names, "datagram");
    return names;
}

/* Those that need not be stated come first. */
static struct names
name_mixins(uint32_t mixins)
{
    struct names names = {0};

    for (size_t i = 0; i < mixin_count; i++)
        if (mixin_traits[i].flag == 0 && !(mixin_traits[i].forks && (mixins & SS_ONE_PROCESS)))
            add_name(&names, mixin_names[i]);
    for (size_t i = 0; i < mixin_count; i++)
        if (mixins & mixin_traits[i].flag)
            add_name(&names, mixin_names[i]);
    return names;
}

static struct names
name_hooks(const struct plugin *plugin)
{
    const char *hooks[PLUGIN_HOOKS];
    struct names names = {0};

    plugin_hook_names(plugin, false, hooks);
    for (size_t i = 0; hooks[i] != NULL; i++)
        add_name(&names, hooks[i]);
    return names;
}

/* What looks as if it were meant for a hook. */
static void
find_notes(const struct plugin *plugin, struct errors *ret)
{
    const char *present[PLUGIN_HOOKS], *missing[PLUGIN_HOOKS];

    plugin_hook_names(plugin, false, present);
    plugin_hook_names(plugin, true, missing);
    near_hooks_find(plugin->file, present, missing, ret);
}

static void
print_names(const char *title, struct names names)
{
    (void)printf("%-12s", title);
    for (size_t i = 0; i < names.count; i++)
        (void)printf("%s%s", i > 0 ? ", " : "", names.names[i]);
    (void)printf("\n");
}

/* As in the file: "hello", or [ "a", "b" ]. */
static void
print_default(const struct ss_option *option)
{
    char **items = NULL;

    if (option->type != SS_LIST) {
        (void)printf(", default \"");
        printable_put(stdout, option_fallback(option));
        (void)printf("\")\n");
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

/* What a plugin says could hold anything that a terminal would obey. */
static void
print_line(const char *title, const char *text)
{
    (void)printf("%s ", title);
    printable_put(stdout, text);
    (void)printf("\n");
}

static void
print_option(const struct ss_option *option)
{
    char range[80];

    (void)printf("  ");
    printable_put(stdout, option->name);
    (void)printf(" (%s", option_type_name(option->type));
    if (option_has_range(option)) {
        option_show_range(option, range, sizeof(range));
        (void)printf(", %s%s", range, option->type == SS_LIST ? " items" : "");
    }
    if (option->type == SS_CHOICE) {
        (void)printf(" of ");
        printable_put(stdout, option->choices);
    }
    if (option->required)
        (void)printf(", required)\n");
    else
        print_default(option);
    if (option->help != NULL)
        print_line("     ", option->help);
}

static void
print_text(const struct plugin *plugin, const struct errors *notes)
{
    const struct ss_plugin *record = &plugin->record;

    print_line("name       ", record->name);
    print_line("summary    ", record->summary != NULL ? record->summary : "");
    print_line("file       ", plugin->file);
    (void)printf("%-12s%u\n", "ABI", record->abi);
    print_names("transports", name_transports(record->transports));
    print_names("mixins", name_mixins(record->mixins));
    print_line("processes  ", record->mixins & SS_ONE_PROCESS
                                  ? "one, in whose memory its state is"
                                  : "any number; what is in plain memory is each one's own");
    print_names("hooks", name_hooks(plugin));
    (void)printf("options%s\n", plugin->option_count == 0 ? "     none" : "");
    for (size_t i = 0; i < plugin->option_count; i++)
        print_option(&plugin->options[i]);
    for (size_t i = 0; i < notes->count; i++)
        print_line("note       ", notes->texts[i]);
}

static json_t *
names_json(struct names names)
{
    json_t *array = json_array();

    for (size_t i = 0; i < names.count; i++)
        (void)json_array_append_new(array, json_string(names.names[i]));
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
choices_json(const char *choices)
{
    json_t *array = json_array();

    for (size_t size; *choices != '\0'; choices += size + (choices[size] == ' ')) {
        size = strcspn(choices, " ");
        (void)json_array_append_new(array, json_stringn(choices, size));
    }
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
    if (option_has_range(option)) { /* JSON has no infinity: that end has no member */
        (void)json_object_set_new(object, "min", json_real(option->min));
        (void)json_object_set_new(object, "max", json_real(option->max));
    }
    if (option->type == SS_CHOICE)
        (void)json_object_set_new(object, "choices", choices_json(option->choices));
    return object;
}

static int
print_json(const struct plugin *plugin, const struct errors *notes)
{
    const struct ss_plugin *record = &plugin->record;
    json_t *options = json_array(), *remarks = json_array();

    for (size_t i = 0; i < notes->count; i++)
        (void)json_array_append_new(remarks, json_string(notes->texts[i]));
    for (size_t i = 0; i < plugin->option_count; i++)
        (void)json_array_append_new(options, option_json(&plugin->options[i]));
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:i, s:o, s:o, s:b, s:o, s:o, s:o}", "name", record->name, "summary",
        record->summary != NULL ? record->summary : "", "file", plugin->file, "abi",
        (int)record->abi, "transports", names_json(name_transports(record->transports)), "mixins",
        names_json(name_mixins(record->mixins)), "one_process",
        (record->mixins & SS_ONE_PROCESS) != 0, "hooks", names_json(name_hooks(plugin)), "options",
        options, "notes", remarks);
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
    struct errors errors = {0}, notes = {0};
    struct plugin plugin;
    int status = 0;

    if (plugin_load(plugin_file, &plugin, &errors) < 0) {
        for (size_t i = 0; i < errors.count; i++)
            (void)fprintf(stderr, "sockserverd: %s\n", errors.texts[i]);
        status = 1;
    } else {
        find_notes(&plugin, &notes);
        if (json)
            status = print_json(&plugin, &notes);
        else
            print_text(&plugin, &notes);
    }
    if (fflush(stdout) != 0)
        status = 1;
    errors_done(&errors);
    errors_done(&notes);
    plugin_done(&plugin);
    return status;
}
