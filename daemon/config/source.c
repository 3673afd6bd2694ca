/* SPDX-License-Identifier: MIT */
/*
 * source.c - looks through the text of a configuration file
 *
 * This file knows just enough of libconfig's language: comments, strings,
 * @include, names, numbers and brackets. libconfig reports mistakes in the
 * grammar. The text that libconfig gets holds each included file in place of
 * the directive.
 *
 * Runs in:  the process that reads the configuration (supervisor/change/load.c).
 * Owns:     everything in struct source, until source_done().
 * Failures: mistakes go to struct errors.
 */
#include "config/source.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

#define DEEPEST_INCLUDE  10u
#define MOST_INCLUDES    1000u
#define DEEPEST_BRACKETS 1000u
#define MOST_ITEMS       100000u /* of a list; the places of later ones are libconfig's guess */

/* libconfig compares each name of a group with all before it, which takes minutes without bounds.
 */
#define MOST_IN_GROUP 2000u
#define MOST_SETTINGS 20000u

#define INCLUDE "@include"

/* One file that is being looked through. */
struct cursor {
    struct source *source;
    struct errors *errors;
    const struct cursor *includer; /* NULL: the first file */
    const char *file;
    const char *at;
    const char *taken; /* what stands before it has been appended to the source's text */
    unsigned line;
    char name[SOURCE_NAME]; /* the last name, until its value has come; an item's is "[0]" */
    unsigned name_line;
    bool value; /* "=" was seen behind the name */
    bool fresh; /* nothing but blanks yet in this line */
};

static int look_through(struct source *source, const struct cursor *includer, const char *file,
                        const char *text, struct errors *errors);

static void
note_place(struct source_place *place, const char *file, unsigned line, char bracket)
{
    if (place->line == 0) /* the first is the cause */
        *place = (struct source_place){.file = file, .line = line, .bracket = bracket};
}

/* Records the setting whose value begins here; number may be NULL. */
static int
add_entry(struct cursor *cursor, const char *number)
{
    if (*cursor->name == '\0')
        return 0;
    return source_add_entry(cursor->source, cursor->name, cursor->file, cursor->name_line, number);
}

static void
forget_name(struct cursor *cursor)
{
    cursor->name[0] = '\0';
    cursor->value = false;
}

/* A value that begins in a list is the list's next item: its number stands for a name. */
static void
name_item(struct cursor *cursor)
{
    struct source *source = cursor->source;
    struct source_bracket *list = source->depth == 0 ? NULL : &source->brackets[source->depth - 1];

    if (list == NULL || list->bracket == '{' || list->begun || list->item >= MOST_ITEMS)
        return;
    list->begun = true;
    (void)snprintf(cursor->name, sizeof(cursor->name), "[%u]", list->item);
    cursor->name_line = cursor->line;
    cursor->value = true;
}

static void
end_item(struct source *source)
{
    struct source_bracket *list = source->depth == 0 ? NULL : &source->brackets[source->depth - 1];

    if (list == NULL || list->bracket == '{' || !list->begun)
        return;
    list->begun = false;
    list->item++;
}

static int
refuse(const struct cursor *cursor, unsigned line, const char *why)
{
    errors_add(cursor->errors, cursor->file, line, "%s", why);
    return -EINVAL;
}

static int
take_string(struct cursor *cursor)
{
    unsigned first = cursor->line;
    int r = 0;

    name_item(cursor);
    for (cursor->at++; *cursor->at != '\0' && *cursor->at != '"'; cursor->at++) {
        if (*cursor->at == '\\' && cursor->at[1] != '\0')
            cursor->at++;
        cursor->line += *cursor->at == '\n';
    }
    if (cursor->line != first || *cursor->at == '\0')
        note_place(&cursor->source->long_string, cursor->file, first, '"');
    if (*cursor->at == '"')
        cursor->at++;
    else if (cursor->includer != NULL) /* it must not go on in the file that includes this one */
        return refuse(cursor, first,
                      "a quote (\") is missing: the text that begins here never ends");
    if (cursor->value)
        r = add_entry(cursor, NULL);
    forget_name(cursor);
    return r;
}

static int
take_block_comment(struct cursor *cursor)
{
    unsigned first = cursor->line;

    for (cursor->at += 2; *cursor->at != '\0'; cursor->at++) {
        cursor->line += *cursor->at == '\n';
        if (cursor->at[0] == '*' && cursor->at[1] == '/') {
            cursor->at += 2;
            return 0;
        }
    }
    return refuse(cursor, first, "the comment that begins here is never closed: */ is missing");
}

static bool
is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '*';
}

static int
take_name(struct cursor *cursor)
{
    const char *start = cursor->at;
    size_t length;
    int r = 0;

    while (is_name(*cursor->at))
        cursor->at++;
    length = (size_t)(cursor->at - start);
    name_item(cursor);
    if (cursor->value) { /* true, false, or a mistake */
        r = add_entry(cursor, NULL);
        forget_name(cursor);
        return r;
    }
    cursor->name[0] = '\0';
    if (length < SOURCE_NAME)
        *(char *)mempcpy(cursor->name, start, length) = '\0';
    cursor->name_line = cursor->line;
    return 0;
}

/* True if libconfig reads the number, written without its suffix "L", as it stands. */
static bool
is_trusted(const char *number)
{
    bool hex = strncasecmp(number, "0x", 2) == 0;
    intmax_t value;
    char *end;

    errno = 0;
    value = strtoimax(number, &end, hex ? 16 : 10);
    return *end == '\0' && errno == 0 && value >= INT32_MIN && value <= INT32_MAX;
}

static int
take_number(struct cursor *cursor)
{
    const char *start = cursor->at;
    char number[SOURCE_NAME];
    size_t length;
    int r;

    name_item(cursor);
    cursor->at += *cursor->at == '-' || *cursor->at == '+';
    while (isalnum((unsigned char)*cursor->at) || *cursor->at == '.' ||
           ((*cursor->at == '-' || *cursor->at == '+') && strchr("eE", cursor->at[-1]) != NULL))
        cursor->at++;
    length = (size_t)(cursor->at - start);
    if (!cursor->value)
        return 0;
    while (length > 1 && start[length - 1] == 'L')
        length--;
    if (length >= sizeof(number))
        length = sizeof(number) - 1;
    *(char *)mempcpy(number, start, length) = '\0';
    r = add_entry(cursor, is_trusted(number) ? NULL : number);
    forget_name(cursor);
    return r;
}

static int
open_bracket(struct cursor *cursor, char bracket)
{
    struct source *source = cursor->source;

    name_item(cursor);
    bool named = cursor->value && *cursor->name != '\0';
    int r = cursor->value ? add_entry(cursor, NULL) : 0;

    if (source->depth >= DEEPEST_BRACKETS) {
        errors_add(cursor->errors, cursor->file, cursor->line,
                   "brackets are nested more than %u deep", DEEPEST_BRACKETS);
        return -EINVAL;
    }
    if (named && source->depth < SOURCE_DEPTH)
        strcpy(source->names[source->depth], cursor->name);
    source->brackets[source->depth++] =
        (struct source_bracket){.line = cursor->line, .bracket = bracket, .named = named};
    forget_name(cursor);
    return r;
}

static int
close_bracket(struct cursor *cursor, char bracket)
{
    struct source *source = cursor->source;

    forget_name(cursor);
    if (source->depth == 0)
        note_place(&source->stray_bracket, cursor->file, cursor->line, bracket);
    else
        source->depth--;
    return 0;
}

/* Counts a setting that has got its value. Too many settings are a mistake, and -EINVAL is
 * returned. */
static int
count_setting(struct cursor *cursor)
{
    struct source *source = cursor->source;
    unsigned *in_group =
        source->depth == 0 ? &source->outside : &source->brackets[source->depth - 1].settings;

    if (++*in_group > MOST_IN_GROUP) {
        errors_add(cursor->errors, cursor->file, cursor->line,
                   "more than %u settings in one group; nothing behind this was read",
                   MOST_IN_GROUP);
        return -EINVAL;
    }
    if (++source->settings > MOST_SETTINGS) {
        errors_add(cursor->errors, cursor->file, cursor->line,
                   "more than %u settings in one file; nothing behind this was read",
                   MOST_SETTINGS);
        return -EINVAL;
    }
    return 0;
}

/* ---- @include ------------------------------------------------------------------------------- */

static int
check_text(const char *file, const char *text, size_t size, struct errors *errors)
{
    unsigned line = 1;

    if (strlen(text) != size) {
        for (const char *at = text; *at != '\0'; at++)
            line += *at == '\n';
        errors_add(errors, file, line, "holds a NUL byte; expected text");
        return -EINVAL;
    }
    if (strncmp(text, "\xef\xbb\xbf", 3) == 0) {
        errors_add(errors, file, 1,
                   "begins with a byte order mark; save the file as UTF-8 without one");
        return -EINVAL;
    }
    return 0;
}

/* Returns the name behind @include, which the caller frees. NULL without memory, or with errno
 * EINVAL if no whole directive stands here. */
static char *
include_name(const char *at, const char **ret_end)
{
    const char *start = at + strlen(INCLUDE), *end;

    errno = EINVAL;
    start += strspn(start, " \t");
    if (*start != '"')
        return NULL;
    end = start + 1 + strcspn(start + 1, "\"\n");
    if (*end != '"' || end == start + 1)
        return NULL;
    *ret_end = end + 1;
    return strndup(start + 1, (size_t)(end - start - 1));
}

/* Returns the path of an included file, as seen from where the daemon was started; the caller
 * frees it. */
static char *
included_path(const struct source *source, const char *name)
{
    char *path;

    if (*name == '/')
        return strdup(name);
    return asprintf(&path, "%s%s", source->folder, name) < 0 ? NULL : path;
}

/* Returns why the file cannot be included here, before it is opened; or NULL. */
static const char *
include_obstacle(const struct cursor *cursor, const char *file)
{
    for (const struct cursor *open = cursor; open != NULL; open = open->includer)
        if (strcmp(open->file, file) == 0)
            return "the files include each other";
    if (cursor->source->include_depth >= DEEPEST_INCLUDE)
        return "the files are included more than 10 deep";
    if (cursor->source->include_count >= MOST_INCLUDES)
        return "more than 1000 files are included";
    return NULL;
}

static int
include_file(struct cursor *cursor, const char *name)
{
    struct source *source = cursor->source;
    _cleanup_free_ char *path = included_path(source, name), *text = NULL;
    const char *file = path == NULL ? NULL : source_keep_name(source, path), *obstacle;
    size_t size = 0;
    int r = 0;

    if (file == NULL)
        return -ENOMEM;
    obstacle = include_obstacle(cursor, file);
    if (obstacle == NULL && (r = source_read(file, &text, &size)) < 0)
        obstacle = source_problem(r);
    if (obstacle == NULL && source->size + size > SOURCE_LARGEST)
        obstacle = "all included files together are larger than " SOURCE_LARGEST_TEXT;
    if (r == -ENOMEM)
        return r;
    if (obstacle != NULL) {
        errors_add(cursor->errors, cursor->file, cursor->line,
                   "@include \"%s\": cannot read %s: %s", name, file, obstacle);
        return -EINVAL;
    }
    source->include_count++;
    source->include_depth++;
    r = check_text(file, text, size, cursor->errors);
    if (r == 0)
        r = look_through(source, cursor, file, text, cursor->errors);
    source->include_depth--;
    return r;
}

/* Appends to the text what has been looked at since the last call. */
static int
take_text(struct cursor *cursor)
{
    int r = source_append(cursor->source, cursor->taken, (size_t)(cursor->at - cursor->taken));

    cursor->taken = cursor->at;
    return r;
}

/* Puts the file in the directive's place in the text. */
static int
take_include(struct cursor *cursor)
{
    const char *end = NULL;
    _cleanup_free_ char *name = include_name(cursor->at, &end);
    int r;

    if (name == NULL && errno == EINVAL)
        return refuse(cursor, cursor->line,
                      "@include: expected the name of a file in quotes, on the same line");
    if (name == NULL)
        return -ENOMEM;
    r = take_text(cursor);
    if (r == 0)
        r = include_file(cursor, name);
    if (r == 0)
        r = source_append(cursor->source, "\n", 1);
    if (r == 0)
        r = source_begin_piece(cursor->source, cursor->file, cursor->line);
    cursor->at = cursor->taken = end;
    cursor->fresh = false;
    return r;
}

/* ---- tokens --------------------------------------------------------------------------------- */

static int
take_other(struct cursor *cursor)
{
    char c = *cursor->at++;

    if (c == '=' || c == ':') {
        cursor->value = *cursor->name != '\0' || cursor->value;
        return count_setting(cursor);
    }
    if (c == '{' || c == '(' || c == '[')
        return open_bracket(cursor, c);
    if (c == '}' || c == ')' || c == ']')
        return close_bracket(cursor, c);
    if (c == ',')
        end_item(cursor->source);
    else if (!isspace((unsigned char)c))
        forget_name(cursor);
    cursor->line += c == '\n';
    return 0;
}

static int
take_token(struct cursor *cursor)
{
    const char *at = cursor->at;

    if (cursor->fresh && strncmp(at, INCLUDE, strlen(INCLUDE)) == 0)
        return take_include(cursor);
    if (*at == '\n')
        cursor->fresh = true;
    else if (*at != ' ' && *at != '\t')
        cursor->fresh = false;
    if (*at == '#' || (at[0] == '/' && at[1] == '/')) {
        cursor->at += strcspn(at, "\n");
        return 0;
    }
    if (at[0] == '/' && at[1] == '*')
        return take_block_comment(cursor);
    if (*at == '"')
        return take_string(cursor);
    if (isalpha((unsigned char)*at) || *at == '*')
        return take_name(cursor);
    if (isdigit((unsigned char)*at) || *at == '-' || *at == '+' || *at == '.')
        return take_number(cursor);
    return take_other(cursor);
}

static int
look_through(struct source *source, const struct cursor *includer, const char *file,
             const char *text, struct errors *errors)
{
    struct cursor cursor = {
        .source = source,
        .errors = errors,
        .includer = includer,
        .file = file,
        .at = text,
        .taken = text,
        .line = 1,
        .fresh = true,
    };
    int r = source_begin_piece(source, file, 1);

    while (r == 0 && *cursor.at != '\0')
        r = take_token(&cursor);
    return r == 0 ? take_text(&cursor) : r;
}

/* ---- the whole ------------------------------------------------------------------------------ */

/* Returns FILE's folder with its slash, or "" for a plain name; the caller frees it. */
static char *
folder_of(const char *file)
{
    const char *slash = strrchr(file, '/');

    return strndup(file, slash == NULL ? 0 : (size_t)(slash - file) + 1);
}

static int
read_everything(struct source *source, struct errors *errors)
{
    _cleanup_free_ char *text = NULL;
    const char *name = source_keep_name(source, source->name);
    size_t size;
    int r = name == NULL ? -ENOMEM : source_read(name, &text, &size);

    if (r < 0 && r != -ENOMEM) {
        errors_add(errors, name, 0, "cannot read the configuration: %s%s", source_problem(r),
                   r == -ENOENT ? "; -c FILE names another" : "");
        return -EINVAL;
    }
    if (r == 0)
        r = check_text(name, text, size, errors);
    if (r == 0)
        r = look_through(source, NULL, name, text, errors);
    if (r == 0 && source->depth > 0)
        note_place(&source->open_bracket, name, source->brackets[source->depth - 1].line,
                   source->brackets[source->depth - 1].bracket);
    return r == 0 ? source_sort_entries(source) : r;
}

int
source_open(struct source *source, const char *name, struct errors *errors)
{
    *source = (struct source){.name = strdup(name), .folder = folder_of(name), .lines = 1};
    source->brackets = calloc(DEEPEST_BRACKETS, sizeof(*source->brackets));
    if (source->name == NULL || source->folder == NULL || source->brackets == NULL)
        return -ENOMEM;
    return read_everything(source, errors);
}

void
source_done(struct source *source)
{
    source_free_entries(source);
    for (size_t i = 0; i < source->file_count; i++)
        free(source->files[i]);
    free(source->files);
    free(source->pieces);
    free(source->brackets);
    free(source->name);
    free(source->folder);
    free(source->text);
    *source = (struct source){0};
}
