/* SPDX-License-Identifier: MIT */
/*
 * fuzz_config.c - any text as a configuration file
 *
 * A libFuzzer target. The text is a file in memory, opened through /proc as
 * any other. Whatever it holds, reading it must end, without a crash, and say
 * what is wrong, and in which file, if it found no use for it. What was
 * understood goes to a worker and back, and to the supervisor and back.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "config/config.h"
#include "config/config_pack.h"
#include "expect.h"

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

    expect(settings_pack(settings, &bytes, &size) == 0);
    expect(settings_unpack(bytes, size, &back) == 0);
    settings_give_access(&back, settings->access); /* a worker gets it by a descriptor */
    expect(settings_equal(settings, &back));
    settings_done(&back);
}

/* The supervisor gets what the reading process has found, and would hand over the same again. */
static void
hand_over(int result, const struct config *config, const struct errors *errors)
{
    _cleanup_free_ char *bytes = NULL, *again = NULL;
    size_t size, size_again;
    struct config back;
    struct errors errors_back;
    int result_back;

    expect(config_pack(result, config, errors, &bytes, &size) == 0);
    expect(config_unpack(bytes, size, &result_back, &back, &errors_back) == 0);
    expect(result_back == result && back.listener_count == config->listener_count);
    for (size_t i = 0; i < config->listener_count; i++)
        expect(settings_equal(config->listeners[i], back.listeners[i]));
    expect(config_pack(result_back, &back, &errors_back, &again, &size_again) == 0);
    expect(size == size_again && memcmp(bytes, again, size) == 0);
    config_done(&back);
    errors_done(&errors_back);
}

/* Each mistake is a line that says in which file it is, unless it stands for many. */
static void
judge_mistakes(const struct errors *errors)
{
    for (size_t i = 0; i < errors->count; i++) {
        const char *text = errors->texts[i];
        expect(text[0] != '\0' && strchr(text, '\n') == NULL);
        expect(text[0] == '/' || (i == ERRORS_TOLD && errors->more > 0));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_close_ int fd = memfd_create("fuzz.conf", MFD_CLOEXEC);
    struct errors errors = {0};
    struct config config;
    char path[64];

    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        return 0;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int r = config_load(&config, path, NULL, &errors);
    expect((r < 0) == errors_any(&errors));
    judge_mistakes(&errors);
    for (size_t i = 0; r == 0 && i < config.listener_count; i++)
        pack_and_unpack(config.listeners[i]);
    hand_over(r, &config, &errors);
    errors_done(&errors);
    config_done(&config);
    return 0;
}
