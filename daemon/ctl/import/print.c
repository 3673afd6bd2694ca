/* SPDX-License-Identifier: MIT */
/*
 * print.c - the configuration that an import makes, and its notes
 *
 * Runs in:  sockserverctl.
 * Owns:     nothing.
 * Failures: those of the streams, which the caller looks at.
 */
#include <stdlib.h>
#include <string.h>

#include "common/printable.h"
#include "ctl/import/import.h"

/* Keys in the order of enum key; those of a group stand together. */
static const struct {
    const char *group; /* NULL: the listener's own */
    const char *name;
} keys[KEYS] = {
    [KEY_ADDRESS] = {NULL, "address"},
    [KEY_PLUGIN] = {NULL, "plugin"},
    [KEY_MIXIN] = {NULL, "mixin"},
    [KEY_ENABLED] = {NULL, "enabled"},
    [KEY_IPV6_ONLY] = {NULL, "ipv6_only"},
    [KEY_RECEIVE_BUFFER] = {NULL, "receive_buffer"},
    [KEY_SEND_BUFFER] = {NULL, "send_buffer"},
    [KEY_KEEPALIVE] = {NULL, "keepalive"},
    [KEY_MAX_CONNECTIONS] = {NULL, "max_connections"},
    [KEY_ON_FULL] = {NULL, "on_full"},
    [KEY_MAX_PER_SOURCE] = {NULL, "max_per_source"},
    [KEY_RATE] = {NULL, "rate"},
    [KEY_USER] = {NULL, "user"},
    [KEY_GROUP] = {NULL, "group"},
    [KEY_GROUPS] = {NULL, "groups"},
    [KEY_CAPABILITIES] = {NULL, "capabilities"},
    [KEY_SANDBOX] = {NULL, "sandbox"},
    [KEY_NO_NEW_PRIVILEGES] = {NULL, "no_new_privileges"},
    [KEY_UMASK] = {NULL, "umask"},
    [KEY_NICE] = {NULL, "nice"},
    [KEY_ALLOW] = {NULL, "allow"},
    [KEY_DENY] = {NULL, "deny"},
    [KEY_LIMIT_AS] = {"limits", "as"},
    [KEY_LIMIT_CPU] = {"limits", "cpu"},
    [KEY_LIMIT_NOFILE] = {"limits", "nofile"},
    [KEY_LIMIT_STACK] = {"limits", "stack"},
    [OPTION_COMMAND] = {"options", "command"},
    [OPTION_ARGV0] = {"options", "argv0"},
    [OPTION_ARGUMENTS] = {"options", "arguments"},
    [OPTION_DIRECTORY] = {"options", "directory"},
    [OPTION_ENVIRONMENT] = {"options", "environment"},
    [OPTION_PASS_ENVIRONMENT] = {"options", "pass_environment"},
    [OPTION_STDERR] = {"options", "stderr"},
    [OPTION_WAIT] = {"options", "wait"},
    [OPTION_BANNER] = {"options", "banner"},
    [OPTION_TO] = {"options", "to"},
};

static void
indent(FILE *out, int columns)
{
    (void)fprintf(out, "%*s", columns, "");
}

/* A list of several lines keeps its items below each other. */
static void
print_value(FILE *out, const char *value, int columns)
{
    for (; *value != '\0'; value++) {
        (void)fputc(*value, out);
        if (*value == '\n')
            indent(out, value[1] == ']' ? columns : columns + 4);
    }
}

/* Prints the keys of one group, their values below each other. */
static void
print_group(FILE *out, const struct listener *listener, const char *group, int columns)
{
    int width = 0;

    for (int key = 0; key < KEYS; key++)
        if (keys[key].group == group && listener->values[key] != NULL &&
            (int)strlen(keys[key].name) > width)
            width = (int)strlen(keys[key].name);
    if (group != NULL && width > 0)
        (void)fprintf(out, "        %s = {\n", group);
    for (int key = 0; key < KEYS; key++) {
        if (keys[key].group != group || listener->values[key] == NULL)
            continue;
        indent(out, columns);
        (void)fprintf(out, "%-*s = ", width, keys[key].name);
        print_value(out, listener->values[key], columns);
        (void)fputs(";\n", out);
    }
    if (group != NULL && width > 0)
        (void)fputs("        };\n", out);
}

static void
print_comment(FILE *out, const struct listener *listener)
{
    (void)fputs("\n    # ", out);
    printable_put(out, listener->place.file);
    (void)fprintf(out, ":%u", listener->place.line);
    if (listener->left_out != NULL) {
        (void)fprintf(out, ": %s is left out: ", listener->name);
        printable_put(out, listener->left_out);
    }
    (void)fputc('\n', out);
}

void
import_print(const struct import *import, FILE *out)
{
    const char *limits = keys[KEY_LIMIT_AS].group, *options = keys[OPTION_COMMAND].group;

    (void)fputs("# Made by sockserverctl import, which has said on standard error what became of\n"
                "# each line. Compare with sockserverd.conf(5) and sockserverd-exec(7), and try\n"
                "# it with sockserverd --check. What hosts.allow and hosts.deny say is not in it.\n"
                "\n"
                "listeners = {",
                out);
    for (const struct listener *at = import->listeners; at != NULL; at = at->next) {
        print_comment(out, at);
        if (at->left_out != NULL)
            continue;
        (void)fprintf(out, "    %s = {\n", at->name);
        print_group(out, at, NULL, 8);
        print_group(out, at, limits, 12);
        print_group(out, at, options, 12);
        (void)fputs("    };\n", out);
    }
    (void)fputs(import->listeners == NULL ? " };\n" : "};\n", out);
}

static int
compare_notes(const void *one, const void *other)
{
    const struct note *a = one, *b = other;

    if (a->place.order != b->place.order)
        return a->place.order < b->place.order ? -1 : 1;
    if (a->place.line != b->place.line)
        return a->place.line < b->place.line ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

void
import_print_notes(struct import *import, FILE *out)
{
    if (import->note_count > 0)
        qsort(import->notes, import->note_count, sizeof(*import->notes), compare_notes);
    for (size_t i = 0; i < import->note_count; i++) {
        const struct note *note = &import->notes[i];
        printable_put(out, note->place.file);
        (void)fprintf(out, ":%u: ", note->place.line);
        printable_put(out, note->text);
        (void)fputc('\n', out);
    }
}
