/* SPDX-License-Identifier: MIT */
/*
 * test_channel.c - messages that arrive whole, junk that does not, and no descriptor left behind
 */
#include "worker_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/channel.h"
#include "common/cleanup.h"
#include "common/leave.h"

#define HEAD offsetof(struct message, text)

struct ends {
    int supervisor, worker;
    int descriptors; /* open before the test */
};

static int
make_channel(void **state)
{
    static struct ends ends;
    int pair[2];

    ends.descriptors = open_descriptors();
    assert_int_equal(channel_create(pair), 0);
    ends.supervisor = pair[0];
    ends.worker = pair[1];
    *state = &ends;
    return 0;
}

/* Every test must have closed what it received. */
static int
end_channel(void **state)
{
    struct ends *ends = *state;

    if (ends->supervisor >= 0)
        (void)close(ends->supervisor);
    (void)close(ends->worker);
    return open_descriptors() == ends->descriptors ? 0 : -1;
}

static void
both_ends_are_close_on_exec_and_do_not_wait(void **state)
{
    const struct ends *ends = *state;
    const int fds[] = {ends->supervisor, ends->worker};

    for (size_t i = 0; i < 2; i++) {
        assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(fds[i], F_GETFL) & O_NONBLOCK);
    }
}

static void
messages_arrive_as_they_were_sent(void **state)
{
    static const struct {
        enum message_type type;
        uint64_t value;
        const char *text, *expected;
    } rows[] = {
        {MESSAGE_READY, 0, "upper.so", "upper.so"},
        {MESSAGE_MISTAKE, 0, "one\ntwo\n", "one\ntwo\n"},
        {MESSAGE_FAILED, FAILURE_CONFIGURATION, NULL, ""},
        {MESSAGE_PING, UINT64_MAX, NULL, ""},
        {MESSAGE_DRAIN, 30000, "", ""},
    };
    const struct ends *ends = *state;
    struct message message;
    int fd = 77;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(channel_send(ends->worker, rows[i].type, rows[i].value, rows[i].text, -1),
                         0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(channel_receive(ends->supervisor, &message, &fd), 1);
        assert_int_equal(message.type, rows[i].type);
        assert_int_equal(message.value, rows[i].value);
        assert_string_equal(message.text, rows[i].expected);
        assert_int_equal(fd, -1);
    }
    assert_int_equal(channel_receive(ends->supervisor, &message, &fd), -EAGAIN);
}

static void
text_that_is_too_long_is_cut(void **state)
{
    const struct ends *ends = *state;
    char text[MESSAGE_TEXT_SIZE + 10];
    struct message message;
    int fd;

    for (size_t size = MESSAGE_TEXT_SIZE - 2; size < MESSAGE_TEXT_SIZE + 2; size++) {
        memset(text, 'x', sizeof(text));
        text[size] = '\0';
        assert_int_equal(channel_send(ends->worker, MESSAGE_FAILED, 0, text, -1), 0);
        assert_int_equal(channel_receive(ends->supervisor, &message, &fd), 1);
        assert_int_equal(strlen(message.text),
                         size < MESSAGE_TEXT_SIZE ? size : MESSAGE_TEXT_SIZE - 1);
    }
}

/* Twice as many as the channel holds, which is full before anybody reads. */
static void
a_failure_waits_until_all_of_it_is_heard(void **state)
{
    const struct ends *ends = *state;
    struct pollfd room = {.fd = ends->worker, .events = POLLOUT};
    struct message message;
    size_t count = 0;
    int fd, status;

    while (channel_send(ends->worker, MESSAGE_MISTAKE, 0, "mistake", -1) == 0)
        count++;
    for (size_t i = 0; i < count; i++)
        assert_int_equal(channel_receive(ends->supervisor, &message, &fd), 1);
    pid_t child = fork();
    if (child == 0) {
        _cleanup_free_ char **texts = calloc(2 * count, sizeof(char *));
        const struct errors mistakes = {.texts = texts, .count = 2 * count};

        for (size_t i = 0; i < 2 * count; i++)
            if (asprintf(&texts[i], "mistake %zu", i) < 0)
                leave(2);
        leave(channel_send_failure(ends->worker, FAILURE_RUNTIME, &mistakes) == 0 ? 0 : 1);
    }
    while (poll(&room, 1, 0) == 1)
        (void)sched_yield();
    struct pollfd heard = {.fd = ends->supervisor, .events = POLLIN};
    for (size_t i = 0; i < 2 * count; i++) {
        char expected[32];

        assert_int_equal(poll(&heard, 1, 60000), 1);
        assert_int_equal(channel_receive(ends->supervisor, &message, &fd), 1);
        assert_int_equal(message.type, MESSAGE_MISTAKE);
        (void)snprintf(expected, sizeof(expected), "mistake %zu", i);
        assert_string_equal(message.text, expected);
    }
    assert_int_equal(poll(&heard, 1, 60000), 1);
    assert_int_equal(channel_receive(ends->supervisor, &message, &fd), 1);
    assert_int_equal(message.type, MESSAGE_FAILED);
    assert_int_equal(message.value, FAILURE_RUNTIME);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void
junk_is_refused_and_gone(void **state)
{
    const struct ends *ends = *state;
    static char junk[sizeof(struct message) + 1];
    const struct {
        size_t size;
        char last;
    } rows[] = {{1, 0}, {HEAD - 1, 0}, {HEAD, 0}, {HEAD + 5, 'x'}, {sizeof(junk), 0}};
    struct message message;
    int fd = 77;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        memset(junk, 'j', sizeof(junk));
        junk[rows[i].size - 1] = rows[i].last;
        assert_int_equal(send(ends->worker, junk, rows[i].size, 0), rows[i].size);
        assert_int_equal(channel_receive(ends->supervisor, &message, &fd), -EBADMSG);
        assert_int_equal(fd, 77);
    }
    assert_int_equal(channel_receive(ends->supervisor, &message, &fd), -EAGAIN);
    assert_int_equal(channel_send(ends->worker, MESSAGE_PONG, 1, NULL, -1), 0);
    assert_int_equal(channel_receive(ends->supervisor, &message, &fd), 1);
}

static void
end_of_file_means_the_other_side_is_dead(void **state)
{
    struct ends *ends = *state;
    struct message message;
    int fd;

    assert_int_equal(channel_send(ends->supervisor, MESSAGE_PING, 1, NULL, -1), 0);
    assert_int_equal(close(ends->supervisor), 0);
    ends->supervisor = -1;
    assert_int_equal(channel_receive(ends->worker, &message, &fd), 1);
    assert_int_equal(channel_receive(ends->worker, &message, &fd), 0);
    assert_int_equal(channel_send(ends->worker, MESSAGE_PONG, 1, NULL, -1), -EPIPE);
}

/* An end that is closed with messages unread resets the other: that is an end, too. */
static void
reset_counts_as_end_of_file(void **state)
{
    struct ends *ends = *state;
    struct message message;
    int fd;

    assert_int_equal(channel_send(ends->worker, MESSAGE_PONG, 1, NULL, -1), 0);
    assert_int_equal(close(ends->supervisor), 0);
    ends->supervisor = -1;
    assert_int_equal(channel_receive(ends->worker, &message, &fd), 0);
}

static void
full_channel_is_told_and_does_not_wait(void **state)
{
    const struct ends *ends = *state;
    struct message message;
    int fd, sent = 0, received = 0, error;

    while ((error = channel_send(ends->worker, MESSAGE_PONG, (uint64_t)sent, NULL, -1)) == 0)
        sent++;
    assert_int_equal(error, -EAGAIN);
    assert_true(sent > 1);
    while (channel_receive(ends->supervisor, &message, &fd) == 1)
        assert_int_equal(message.value, received++);
    assert_int_equal(received, sent);
    assert_int_equal(channel_send(ends->worker, MESSAGE_PONG, 0, NULL, -1), 0);
}

static void
descriptor_comes_along_close_on_exec(void **state)
{
    const struct ends *ends = *state;
    struct stat sent, received;
    struct message message;
    int fd = -1, file = open("/dev/null", O_RDONLY | O_CLOEXEC);

    assert_int_equal(channel_send(ends->supervisor, MESSAGE_LOG_LEVEL, 0, NULL, file), 0);
    assert_int_equal(channel_receive(ends->worker, &message, &fd), 1);
    assert_true(fd >= 0 && fd != file);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(fstat(file, &sent), 0);
    assert_int_equal(fstat(fd, &received), 0);
    assert_int_equal(sent.st_rdev, received.st_rdev);
    (void)close(fd);
    (void)close(file);
}

/* As a worker that means harm might. */
static void
send_descriptors(int channel, const char *bytes, size_t size, unsigned count)
{
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(16 * sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    struct msghdr packet = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = CMSG_SPACE(count * sizeof(int)),
    };

    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(count * sizeof(int));
    for (unsigned i = 0; i < count; i++)
        memcpy(CMSG_DATA(&control.head) + i * sizeof(int), &file, sizeof(int));
    assert_int_equal(sendmsg(channel, &packet, 0), size);
    (void)close(file);
}

static void
more_descriptors_than_one_are_not_taken(void **state)
{
    const struct ends *ends = *state;
    char whole[HEAD + 1] = {MESSAGE_PONG};
    struct message message;
    int fd = -1, before = open_descriptors();

    for (unsigned count = 1; count <= 16; count++) {
        send_descriptors(ends->worker, whole, sizeof(whole), count);
        assert_int_equal(channel_receive(ends->supervisor, &message, &fd), 1);
        assert_true(fd >= 0);
        (void)close(fd);
        assert_int_equal(open_descriptors(), before);
    }
}

static void
descriptors_with_junk_are_closed(void **state)
{
    const struct ends *ends = *state;
    struct message message;
    int fd = -1, before = open_descriptors();

    send_descriptors(ends->worker, "junk", 4, 1);
    assert_int_equal(channel_receive(ends->supervisor, &message, &fd), -EBADMSG);
    assert_int_equal(fd, -1);
    assert_int_equal(open_descriptors(), before);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_channel, end_channel)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_ends_are_close_on_exec_and_do_not_wait),
        TEST(messages_arrive_as_they_were_sent),
        TEST(text_that_is_too_long_is_cut),
        TEST(a_failure_waits_until_all_of_it_is_heard),
        TEST(junk_is_refused_and_gone),
        TEST(end_of_file_means_the_other_side_is_dead),
        TEST(reset_counts_as_end_of_file),
        TEST(full_channel_is_told_and_does_not_wait),
        TEST(descriptor_comes_along_close_on_exec),
        TEST(more_descriptors_than_one_are_not_taken),
        TEST(descriptors_with_junk_are_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
