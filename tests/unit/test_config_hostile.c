/* SPDX-License-Identifier: MIT */
/*
 * test_config_hostile.c - files that nobody would write: mutated, endless, no files at all
 */
#include "config_fixture.h"

/* ---- hostile text ------------------------------------------------------- */

/* A configuration in memory, and the path it can be opened by. */
static int
memory_file(char *path, size_t size)
{
    int fd = memfd_create("test.conf", MFD_CLOEXEC);

    assert_true(fd >= 0);
    (void)snprintf(path, size, "/proc/self/fd/%d", fd);
    return fd;
}

static void
rewrite(int fd, const char *text, size_t size)
{
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(pwrite(fd, text, size, 0), size);
}

static size_t
mutate(char *text, size_t size, size_t room, unsigned *seed)
{
    static const char alphabet[] = "{}()[]=:;,\"#/*\\@-+.0123456789eLxon \n\t\x01\xff";

    for (int edits = 1 + rand_r(seed) % 4; edits > 0 && size > 1; edits--) {
        size_t at = (size_t)rand_r(seed) % size;
        size_t length = 1 + (size_t)rand_r(seed) % 20;

        switch (rand_r(seed) % 4) {
        case 0: /* another character */
            text[at] = alphabet[(size_t)rand_r(seed) % (sizeof(alphabet) - 1)];
            break;
        case 1: /* some lost */
            length = length < size - at ? length : size - at;
            memmove(text + at, text + at + length, size - at - length);
            size -= length;
            break;
        case 2: /* some twice */
            length = length < size - at ? length : size - at;
            if (size + length > room)
                break;
            memmove(text + at + length, text + at, size - at);
            size += length;
            break;
        default: /* all behind lost, seldom */
            if (rand_r(seed) % 8 == 0)
                size = at;
        }
    }
    return size;
}

static void
survive_mutations(const char *file)
{
    _cleanup_free_ char *original = NULL, *text = NULL;
    _cleanup_close_ int fd = -1;
    unsigned seed = 20240607;
    size_t size, room;
    char path[64];

    assert_int_equal(source_read(file, &original, &size), 0);
    fd = memory_file(path, sizeof(path));
    room = size + 200;
    text = malloc(room);
    for (int i = 0; i < 400; i++) {
        _cleanup_free_ char *found = NULL;
        size_t mutated;

        memcpy(text, original, size);
        mutated = mutate(text, size, room, &seed);
        rewrite(fd, text, mutated);
        found = mistakes_in(path);
        assert_non_null(found);
    }
}

static void
mutated_files_are_refused_or_understood(void **state)
{
    (void)state;
    enter("good");
    for_each_file(7, survive_mutations);
}

static void
a_fifo_is_refused_at_once(void **state)
{
    char folder[] = "/tmp/sockserverd-test-XXXXXX", path[64];

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    (void)alarm(60); /* it used to wait for ever */
    _cleanup_free_ char *found = mistakes_in(path);
    (void)alarm(0);
    assert_non_null(strstr(found, "it is not a regular file"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void
deep_and_long_files_are_survived(void **state)
{
    static const char *const pieces[] = {"a={", "(", "a=[", "a=1;", "\"", "\n", "a.", "@include "};
    _cleanup_close_ int fd = -1;
    char path[64];

    (void)state;
    fd = memory_file(path, sizeof(path));
    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        _cleanup_free_ char *found = NULL, *text = NULL;
        size_t size = 0, length = strlen(pieces[i]);

        text = malloc(20000);
        for (; size + length <= 20000; size += length)
            memcpy(text + size, pieces[i], length);
        rewrite(fd, text, size);
        found = mistakes_in(path);
        assert_true(strlen(found) > 0);
    }
}

/* Each takes minutes if somebody looks at everything. */
static void
more_than_a_person_writes_is_refused_at_once(void **state)
{
    static const struct {
        const char *before, *line, *behind;
        size_t lines;
        const char *expected;
    } rows[] = {
        {"log = {\n", "k%06zu = 1;\n", "};\n", 20000,
         ":2002: more than 2000 settings in one group"},
        {"", "k%06zu = { a = 1; };\n", "", 20001, ":2001: more than 2000 settings in one group"},
        {"a = (\n", "{ k = %06zu; },\n", "{});\n", 30000,
         ":20001: more than 20000 settings in one file"},
        {"", "k%06zu = 1;\n", "", 150000,
         ": cannot read the configuration: it is larger than 1 MiB"},
    };
    _cleanup_close_ int fd = -1;
    char path[64];

    (void)state;
    fd = memory_file(path, sizeof(path));
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *text = NULL, *found = NULL;
        size_t size;
        FILE *stream = open_memstream(&text, &size);
        char line[64];

        (void)fputs(rows[i].before, stream);
        for (size_t j = 0; j < rows[i].lines; j++) {
            (void)snprintf(line, sizeof(line), rows[i].line, j);
            (void)fputs(line, stream);
        }
        (void)fputs(rows[i].behind, stream);
        assert_int_equal(fclose(stream), 0);
        rewrite(fd, text, size);
        found = mistakes_in(path);
        assert_int_equal(strncmp(found, path, strlen(path)), 0);
        assert_non_null(strstr(found, rows[i].expected));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_than_a_person_writes_is_refused_at_once),
        cmocka_unit_test(a_fifo_is_refused_at_once),
        cmocka_unit_test(mutated_files_are_refused_or_understood),
        cmocka_unit_test(deep_and_long_files_are_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
