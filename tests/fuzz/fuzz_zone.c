/* SPDX-License-Identifier: MIT */
/*
 * fuzz_zone.c - examples/dns: any bytes as a zone file
 *
 * A zone, or a text that says what is wrong; and all memory is given back.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../examples/dns/zone.h"
#include "expect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    struct zone_error error;
    char path[64];

    if (fd < 0)
        fd = memfd_create("zone", MFD_CLOEXEC);
    expect(fd >= 0 && ftruncate(fd, 0) == 0);
    expect(pwrite(fd, data, size, 0) == (ssize_t)size);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    struct zone *zone = zone_load(path, &error);
    expect(zone != NULL || error.text[0] != '\0');
    zone_free(zone);
    return 0;
}
