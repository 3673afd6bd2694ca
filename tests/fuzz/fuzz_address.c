/* SPDX-License-Identifier: MIT */
/*
 * fuzz_address.c - any text as a listener's address
 *
 * A libFuzzer target. A text is either refused with a sentence, or understood
 * without one. What was understood is understood the same way once more from
 * its own text, and its copy does not differ.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"
#include "common/cleanup.h"

#define LIMIT 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
same_text(const char *one, const char *other)
{
    return one == NULL || other == NULL ? one == other : strcmp(one, other) == 0;
}

static bool
same_address(const struct address *one, const struct address *other)
{
    return one->scheme == other->scheme && same_text(one->text, other->text) &&
           same_text(one->host, other->host) && same_text(one->port, other->port) &&
           same_text(one->path, other->path);
}

static void
understand_again(const struct address *address)
{
    _cleanup_free_ char *problem = NULL;
    struct address again, copy;

    if (address_parse(address->text, &again, &problem) < 0 || !same_address(address, &again))
        abort();
    if (address_copy(address, &copy) < 0 || !same_address(address, &copy))
        abort();
    address_done(&again);
    address_done(&copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = size <= LIMIT ? malloc(size + 1) : NULL, *problem = NULL;
    struct address address;

    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    int r = address_parse(text, &address, &problem);
    if ((r < 0) != (problem != NULL))
        abort();
    if (r < 0)
        return 0;
    understand_again(&address);
    address_done(&address);
    return 0;
}
