/* SPDX-License-Identifier: MIT */
/*
 * mutate.c - files that somebody might have written, spoilt
 *
 * Owns:     nothing.
 * Failures: without memory, the test program aborts.
 */
#include "support/mutate.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/array.h"
#include "common/cleanup.h"

/* What is at work on one file. */
struct mutation {
    const struct text *originals;
    size_t count;
    struct text text;
    unsigned seed;
};

/* A part of some text. */
struct part {
    size_t at, size;
};

static size_t
pick(struct mutation *mutation, size_t choices)
{
    return choices == 0 ? 0 : (size_t)rand_r(&mutation->seed) % choices;
}

static const struct text *
pick_original(struct mutation *mutation)
{
    return &mutation->originals[pick(mutation, mutation->count)];
}

/* The bytes of an empty text may be NULL. */
static char *
append(char *end, const char *bytes, size_t size)
{
    return size == 0 ? end : mempcpy(end, bytes, size);
}

static void
replace(struct text *text, struct part part, const char *with, size_t size)
{
    size_t behind = part.at + part.size;
    char *bytes = malloc(text->size - part.size + size + 1), *end = bytes;

    if (bytes == NULL)
        abort();
    end = append(end, text->bytes, part.at);
    end = append(end, with, size);
    end = append(end, text->bytes + (text->bytes == NULL ? 0 : behind), text->size - behind);
    *end = '\0';
    free(text->bytes);
    text->bytes = bytes;
    text->size = (size_t)(end - bytes);
}

/* ---- parts ------------------------------------------------------------------------------ */

static bool
is_word(char c)
{
    return isalnum((unsigned char)c) || (c != '\0' && strchr("_-.:/@*", c) != NULL);
}

/* The token that begins there: white space, a word, text in quotes, or one character. */
static struct part
token_at(const struct text *text, size_t at)
{
    size_t end = at + 1;
    char c = text->bytes[at];

    if (c == '"') {
        while (end < text->size && text->bytes[end] != '"' && text->bytes[end] != '\n')
            end++;
        end += end < text->size && text->bytes[end] == '"';
    } else if (is_word(c)) {
        while (end < text->size && is_word(text->bytes[end]))
            end++;
    }
    return (struct part){at, end - at};
}

static struct part
line_at(const struct text *text, size_t at)
{
    size_t end = at;

    while (at > 0 && text->bytes[at - 1] != '\n')
        at--;
    while (end < text->size && text->bytes[end] != '\n')
        end++;
    end += end < text->size;
    return (struct part){at, end - at};
}

/* A token that is no white space, size 0 if the text ends before there is one. */
static struct part
some_token(struct mutation *mutation, const struct text *text)
{
    size_t at = pick(mutation, text->size);

    while (at > 0 && at < text->size && is_word(text->bytes[at - 1]))
        at--;
    while (at < text->size && isspace((unsigned char)text->bytes[at]))
        at++;
    return at < text->size ? token_at(text, at) : (struct part){at, 0};
}

static struct part
some_line(struct mutation *mutation, const struct text *text)
{
    return line_at(text, pick(mutation, text->size));
}

/* What stands behind some "=". */
static struct part
some_value(struct mutation *mutation, const struct text *text)
{
    size_t start = pick(mutation, text->size), at = start;

    while (at < text->size && text->bytes[at] != '=')
        at++;
    at += at < text->size;
    while (at < text->size && isspace((unsigned char)text->bytes[at]))
        at++;
    return at < text->size ? token_at(text, at) : (struct part){at, 0};
}

/* ---- changes ---------------------------------------------------------------------------- */

static void
change_byte(struct mutation *mutation)
{
    static const char alphabet[] = "{}()[]=:;,\"#/*\\@-+.0123456789eLxon \n\t\r\x01\x7f\xff\xc3";
    struct text *text = &mutation->text;
    char byte = pick(mutation, 4) == 0 ? (char)pick(mutation, 256)
                                       : alphabet[pick(mutation, sizeof(alphabet) - 1)];
    struct part part = {pick(mutation, text->size + 1), pick(mutation, 2)};

    if (part.at + part.size > text->size)
        part.size = 0;
    replace(text, part, &byte, pick(mutation, 4) == 0 ? 0 : 1);
}

/* Lost, twice, or another one in its place. */
static void
change_part(struct mutation *mutation,
            struct part (*some)(struct mutation *mutation, const struct text *text))
{
    struct text *text = &mutation->text;
    const struct text *other = pick_original(mutation);
    struct part here = some(mutation, text), there = some(mutation, other);
    _cleanup_free_ char *copy = NULL;

    switch (pick(mutation, 3)) {
    case 0:
        replace(text, here, "", 0);
        break;
    case 1:
        copy = strndup(text->bytes + here.at, here.size);
        if (copy == NULL)
            abort();
        here.size = 0;
        replace(text, here, copy, strlen(copy));
        break;
    default:
        replace(text, here, other->bytes + there.at, there.size);
    }
}

static void
change_token(struct mutation *mutation)
{
    change_part(mutation, some_token);
}

static void
change_line(struct mutation *mutation)
{
    change_part(mutation, some_line);
}

/* Two values of the file change places, or one becomes what no key takes. */
static void
change_value(struct mutation *mutation)
{
    static const char *const strange[] = {
        "0",
        "-1",
        "4294967296",
        "99999999999999999999",
        "1e308",
        "0x7fffffff",
        "\"\"",
        "\"%s\"",
        "{ }",
        "( )",
        "[ ]",
        "true",
        "\"none\"",
        "1L",
        ".5",
        "\"\\\\\"",
        "\"\xe2\x80\xae\"",
    };
    struct text *text = &mutation->text;
    struct part one = some_value(mutation, text), other = some_value(mutation, text);
    _cleanup_free_ char *first = strndup(text->bytes + one.at, one.size),
                        *second = strndup(text->bytes + other.at, other.size);

    if (first == NULL || second == NULL)
        abort();
    if (pick(mutation, 2) == 0 || one.at == other.at) {
        const char *value = strange[pick(mutation, ARRAY_SIZE(strange))];
        replace(text, one, value, strlen(value));
    } else if (one.at < other.at) { /* the later one first: the other's place stays right */
        replace(text, other, first, strlen(first));
        replace(text, one, second, strlen(second));
    } else {
        replace(text, one, second, strlen(second));
        replace(text, other, first, strlen(first));
    }
}

/* Neighbours give numbers that have nothing in common. */
static unsigned
scatter(unsigned seed)
{
    seed = (seed ^ seed >> 16) * 0x7feb352dU;
    seed = (seed ^ seed >> 15) * 0x846ca68bU;
    return seed ^ seed >> 16;
}

struct text
mutate(const struct text *originals, size_t count, unsigned seed)
{
    static void (*const changes[])(struct mutation * mutation) = {change_byte, change_token,
                                                                  change_line, change_value};
    struct mutation mutation = {.originals = originals, .count = count, .seed = scatter(seed)};
    const struct text *original = pick_original(&mutation);

    replace(&mutation.text, (struct part){0, 0}, original->bytes, original->size);
    for (size_t i = 1 + pick(&mutation, 2) * pick(&mutation, 4); i > 0; i--)
        changes[pick(&mutation, ARRAY_SIZE(changes))](&mutation);
    return mutation.text;
}
