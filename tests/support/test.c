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

#include "common/array.h"
#include "common/cleanup.h"
#include "support/client.h"
#include "support/daemon.h"
#include "support/load.h"
#include "support/manager.h"
#include "support/peer.h"
#include "support/tls.h"

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
    peer_end_all();
    problems = daemon_end_all();
    tls_end();
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

static void
skip_over_tls(void **state)
{
    print_message("skipped over TLS: %s\n", (const char *)*state);
    skip();
}

/* Is it the same function's as the row before, under another server or mixin? */
static bool
is_next_case(const struct CMUnitTest *row)
{
    const char *label = strstr(row->name, " (");

    return row[-1].test_func == row->test_func && label != NULL && strstr(label, ", ") != NULL;
}

/*
 * TEST_CASES=half: of each function's servers and mixins every second one is run, one function's
 * beginning with the first and the next one's with the second. Of two servers under four mixins
 * each, the first is run under two of them and the second under the other two.
 */
static size_t
leave_out_half(struct CMUnitTest *rows, size_t count)
{
    size_t kept_rows = 0, function = 0, of_function = 0;

    for (size_t i = 0; i < count; i++) {
        bool next = i > 0 && is_next_case(&rows[i]);
        of_function = next ? of_function + 1 : 0;
        function += !next;
        bool alone = !next && (i + 1 == count || !is_next_case(&rows[i + 1]));
        if (alone || (of_function + of_function / 4 + function) % 2 == 0)
            rows[kept_rows++] = rows[i]; /* never behind i: what is looked at next stands */
    }
    print_message("TEST_CASES=half: %zu of %zu tests\n", kept_rows, count);
    return kept_rows;
}

static size_t
choose_rows(struct CMUnitTest *rows, size_t count)
{
    const char *cases = getenv("TEST_CASES");

    if (cases == NULL || strcmp(cases, "all") == 0)
        return count;
    if (strcmp(cases, "half") == 0)
        return leave_out_half(rows, count);
    print_error("TEST_CASES is \"%s\", and must be \"all\" or \"half\"\n", cases);
    exit(EXIT_FAILURE);
}

int
test_run(const struct CMUnitTest *tests, size_t count, const char *pattern)
{
    struct CMUnitTest *all = calloc(count, sizeof *all);

    assert_non_null(all);
    memcpy(all, tests, count * sizeof *all);
    count = choose_rows(all, count);
    for (size_t i = 0; i < count; i++) {
        const char *why = tls_skips(all[i].name);
        if (why == NULL)
            continue;
        all[i].test_func = skip_over_tls;
        all[i].initial_state = strdup(why);
    }
    cmocka_set_test_filter(pattern);
    int result = _cmocka_run_group_tests("tests", all, count, NULL, NULL);
    for (size_t i = 0; i < count; i++)
        if (all[i].test_func == skip_over_tls)
            free(all[i].initial_state);
    free(all);
    tls_done();
    return result;
}

const char *
need_program(const char *name)
{
    static const char *const folders[] = {"/usr/bin", "/usr/sbin", "/usr/local/bin",
                                          "/usr/local/sbin"};

    if (strchr(name, '/') != NULL && access(name, X_OK) == 0)
        return name;
    for (size_t i = 0; strchr(name, '/') == NULL && i < ARRAY_SIZE(folders); i++) {
        const char *path = text_of("%s/%s", folders[i], name);
        if (access(path, X_OK) == 0)
            return path;
    }
    print_message("skipped: %s is not installed\n", name);
    skip();
    return NULL;
}

void
need_root(const char *why)
{
    if (getuid() == 0)
        return;
    print_message("skipped: needs root %s\n", why);
    skip();
}
