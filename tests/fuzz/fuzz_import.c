/* SPDX-License-Identifier: MIT */
/*
 * fuzz_import.c - any bytes as a file of xinetd's or inetd's
 *
 * A libFuzzer target. The first byte says which of both it is. The file is either refused with a
 * sentence, or becomes a configuration that libconfig can read, with notes that have a place.
 */
#include <libconfig.h>
#include <netdb.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "ctl/import/import.h"
#include "expect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret);

/* Nobody is asked about names. */
int
__wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                   struct addrinfo **ret)
{
    (void)node, (void)service, (void)hints, (void)ret;
    return EAI_NONAME;
}

static void
expect_configuration(const struct import *import)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    config_t config;

    expect(stream != NULL);
    import_print(import, stream);
    expect(fclose(stream) == 0);
    config_init(&config);
    if (config_read_string(&config, text) != CONFIG_TRUE) {
        (void)fprintf(stderr, "%d: %s\n%s", config_error_line(&config), config_error_text(&config),
                      text);
        abort();
    }
    config_destroy(&config);
    free(text);
}

static void
expect_notes(struct import *import)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    expect(stream != NULL);
    import_print_notes(import, stream);
    expect(fclose(stream) == 0);
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
        expect(strncmp(line, "/proc/self/fd/", 14) == 0);
    free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_close_ int file = memfd_create("import", MFD_CLOEXEC);
    struct import import;
    char path[40];

    if (size == 0 || file < 0 || write(file, data + 1, size - 1) != (ssize_t)size - 1)
        return 0;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    import_init(&import);
    int error =
        data[0] == 'i' ? import_read_inetd(&import, path) : import_read_xinetd(&import, path);
    expect((error < 0) == (import.problem != NULL));
    if (error == 0) {
        expect(import_map(&import) == 0);
        expect_configuration(&import);
        expect_notes(&import);
    }
    import_done(&import);
    return 0;
}
