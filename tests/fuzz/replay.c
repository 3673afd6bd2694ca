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

static int
replay(const char *path)
{
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    _cleanup_free_ uint8_t *data = malloc(LARGEST);

    if (file == NULL || data == NULL) {
        (void)fprintf(stderr, "replay: cannot read %s: %m\n", path);
        return -1;
    }
    size_t size = fread(data, 1, LARGEST, file);
    (void)LLVMFuzzerTestOneInput(data, size);
    return 0;
}

int
main(int argc, char **argv)
{
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    char path[4096];
    int files = 0;

    if (folder == NULL) {
        (void)fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return EXIT_FAILURE;
    }
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
        if (replay(path) < 0)
            return EXIT_FAILURE;
        files++;
    }
    (void)closedir(folder);
    (void)printf("%d files\n", files);
    return files > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
