/* SPDX-License-Identifier: MIT */
/*
 * test_log.c - log lines: their text, level and context
 */
#include "log_fixture.h"

#include <errno.h>
#include <pthread.h>

#include "common/array.h"
#include "common/cleanup.h"

/* ---- the text of a line ---------------------------------------------------------- */

static void
line_says_who_speaks(void **state)
{
    const struct log_context context = {.request = 412, .client = "127.0.0.1:5"};

    (void)state;
    use_open_pipe();
    log_info("started %d", 1);
    log_set_listener("upper");
    log_info("listening\n");
    log_set_context(&context);
    log_error("handle failed");
    log_listener("lower", LOG_ERR, "worker died");
    log_set_context(NULL);
    log_info("idle");
    assert_string_equal(arrived(), "sockserverd: started 1\n"
                                   "sockserverd[upper]: listening\n"
                                   "sockserverd[upper/412]: handle failed\n"
                                   "sockserverd[lower]: worker died\n"
                                   "sockserverd[upper]: idle\n");
}

static void
level_decides_what_is_written(void **state)
{
    (void)state;
    use_open_pipe();
    log_set_level(LOG_WARNING);
    assert_false(log_enabled(LOG_NOTICE));
    assert_true(log_enabled(LOG_WARNING));
    log_notice("too quiet");
    log_warning("loud");
    assert_string_equal(arrived(), "sockserverd: loud\n");
    assert_int_equal(log_dropped(), 0);
}

static void
level_names_are_those_of_syslog(void **state)
{
    (void)state;
    assert_int_equal(log_level_from_name("emerg"), LOG_EMERG);
    assert_int_equal(log_level_from_name("err"), LOG_ERR);
    assert_int_equal(log_level_from_name("debug"), LOG_DEBUG);
    assert_int_equal(log_level_from_name("loud"), -1);
    assert_int_equal(log_level_from_name(""), -1);
}

static void
errno_is_kept_and_shown_by_percent_m(void **state)
{
    (void)state;
    use_open_pipe();
    errno = ECONNRESET;
    log_error("handle failed: %m");
    assert_int_equal(errno, ECONNRESET);
    assert_string_equal(arrived(), "sockserverd: handle failed: Connection reset by peer\n");
    close(reader);
    reader = -1;
    errno = EPERM;
    log_error("nobody reads this");
    assert_int_equal(errno, EPERM);
}

static const struct {
    const char *given, *shown;
} texts[] = {
    {"two\nlines\r\n", "two\\x0alines\\x0d"},
    {"\033[31mred\a\177", "\\x1b[31mred\\x07\\x7f"},
    {"亲,学会了吗 é €😀", "亲,学会了吗 é €😀"},
    {"\x80 \xc3", "\\x80 \\xc3"},                            /* not UTF-8 */
    {"\xc0\xaf \xe0\x80\xaf", "\\xc0\\xaf \\xe0\\x80\\xaf"}, /* overlong */
    {"\xc2\x9b"
     "31m",
     "\\xc2\\x9b31m"}, /* a terminal's 8-bit CSI */
    {"\xed\xa0\x80 \xf4\x90\x80\x80", "\\xed\\xa0\\x80 \\xf4\\x90\\x80\\x80"},
    {"\xff\xfe", "\\xff\\xfe"},
    {"a\u202eb\u2066c\u200fd", "a\\xe2\\x80\\xaeb\\xe2\\x81\\xa6c\\xe2\\x80\\x8fd"},
    {"a\u2028b", "a\\xe2\\x80\\xa8b"},
    {"", ""},
    {"100%s", "100%s"},
};

static void
control_characters_are_escaped(void **state)
{
    char expected[256];

    (void)state;
    use_open_pipe();
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        log_info("%s", texts[i].given);
        (void)snprintf(expected, sizeof(expected), "sockserverd: %s\n", texts[i].shown);
        assert_string_equal(arrived(), expected);
    }
}

/* A line of any length and content is at most 2 KiB, ends in "...\n" and cuts no character. */
static void
long_lines_are_cut(void **state)
{
    static const char *const units[] = {"x", "é", "\n", "😀"};
    static char text[9000];

    (void)state;
    use_open_pipe();
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        const char *line;
        size_t size;

        text[0] = '\0';
        while (strlen(text) < sizeof(text) - 8)
            strcat(text, units[i]);
        log_info("%s", text);
        line = arrived();
        size = strlen(line);
        assert_in_range(size, 2048 - 7, 2048);
        assert_string_equal(line + size - 4, "...\n");
        if (strcmp(units[i], "\n") != 0)
            assert_null(strstr(line, "\\x"));
        else
            assert_memory_equal(line + size - 8, "\\x0a", 4);
    }
}

/* The longest line that is not cut, and one more byte. */
static void
cut_begins_at_2_kib(void **state)
{
    const int room = 2048 - (int)strlen("sockserverd[upper]: \n");
    char *line;

    (void)state;
    use_open_pipe();
    log_set_listener("upper");
    log_info("%*s", room, "end");
    line = arrived();
    assert_int_equal(strlen(line), 2048);
    assert_non_null(strstr(line, " end\n"));
    log_info("%*s", room + 1, "end");
    line = arrived();
    assert_null(strstr(line, "end"));
    assert_non_null(strstr(line, "...\n"));
}

/* ---- threads ---------------------------------------------------------------------------- */

#define THREADS 8
#define LINES   1000

static void *
write_lines(void *number)
{
    const struct log_context context = {.request = (uint64_t)(uintptr_t)number};

    log_set_context(&context);
    for (int i = 0; i < LINES; i++)
        log_info("line %d of %ju", i, (uintmax_t)context.request);
    return NULL;
}

static void
check_lines(FILE *file)
{
    int next[THREADS + 1] = {0}, line, lines = 0;
    uintmax_t request, again;
    char text[256];

    while (fgets(text, sizeof(text), file) != NULL) {
        char expected[256];

        assert_int_equal(
            sscanf(text, "%*s info sockserverd[many/%ju]: line %d of %ju", &request, &line, &again),
            3);
        assert_in_range(request, 1, THREADS);
        (void)snprintf(expected, sizeof(expected), "sockserverd[many/%ju]: line %d of %ju\n",
                       request, next[request]++, request);
        assert_string_equal(strstr(text, "sockserverd["), expected);
        lines++;
    }
    assert_int_equal(lines, THREADS * LINES);
}

static void
threads_write_whole_lines_in_their_own_context(void **state)
{
    _cleanup_fclose_ FILE *file = NULL;
    pthread_t threads[THREADS];

    (void)state;
    assert_int_equal(log_open_file(path_in_folder("many")), 0);
    log_set_listener("many");
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, (void *)(uintptr_t)(i + 1)),
                         0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    file = fopen(path_in_folder("many"), "r");
    assert_non_null(file);
    check_lines(file);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(line_says_who_speaks),
        TEST(level_decides_what_is_written),
        TEST(level_names_are_those_of_syslog),
        TEST(errno_is_kept_and_shown_by_percent_m),
        TEST(control_characters_are_escaped),
        TEST(long_lines_are_cut),
        TEST(cut_begins_at_2_kib),
        TEST(threads_write_whole_lines_in_their_own_context),
    };

    return cmocka_run_group_tests_name("log", tests, make_folder, remove_folder);
}
