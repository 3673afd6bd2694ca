/* SPDX-License-Identifier: MIT */
/*
 * test.c - what every integration test starts from
 *
 * Owns: the texts and the private folder of the running test, until its
 *       teardown.
 */
#include "support/test.h"

#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "support/client.h"
#include "support/daemon.h"
#include "support/load.h"
#include "support/manager.h"

static void **kept;
static size_t kept_count;
static char folder[64];

bool
scheme_is_stream(const char *scheme)
{
    return strcmp(scheme, "tcp") == 0 || strcmp(scheme, "unix") == 0;
}

void *
keep(void *pointer)
{
    void **grown = realloc(kept, (kept_count + 1) * sizeof *kept);

    if (pointer == NULL || grown == NULL)
        abort();
    kept = grown;
    kept[kept_count++] = pointer;
    return pointer;
}

const char *
text_of(const char *format, ...)
{
    va_list arguments;
    char *text = NULL;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        abort();
    va_end(arguments);
    return keep(text);
}

const char *
test_folder(void)
{
    if (folder[0] == '\0') {
        (void)snprintf(folder, sizeof folder, "/tmp/sockserverd-test-XXXXXX");
        /* Of a daemon of root's the workers are nobody's, and plugins write here. */
        if (mkdtemp(folder) == NULL || chmod(folder, 01777) < 0)
            fail_msg("cannot make a folder: %m");
    }
    return folder;
}

const char *
test_path(const char *name)
{
    return text_of("%s/%s", test_folder(), name);
}

const char *
test_file(const char *name, const char *content)
{
    const char *path = test_path(name);
    FILE *file = fopen(path, "we");

    if (file == NULL || fputs(content, file) < 0 || fclose(file) != 0)
        fail_msg("cannot write %s: %m", path);
    return path;
}

const char *
test_plugin_for_all(const char *name)
{
    const char *place = test_path(text_of("%s.so", name));

    if (system(text_of("install -m 644 %s/%s.so %s", FIXTURES, name, place)) != 0)
        fail_msg("cannot copy %s.so to %s", name, place);
    if (chmod(test_folder(), 0711) < 0)
        fail_msg("cannot open %s: %m", test_folder());
    return place;
}

const char *
file_text(const char *path)
{
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;

    if (file == NULL)
        fail_msg("cannot read %s: %m", path);
    if (getdelim(&text, &size, '\0', file) < 0) {
        free(text);
        return "";
    }
    return keep(text);
}

void
assert_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("expected \"%s\" in:\n%s", part, text);
}

void
assert_starts(const char *text, const char *start)
{
    if (strncmp(text, start, strlen(start)) != 0)
        fail_msg("expected \"%s\" at the start of:\n%s", start, text);
}

void
assert_lacks(const char *text, const char *part)
{
    if (strstr(text, part) != NULL)
        fail_msg("did not expect \"%s\" in:\n%s", part, text);
}

static int
remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

int
test_done(void **state)
{
    int problems;

    (void)state;
    load_stop_all();
    client_close_all();
    problems = daemon_end_all();
    manager_end();
    if (folder[0] != '\0')
        (void)nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    folder[0] = '\0';
    while (kept_count > 0)
        free(kept[--kept_count]);
    free(kept);
    kept = NULL;
    return problems;
}

void
need_root(const char *why)
{
    if (getuid() == 0)
        return;
    print_message("skipped: needs root %s\n", why);
    skip();
}
