/* SPDX-License-Identifier: MIT */
/*
 * source.c - looks through the text of a configuration file
 *
 * Knows just enough of libconfig's language: comments, strings, @include,
 * names, numbers and brackets. What is wrong with the grammar is left for
 * libconfig to say.
 *
 * Runs in:  the supervisor, at start and reload.
 * Owns:     everything in struct source, until source_done().
 * Failures: mistakes go to struct errors.
 */
#include "config/source.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"

#define LARGEST_FILE     (16u << 20)
#define DEEPEST_INCLUDE  10u /* libconfig's own limit */
#define MOST_INCLUDES    1000u
#define DEEPEST_BRACKETS 1000u
#define MOST_ITEMS       100000u /* of a list; the places of later ones are libconfig's guess */

/* One file being looked through. */
struct cursor {
    struct source *source;
    struct errors *errors;
    const char *file;
    const char *at;
    unsigned line;
    char name[SOURCE_NAME]; /* the last name, until its value has come; an item's is "[0]" */
    unsigned name_line;
    bool value; /* "=" was seen behind the name */
    bool fresh; /* nothing but blanks yet in this line */
};

static int look_through(struct source *source, const char *file, const char *text,
                        struct errors *errors);

static int
read_all(int fd, char **ret_text, size_t *ret_size)
{
    _cleanup_free_ char *text = NULL;
    size_t size = 0, room = 0;

    for (;;) {
        ssize_t n;

        if (room - size < 2) {
            char *more = realloc(text, room = room * 2 + 4096);

            if (more == NULL)
                return -ENOMEM;
            text = more;
        }
        n = read(fd, text + size, room - size - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        size += (size_t)n;
        if (size > LARGEST_FILE)
            return -EFBIG;
    }
    text[size] = '\0';
    *ret_text = take_pointer(text);
    *ret_size = size;
    return 0;
}

int
source_read(const char *name, bool regular, char **ret_text, size_t *ret_size)
{
    /* A FIFO that nobody writes to is empty: nobody could interrupt the wait for a writer. */
    _cleanup_close_ int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0 || fcntl(fd, F_SETFL, 0) < 0)
        return -errno;
    if (S_ISDIR(status.st_mode))
        return -EISDIR;
    if (regular && !S_ISREG(status.st_mode))
        return -EINVAL;
    return read_all(fd, ret_text, ret_size);
}

static int
note_place(struct source_place *place, const char *file, unsigned line, char bracket)
{
    if (place->line != 0)
        return 0; /* the first is the cause */
    place->file = strdup(file);
    place->line = line;
    place->bracket = bracket;
    return place->file == NULL ? -ENOMEM : 0;
}

/* "listeners.upper.spare", or NULL with errno 0 where the place has no such path. */
static char *
path_of(const struct source *source, const char *name)
{
    size_t size = SOURCE_NAME;
    char *path, *end;

    errno = 0;
    if (source->depth >= SOURCE_DEPTH)
        return NULL;
    for (size_t i = 0; i < source->depth; i++)
        if (!source->brackets[i].named)
            return NULL;
    size += source->depth * SOURCE_NAME;
    path = end = malloc(size);
    if (path == NULL)
        return NULL;
    for (size_t i = 0; i < source->depth; i++)
        end = stpcpy(stpcpy(end, source->names[i]), ".");
    strcpy(end, name);
    return path;
}

/* Records the setting whose value begins here; number may be NULL. */
static int
add_entry(struct cursor *cursor, const char *number)
{
    struct source *source = cursor->source;
    struct source_entry entry = {.line = cursor->name_line}, *entries;

    if (*cursor->name == '\0')
        return 0;
    entry.path = path_of(source, cursor->name);
    if (entry.path == NULL)
        return errno == 0 ? 0 : -ENOMEM;
    entry.file = strdup(cursor->file);
    entry.number = number == NULL ? NULL : strdup(number);
    entries = reallocarray(source->entries, source->entry_count + 1, sizeof(entry));
    if (entries != NULL)
        source->entries = entries;
    if (entries == NULL || entry.file == NULL || (number != NULL && entry.number == NULL)) {
        free(entry.path);
        free(entry.file);
        free(entry.number);
        return -ENOMEM;
    }
    source->entries[source->entry_count++] = entry;
    return 0;
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
        r = note_place(&cursor->source->long_string, cursor->file, first, '"');
    if (*cursor->at == '"')
        cursor->at++;
    if (r == 0 && cursor->value)
        r = add_entry(cursor, NULL);
    forget_name(cursor);
    return r;
}

static void
take_block_comment(struct cursor *cursor)
{
    for (cursor->at += 2; *cursor->at != '\0'; cursor->at++) {
        cursor->line += *cursor->at == '\n';
        if (cursor->at[0] == '*' && cursor->at[1] == '/') {
            cursor->at += 2;
            return;
        }
    }
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

/* Whether libconfig would read another number than this one, written without its suffix "L". */
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
        return note_place(&source->stray_bracket, cursor->file, cursor->line, bracket);
    source->depth--;
    return 0;
}

/* The name behind @include, if a whole directive stands here. To free. */
static char *
include_name(const char *at)
{
    const char *start = at + strlen("@include"), *end;

    start += strspn(start, " \t");
    if (*start != '"')
        return NULL;
    end = start + 1 + strcspn(start + 1, "\"\n");
    return *end == '"' ? strndup(start + 1, (size_t)(end - start - 1)) : NULL;
}

static const char *
include_problem(int error)
{
    return error == -EINVAL ? "not a regular file" : strerror(-error);
}

static int
include_file(struct cursor *cursor, const char *name)
{
    struct source *source = cursor->source;
    _cleanup_free_ char *file = source_file(source, name), *text = NULL;
    size_t size;
    int r;

    if (file == NULL)
        return -ENOMEM;
    if (source->include_depth >= DEEPEST_INCLUDE || source->include_count >= MOST_INCLUDES) {
        errors_add(cursor->errors, cursor->file, cursor->line,
                   "@include \"%s\": files include each other, or more than %u deep", name,
                   DEEPEST_INCLUDE);
        return -EINVAL;
    }
    r = source_read(file, true, &text, &size);
    if (r == -ENOMEM)
        return r;
    if (r < 0) {
        errors_add(cursor->errors, cursor->file, cursor->line,
                   "@include \"%s\": cannot read %s: %s", name, file, include_problem(r));
        return -EINVAL;
    }
    source->include_count++;
    source->include_depth++;
    r = look_through(source, file, text, cursor->errors);
    source->include_depth--;
    return r;
}

static int
take_include(struct cursor *cursor)
{
    _cleanup_free_ char *name = NULL;
    int r;

    errno = 0;
    name = include_name(cursor->at);
    if (name == NULL)
        r = -errno; /* no whole directive is libconfig's to refuse */
    else
        r = include_file(cursor, name);
    cursor->at += strcspn(cursor->at, "\n");
    return r;
}

static int
take_other(struct cursor *cursor)
{
    char c = *cursor->at++;

    if (c == '=' || c == ':')
        cursor->value = *cursor->name != '\0' || cursor->value;
    else if (c == '{' || c == '(' || c == '[')
        return open_bracket(cursor, c);
    else if (c == '}' || c == ')' || c == ']')
        return close_bracket(cursor, c);
    else if (c == ',')
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

    if (*at == '\n')
        cursor->fresh = true;
    else if (*at != ' ' && *at != '\t' && *at != '@')
        cursor->fresh = false;
    if (*at == '#' || (at[0] == '/' && at[1] == '/')) {
        cursor->at += strcspn(at, "\n");
        return 0;
    }
    if (at[0] == '/' && at[1] == '*') {
        take_block_comment(cursor);
        return 0;
    }
    if (*at == '"')
        return take_string(cursor);
    if (cursor->fresh && strncmp(at, "@include", strlen("@include")) == 0)
        return take_include(cursor);
    if (isalpha((unsigned char)*at) || *at == '*')
        return take_name(cursor);
    if (isdigit((unsigned char)*at) || *at == '-' || *at == '+' || *at == '.')
        return take_number(cursor);
    return take_other(cursor);
}

static int
look_through(struct source *source, const char *file, const char *text, struct errors *errors)
{
    struct cursor cursor = {
        .source = source, .errors = errors, .file = file, .at = text, .line = 1, .fresh = true};
    int r = 0;

    while (r == 0 && *cursor.at != '\0')
        r = take_token(&cursor);
    return r;
}

/* FILE's folder with its slash; "" for a plain name. */
static char *
folder_of(const char *file)
{
    const char *slash = strrchr(file, '/');

    return strndup(file, slash == NULL ? 0 : (size_t)(slash - file) + 1);
}

static int
check_text(const struct source *source, struct errors *errors)
{
    if (strlen(source->text) != source->size) {
        errors_add(errors, source->name, 0, "holds a NUL byte; expected text");
        return -EINVAL;
    }
    if (strncmp(source->text, "\xef\xbb\xbf", 3) == 0) {
        errors_add(errors, source->name, 1,
                   "begins with a byte order mark; save the file as UTF-8 without one");
        return -EINVAL;
    }
    return 0;
}

static int
compare_paths(const void *one, const void *other)
{
    const struct source_entry *const *a = one, *const *b = other;

    return strcmp((*a)->path, (*b)->path);
}

static int
sort_entries(struct source *source)
{
    if (source->entry_count == 0)
        return 0;
    source->by_path = calloc(source->entry_count, sizeof(*source->by_path));
    if (source->by_path == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < source->entry_count; i++)
        source->by_path[i] = &source->entries[i];
    qsort(source->by_path, source->entry_count, sizeof(*source->by_path), compare_paths);
    return 0;
}

int
source_open(struct source *source, const char *name, struct errors *errors)
{
    int r;

    *source = (struct source){.name = strdup(name), .folder = folder_of(name)};
    source->brackets = calloc(DEEPEST_BRACKETS, sizeof(*source->brackets));
    if (source->name == NULL || source->folder == NULL || source->brackets == NULL)
        return -ENOMEM;
    r = source_read(name, false, &source->text, &source->size);
    if (r < 0) {
        errors_add(errors, name, 0, "cannot read the configuration: %s", strerror(-r));
        return r == -ENOMEM ? r : -EINVAL;
    }
    r = check_text(source, errors);
    if (r == 0)
        r = look_through(source, name, source->text, errors);
    if (r == 0 && source->depth > 0)
        r = note_place(&source->open_bracket, name, source->brackets[source->depth - 1].line,
                       source->brackets[source->depth - 1].bracket);
    return r == 0 ? sort_entries(source) : r;
}

void
source_done(struct source *source)
{
    for (size_t i = 0; i < source->entry_count; i++) {
        free(source->entries[i].path);
        free(source->entries[i].file);
        free(source->entries[i].number);
    }
    free(source->entries);
    free(source->by_path);
    free(source->open_bracket.file);
    free(source->stray_bracket.file);
    free(source->long_string.file);
    free(source->brackets);
    free(source->name);
    free(source->folder);
    free(source->text);
    *source = (struct source){0};
}

char *
source_file(const struct source *source, const char *included)
{
    char *file;

    if (included == NULL)
        return strdup(source->name);
    if (*included == '/')
        return strdup(included);
    return asprintf(&file, "%s%s", source->folder, included) < 0 ? NULL : file;
}

const struct source_entry *
source_find(const struct source *source, const char *path)
{
    const struct source_entry wanted = {.path = (char *)path}, *key = &wanted, **found;

    if (source->entry_count == 0)
        return NULL;
    found = bsearch(&key, source->by_path, source->entry_count, sizeof(*found), compare_paths);
    return found == NULL ? NULL : *found;
}

const char *
source_number(const struct source *source, const char *path)
{
    const struct source_entry *entry = source_find(source, path);

    return entry == NULL ? NULL : entry->number;
}
