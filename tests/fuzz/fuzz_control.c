/* SPDX-License-Identifier: MIT */
/*
 * fuzz_control.c - any bytes on the control socket
 *
 * A libFuzzer target. The bytes come in pieces whose sizes the first byte
 * chooses. Whatever they are, the messages found must be the same as when they
 * come at once, and what was understood must survive being written again.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "common/varlink.h"

#define LIMIT 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
write_again(const json_t *message)
{
    struct varlink_call call;
    size_t size = 0;

    if (varlink_call_parse(message, &call) < 0)
        return;
    _cleanup_free_ char *text = varlink_call_text(call.method, json_incref(call.parameters), &size);
    struct varlink_input input;
    json_t *back = NULL;
    varlink_input_init(&input, SIZE_MAX);
    if (text == NULL || varlink_input_feed(&input, text, size) < 0 ||
        varlink_input_next(&input, &back) != 1)
        abort();
    json_decref(back);
    varlink_input_done(&input);
}

/* Returns how many messages there were before the first that is none. */
static size_t
take_all(const uint8_t *data, size_t size, size_t piece)
{
    struct varlink_input input;
    size_t found = 0;
    int r = 0;

    varlink_input_init(&input, LIMIT);
    for (size_t done = 0; r >= 0 && done < size; done += piece) {
        json_t *message;
        size_t part = size - done < piece ? size - done : piece;
        r = varlink_input_feed(&input, (const char *)data + done, part);
        while (r >= 0 && (r = varlink_input_next(&input, &message)) == 1) {
            write_again(message);
            json_decref(message);
            found++;
        }
    }
    varlink_input_done(&input);
    return found;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > LIMIT)
        return 0;
    size_t piece = (size_t)data[0] + 1;
    if (take_all(data + 1, size - 1, piece) != take_all(data + 1, size - 1, LIMIT))
        abort();
    return 0;
}
