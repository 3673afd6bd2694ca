/* SPDX-License-Identifier: MIT */
/*
 * fuzz_dns.c - examples/dns: any bytes as a query, by UDP and by TCP
 *
 * The zone is the example's own. An answer has a header, and room for it.
 */
#include "../../examples/dns/dns.c"

#include "expect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
expect_answer(const struct zone *zone, const uint8_t *packet, size_t size, size_t most)
{
    uint8_t *answer = malloc(most); /* of this size, so that a byte beyond it is found */

    expect(answer != NULL);
    size_t got = respond(zone, packet, size, answer, most);
    expect(got == 0 || (got >= HEADER && got <= most));
    free(answer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct zone *zone;
    struct zone_error error;

    if (zone == NULL)
        zone = zone_load(SOURCE_DIR "/examples/dns/example.org.zone", &error);
    expect(zone != NULL);
    if (size > QUERY_MOST)
        return 0;
    expect_answer(zone, data, size, DATAGRAM_MOST);
    expect_answer(zone, data, size, STREAM_MOST);
    return 0;
}
