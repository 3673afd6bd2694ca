/* SPDX-License-Identifier: MIT */
/*
 * fuzz_upgrade_state.c - any bytes behind a right header as the state of an upgrade
 *
 * A libFuzzer target. What is understood must come out the same
 * again, byte for byte, and another version of the header is refused.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "expect.h"
#include "supervisor/change/upgrade_state.h"

#define HEADER_SIZE 128

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *
with_header(const uint8_t *data, size_t size)
{
    struct upgrade_state nothing = {0};
    _cleanup_free_ char *header = NULL;
    char *whole = malloc(HEADER_SIZE + size);
    size_t header_size;

    if (whole == NULL || upgrade_state_pack(&nothing, &header, &header_size) < 0)
        abort();
    memcpy(whole, header, HEADER_SIZE);
    memcpy(whole + HEADER_SIZE, data, size);
    return whole;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *whole = with_header(data, size), *packed = NULL, *again = NULL;
    struct upgrade_state state;
    size_t packed_size, again_size;

    whole[0] ^= 1;
    expect(upgrade_state_unpack(whole, HEADER_SIZE + size, &state) == -EPROTO);
    whole[0] ^= 1;
    if (upgrade_state_unpack(whole, HEADER_SIZE + size, &state) < 0)
        return 0;
    expect(upgrade_state_pack(&state, &packed, &packed_size) == 0);
    upgrade_state_done(&state);
    expect(upgrade_state_unpack(packed, packed_size, &state) == 0);
    expect(upgrade_state_pack(&state, &again, &again_size) == 0);
    upgrade_state_done(&state);
    expect(packed_size == again_size && memcmp(packed, again, packed_size) == 0);
    return 0;
}
