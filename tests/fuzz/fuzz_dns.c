/* SPDX-License-Identifier: MIT */
/*
 * fuzz_dns.c - examples/dns: any bytes as a query, by UDP and by TCP
 *
 * One zone is the example's own, another has names that do not fit, or repeat their labels. An
 * answer has a header, and room for it; what lay in its memory before is no part of it.
 */
#include "../../examples/dns/dns.c"

#include "expect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
expect_answer(const struct zone *zone, const uint8_t *packet, size_t size, size_t most)
{
    uint8_t *answer = malloc(most); /* of this size, so that a byte beyond it is found */

    expect(answer != NULL);
    memset(answer, 0xff, most); /* as a name it would point far beyond it */
    size_t got = respond(zone, packet, size, answer, most);
    expect(got == 0 || (got >= HEADER && got <= most));
    free(answer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {SOURCE_DIR "/examples/dns/example.org.zone",
                                        SOURCE_DIR "/tests/fuzz/zone/repeated_labels"};
    static struct zone *zones[2];
    struct zone_error error;

    if (size > QUERY_MOST)
        return 0;
    for (int i = 0; i < 2; i++) {
        if (zones[i] == NULL)
            zones[i] = zone_load(paths[i], &error);
        expect(zones[i] != NULL);
        expect_answer(zones[i], data, size, DATAGRAM_MOST);
        expect_answer(zones[i], data, size, STREAM_MOST);
    }
    return 0;
}
