/* SPDX-License-Identifier: MIT */
/*
 * replay.c - a fuzz target without libFuzzer: it reads the files that it is given
 *
 * Any compiler builds it, so the seeds and what fuzzing once found are run by
 * every suite. The status is 1 if a file cannot be read, or if there is none.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

#define LARGEST (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads the whole file, which must be freed, or returns NULL. */
static uint8_t *
read_file(const char *path, size_t *ret_size)
{
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    _cleanup_free_ uint8_t *data = malloc(LARGEST);

    if (file == NULL || data == NULL)
        return NULL;
    *ret_size = fread(data, 1, LARGEST, file);
    return take_pointer(data);
}

static int
replay(const char *path)
{
    size_t size;
    _cleanup_free_ uint8_t *data = read_file(path, &size);

    if (data == NULL) {
        (void)fprintf(stderr, "replay: cannot read %s: %m\n", path);
        return -1;
    }
    (void)LLVMFuzzerTestOneInput(data, size);
    return 0;
}

static int
is_seed(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* The folder is closed before the first file is run: targets may want its descriptor's number. */
int
main(int argc, char **argv)
{
    struct dirent **entries = NULL;
    int count = argc == 2 ? scandir(argv[1], &entries, is_seed, alphasort) : -1;
    char path[4096];

    if (count < 0) {
        (void)fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return EXIT_FAILURE;
    }
    for (int i = 0; i < count; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", argv[1], entries[i]->d_name);
        free(entries[i]);
        if (replay(path) < 0)
            return EXIT_FAILURE;
    }
    free(entries);
    (void)printf("%d files\n", count);
    return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
