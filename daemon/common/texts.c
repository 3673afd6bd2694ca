/* SPDX-License-Identifier: MIT */
/*
 * texts.c - a list of strings: an array that ends with NULL
 *
 * Runs in:  every process.
 * Owns:     nothing: the arrays are the caller's.
 * Failures: NULL, for want of memory.
 */
#include "common/texts.h"

#include <stdlib.h>
#include <string.h>

bool
text_equal(const char *one, const char *other)
{
    return one == NULL || other == NULL ? one == other : strcmp(one, other) == 0;
}

size_t
texts_count(char *const *texts)
{
    size_t count = 0;

    while (texts != NULL && texts[count] != NULL)
        count++;
    return count;
}

bool
texts_equal(char *const *one, char *const *other)
{
    size_t count = texts_count(one);

    if ((one == NULL) != (other == NULL) || count != texts_count(other))
        return false;
    for (size_t i = 0; i < count; i++)
        if (strcmp(one[i], other[i]) != 0)
            return false;
    return true;
}

char **
texts_copy(char *const *texts)
{
    size_t count = texts_count(texts);
    char **copy = calloc(count + 1, sizeof(*copy));

    for (size_t i = 0; copy != NULL && i < count; i++) {
        copy[i] = strdup(texts[i]);
        if (copy[i] == NULL) {
            texts_free(copy);
            return NULL;
        }
    }
    return copy;
}

void
texts_free(char **texts)
{
    for (size_t i = 0; texts != NULL && texts[i] != NULL; i++)
        free(texts[i]);
    free(texts);
}

char **
texts_split(const char *lines)
{
    size_t count = 0;
    char **texts;

    for (const char *at = lines; *at != '\0'; at++)
        count += *at == '\n' || at[1] == '\0';
    texts = calloc(count + 1, sizeof(*texts));
    for (size_t i = 0; texts != NULL && i < count; i++) {
        size_t size = strcspn(lines, "\n");

        texts[i] = strndup(lines, size);
        if (texts[i] == NULL) {
            texts_free(texts);
            return NULL;
        }
        lines += size + (lines[size] == '\n');
    }
    return texts;
}

char *
texts_join(char *const *texts)
{
    size_t count = texts_count(texts), size = 1;
    char *joined, *end;

    for (size_t i = 0; i < count; i++)
        size += strlen(texts[i]) + 1;
    joined = end = malloc(size);
    if (joined == NULL)
        return NULL;
    *end = '\0';
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            end = stpcpy(end, "\n");
        end = stpcpy(end, texts[i]);
    }
    return joined;
}
