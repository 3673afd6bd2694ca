/* SPDX-License-Identifier: MIT */
/*
 * fuzz_config.c - any text as a configuration file
 *
 * A libFuzzer target. The text is a file in memory, opened through /proc as
 * any other. Whatever it holds, reading it must end, without a crash, and say
 * what is wrong if it found no use for it. What was understood goes to a
 * worker and back.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig 1.5 loses memory at some syntax errors. */
const char *
__lsan_default_suppressions(void)
{
    return "leak:libconfig.so\n";
}

static void
pack_and_unpack(const struct settings *settings)
{
    _cleanup_free_ char *bytes = NULL;
    struct settings back;
    size_t size;

    if (settings_pack(settings, &bytes, &size) < 0 || settings_unpack(bytes, size, &back) < 0)
        abort();
    if (!settings_equal(settings, &back))
        abort();
    settings_done(&back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_close_ int fd = memfd_create("fuzz.conf", MFD_CLOEXEC);
    _cleanup_free_ char *text = NULL;
    struct errors errors = {0};
    struct config config;
    char path[64];
    int r;

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        return 0;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    r = config_load(&config, path, NULL, &errors);
    if ((r < 0) != errors_any(&errors))
        abort();
    text = errors_join(&errors);
    for (size_t i = 0; r == 0 && i < config.listener_count; i++)
        pack_and_unpack(config.listeners[i]);
    errors_done(&errors);
    config_done(&config);
    return 0;
}
