/* SPDX-License-Identifier: MIT */
/*
 * weights.c - the fields Accept and Accept-Encoding, item by item
 *
 * Runs in:  a handler.
 * Owns:     nothing.
 * Failures: an item with a mistake in its weight is one that is not wanted.
 */
#include "weights.h"

#include <string.h>
#include <strings.h>

/* "q=1", "q=0.25": in thousandths; 0 if it is no weight. */
static int
parse_weight(const char *text, size_t size)
{
    int weight = 0, unit = 1000;

    if (size < 3 || (text[2] != '0' && text[2] != '1'))
        return 0;
    weight = (text[2] - '0') * unit;
    if (size == 3)
        return weight;
    if (text[3] != '.' || size > 7)
        return 0;
    for (size_t i = 4; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        unit /= 10;
        weight += (text[i] - '0') * unit;
    }
    return weight <= 1000 ? weight : 0;
}

/* The size of the text up to the end of an item's part, without white space behind it. */
static size_t
part_size(const char *text)
{
    size_t size = strcspn(text, ",;");

    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t'))
        size--;
    return size;
}

/* The weight among the parameters that stand behind a name: 1000 if there is none. */
static void
read_parameters(const char *text, struct weighted *item)
{
    item->weight = 1000;
    item->specific = false;
    for (text += strspn(text, " \t"); *text == ';'; text += strcspn(text, ",;")) {
        text += 1 + strspn(text + 1, " \t");
        if (strncasecmp(text, "q=", 2) == 0)
            item->weight = parse_weight(text, part_size(text));
        else
            item->specific = true;
    }
}

bool
weights_next(const char **field, struct weighted *ret)
{
    const char *item = *field;

    if (item == NULL || *(item += strspn(item, " \t,")) == '\0')
        return false;
    ret->name = item;
    ret->size = part_size(item);
    read_parameters(item + ret->size, ret);
    *field = item + strcspn(item, ",");
    return true;
}

bool
weighted_is(const struct weighted *item, const char *name)
{
    return item->size == strlen(name) && strncasecmp(item->name, name, item->size) == 0;
}
