/* SPDX-License-Identifier: MIT */
/*
 * test_log_journal.c - journal entries read back, and what happens without a journal
 */
#include "log_fixture.h"

#include <endian.h>
#include <errno.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/array.h"

/* ---- the journal ---------------------------------------------------------------------- */

static void
listen_as_journal(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    strcpy(address.sun_path, path);
    reader = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(reader >= 0);
    assert_int_equal(bind(reader, (struct sockaddr *)&address, sizeof(address)), 0);
}

/* Reads one entry back into "KEY=value" strings; returns how many. */
static size_t
receive_entry(char *fields[], size_t limit)
{
    static char entry[16384], text[16384];
    ssize_t size = recv(reader, entry, sizeof(entry), MSG_DONTWAIT);
    char *at = entry, *end = entry + size, *out = text;
    size_t count = 0;

    assert_true(size > 0);
    while (at < end) {
        char *newline = memchr(at, '\n', (size_t)(end - at));
        char *equals = memchr(at, '=', (size_t)(newline - at));
        size_t key = (size_t)((equals != NULL ? equals : newline) - at);
        uint64_t length = (uint64_t)(newline - at) - key - 1;
        char *value = at + key + 1;

        if (equals == NULL) {
            memcpy(&length, value, sizeof(length));
            length = le64toh(length);
            value += sizeof(length);
        }
        assert_true(value + length < end && value[length] == '\n');
        assert_true(count < limit);
        fields[count++] = out;
        out += sprintf(out, "%.*s=%.*s", (int)key, at, (int)length, value) + 1;
        at = value + length + 1;
    }
    return count;
}

static void
expect_entry(const char *const *expected)
{
    char *fields[16];
    size_t count = receive_entry(fields, ARRAY_SIZE(fields));

    for (size_t i = 0; i < count; i++) {
        assert_non_null(expected[i]);
        assert_string_equal(fields[i], expected[i]);
    }
    assert_null(expected[count]);
}

static void
journal_entry_carries_its_fields(void **state)
{
    const struct log_context context = {.request = 7, .client = "[::1]:4"};
    const char *const more[] = {"SOCKSERVERD_REASON=two\nlines=here", "SOCKSERVERD_BYTES_IN=6",
                                NULL};

    (void)state;
    listen_as_journal(path_in_folder("journal"));
    assert_int_equal(log_open(LOG_TO_JOURNAL, path_in_folder("journal")), 0);
    log_warning("supervisor %s", "speaks\nup");
    expect_entry((const char *const[]){"MESSAGE=supervisor speaks\\x0aup", "PRIORITY=4",
                                       "SYSLOG_IDENTIFIER=sockserverd", NULL});
    log_set_listener("upper");
    log_set_context(&context);
    log_event(LOG_INFO, more, "done");
    expect_entry((const char *const[]){"MESSAGE=upper/7: done", "PRIORITY=6",
                                       "SYSLOG_IDENTIFIER=sockserverd",
                                       "SOCKSERVERD_LISTENER=upper", "SOCKSERVERD_REQUEST=7",
                                       "SOCKSERVERD_CLIENT=[::1]:4", more[0], more[1], NULL});
    log_listener("time", LOG_ERR, "worker died");
    expect_entry((const char *const[]){"MESSAGE=time: worker died", "PRIORITY=3",
                                       "SYSLOG_IDENTIFIER=sockserverd", "SOCKSERVERD_LISTENER=time",
                                       NULL});
    unlink(path_in_folder("journal"));
}

static void
journal_field_that_does_not_fit_is_left_out(void **state)
{
    static char huge[20000] = "SOCKSERVERD_HUGE=";
    const char *const fields[] = {huge, "SOCKSERVERD_SMALL=1", NULL};

    (void)state;
    memset(huge + strlen(huge), 'x', sizeof(huge) - strlen(huge) - 1);
    listen_as_journal(path_in_folder("journal"));
    assert_int_equal(log_open(LOG_TO_JOURNAL, path_in_folder("journal")), 0);
    log_event(LOG_INFO, fields, "text");
    expect_entry((const char *const[]){"MESSAGE=text", "PRIORITY=6",
                                       "SYSLOG_IDENTIFIER=sockserverd", fields[1], NULL});
    unlink(path_in_folder("journal"));
}

static void
full_journal_drops_counts_and_heals(void **state)
{
    char *fields[16], entry[16384];

    (void)state;
    listen_as_journal(path_in_folder("journal"));
    assert_int_equal(log_open(LOG_TO_JOURNAL, path_in_folder("journal")), 0);
    assert_int_equal(overfill(), 4);
    while (recv(reader, entry, sizeof(entry), MSG_DONTWAIT) > 0)
        ;
    log_info("again");
    (void)receive_entry(fields, ARRAY_SIZE(fields));
    assert_string_equal(fields[0], "MESSAGE=4 log lines were lost");
    assert_string_equal(fields[1], "PRIORITY=4");
    (void)receive_entry(fields, ARRAY_SIZE(fields));
    assert_string_equal(fields[0], "MESSAGE=again");
    unlink(path_in_folder("journal"));
}

static void
without_a_journal_lines_go_to_stderr_until_it_is_back(void **state)
{
    const char *path = path_in_folder("journal");
    int pipe_end, journal;
    char *fields[16];

    (void)state;
    use_pipe();
    pipe_end = reader;
    assert_int_equal(log_open(LOG_TO_JOURNAL, path), -ENOENT);
    log_info("one");
    listen_as_journal(path);
    log_info("two");
    (void)receive_entry(fields, ARRAY_SIZE(fields));
    assert_string_equal(fields[0], "MESSAGE=two");
    close(reader); /* a dead journald leaves its path */
    log_info("three");
    unlink(path);
    listen_as_journal(path);
    log_info("four");
    (void)receive_entry(fields, ARRAY_SIZE(fields));
    assert_string_equal(fields[0], "MESSAGE=four");
    journal = reader;
    reader = pipe_end;
    assert_string_equal(arrived(), "sockserverd: one\nsockserverd: three\n");
    close(journal);
    unlink(path);
}

static void
auto_means_journal_only_if_stderr_is_its_stream(void **state)
{
    struct stat status;
    char stream[64];

    (void)state;
    use_pipe();
    unsetenv("JOURNAL_STREAM");
    assert_int_equal(log_sink_auto(), LOG_TO_STDERR);
    assert_int_equal(fstat(STDERR_FILENO, &status), 0);
    (void)snprintf(stream, sizeof(stream), "%lu:%lu", (unsigned long)status.st_dev,
                   (unsigned long)status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    assert_int_equal(log_sink_auto(), LOG_TO_JOURNAL);
    setenv("JOURNAL_STREAM", "1:2", 1);
    assert_int_equal(log_sink_auto(), LOG_TO_STDERR);
    setenv("JOURNAL_STREAM", "rubbish", 1);
    assert_int_equal(log_sink_auto(), LOG_TO_STDERR);
    unsetenv("JOURNAL_STREAM");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(journal_entry_carries_its_fields),
        TEST(journal_field_that_does_not_fit_is_left_out),
        TEST(full_journal_drops_counts_and_heals),
        TEST(without_a_journal_lines_go_to_stderr_until_it_is_back),
        TEST(auto_means_journal_only_if_stderr_is_its_stream),
    };

    return cmocka_run_group_tests_name("log_journal", tests, make_folder, remove_folder);
}
