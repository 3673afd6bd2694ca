/* SPDX-License-Identifier: MIT */
/*
 * test_unix_diag.c - what the supervisor makes of the kernel's socket diagnosis
 *
 * The functions here take the places of the C library's in the program: the
 * kernel's answer is the one that the test has written, and a file is on a
 * device of the test's choice.
 */
#include <errno.h>
#include <linux/sock_diag.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/unix_diag.h"
#include "fds_fixture.h"
#include "supervisor/socket/queue.h"
#include "supervisor/socket/unix_bound.h"

#define INODE 4711u

/* ---- the kernel's part ----------------------------------------------------------------------- */

/* What recv() gives, one after another: bytes, or an error. */
struct answer {
    int error;
    const char *bytes;
    size_t size;
};

static const struct answer *answers;
static size_t answers_left;
static dev_t device;

ssize_t
recv(int fd, void *buffer, size_t size, int flags)
{
    (void)fd, (void)flags;
    assert_true(answers_left > 0);
    const struct answer *answer = answers++;
    answers_left--;
    if (answer->error != 0) {
        errno = answer->error;
        return -1;
    }
    assert_true(answer->size <= size);
    memcpy(buffer, answer->bytes, answer->size);
    return (ssize_t)answer->size;
}

int
lstat(const char *path, struct stat *ret)
{
    (void)path;
    *ret = (struct stat){.st_dev = device, .st_ino = INODE, .st_mode = S_IFSOCK | 0600};
    return 0;
}

/* ---- messages -------------------------------------------------------------------------------- */

struct message {
    char bytes[1024] __attribute__((aligned(4)));
    size_t size;
};

static void
begin_message(struct message *message, uint16_t type)
{
    struct nlmsghdr header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct unix_diag_msg)),
                              .nlmsg_type = type};

    *message = (struct message){.size = header.nlmsg_len};
    memcpy(message->bytes, &header, sizeof(header));
}

static void
add_attribute(struct message *message, uint16_t type, const void *value, size_t size)
{
    struct nlattr attribute = {.nla_len = (uint16_t)(sizeof(attribute) + size), .nla_type = type};
    uint32_t length;

    memcpy(message->bytes + message->size, &attribute, sizeof(attribute));
    memcpy(message->bytes + message->size + sizeof(attribute), value, size);
    message->size += NLMSG_ALIGN(attribute.nla_len);
    length = (uint32_t)message->size;
    memcpy(message->bytes, &length, sizeof(length));
}

/* A socket that is bound to an inode on a device, by this name (size bytes; NULL: it has none). */
static void
describe_bound(struct message *message, uint32_t inode, dev_t on, const char *name, size_t size)
{
    const struct unix_diag_vfs vfs = {.udiag_vfs_ino = inode,
                                      .udiag_vfs_dev = major(on) << 20 | minor(on)};

    begin_message(message, SOCK_DIAG_BY_FAMILY);
    if (name != NULL)
        add_attribute(message, UNIX_DIAG_NAME, name, size);
    add_attribute(message, UNIX_DIAG_VFS, &vfs, sizeof(vfs));
}

static int
bound_after(const char *path, const struct answer *given, size_t count)
{
    size_t fds = count_fds();

    answers = given;
    answers_left = count;
    int r = unix_bound(path);
    assert_int_equal(answers_left, 0);
    assert_int_equal(count_fds(), fds);
    return r;
}

/* ---- whose file it is ------------------------------------------------------------------------ */

/* Some file systems (overlayfs, btrfs) show another device than the kernel means; its major number
 * is 0, and the name decides then. */
static void
the_device_decides_or_else_the_name(void **state)
{
    const struct {
        dev_t shown;    /* by lstat() */
        dev_t kernel;   /* by the diagnosis */
        uint32_t inode; /* by the diagnosis */
        const char *path, *name;
        size_t size;
        int result;
    } rows[] = {
        {makedev(8, 1), makedev(8, 1), INODE, "/run/x", "/run/x", 7, 1},
        {makedev(8, 1), makedev(8, 1), INODE, "/run/x", NULL, 0, 1},
        {makedev(8, 1), makedev(8, 1), INODE + 1, "/run/x", "/run/x", 7, 0},
        {makedev(8, 1), makedev(8, 2), INODE, "/run/x", "/run/x", 7, 0},
        {makedev(0, 40), makedev(0, 39), INODE, "/run/x", "/run/x", 7, 1},
        {makedev(0, 40), makedev(0, 39), INODE, "/run/x", "/run/x", 6, 1}, /* without its NUL */
        {makedev(0, 40), makedev(0, 39), INODE, "/run/x", "x", 1, 1},      /* bound in its folder */
        {makedev(0, 40), makedev(0, 39), INODE, "x", "/run/x", 7, 1},
        {makedev(0, 40), makedev(0, 39), INODE, "/run/x", "/run/y", 7, 0},
        {makedev(0, 40), makedev(0, 39), INODE, "/run/xyz", "yz", 3, 0},
        {makedev(0, 40), makedev(0, 39), INODE, "/run/xyz", "z", 1, 0},
        {makedev(0, 40), makedev(0, 39), INODE, "/run/x", NULL, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct message message, end;
        describe_bound(&message, rows[i].inode, rows[i].kernel, rows[i].name, rows[i].size);
        begin_message(&end, NLMSG_DONE);
        const struct answer given[] = {{0, message.bytes, message.size}, {0, end.bytes, end.size}};
        print_message("%zu\n", i);
        device = rows[i].shown;
        assert_int_equal(bound_after(rows[i].path, given, rows[i].result == 1 ? 1 : 2),
                         rows[i].result);
    }
}

static void
all_messages_of_all_answers_are_looked_at(void **state)
{
    struct message other, ours, nameless;
    char bytes[2048];

    (void)state;
    device = makedev(8, 1);
    begin_message(&nameless, SOCK_DIAG_BY_FAMILY);
    describe_bound(&other, INODE + 1, device, "/run/y", 7);
    describe_bound(&ours, INODE, device, "/run/x", 7);
    memcpy(bytes, nameless.bytes, nameless.size);
    memcpy(bytes + nameless.size, other.bytes, other.size);
    memcpy(bytes + nameless.size + other.size, ours.bytes, ours.size);
    const struct answer given[] = {
        {0, nameless.bytes, nameless.size},
        {EINTR, NULL, 0},
        {0, bytes, nameless.size + other.size + ours.size},
    };
    assert_int_equal(bound_after("/run/x", given, ARRAY_SIZE(given)), 1);
}

/* A kernel that cannot say it, or bytes that are no messages: no answer, and no endless loop. */
static void
no_answer_is_an_error(void **state)
{
    struct message error, cut;

    (void)state;
    device = makedev(8, 1);
    begin_message(&error, NLMSG_ERROR);
    describe_bound(&cut, INODE, device, "/run/x", 7);
    const struct answer refused[] = {{0, error.bytes, error.size}};
    const struct answer silent[] = {{EAGAIN, NULL, 0}};
    struct message tiny = cut; /* it says that it has no room for its own head */
    memcpy(tiny.bytes, &(uint32_t){4}, sizeof(uint32_t));
    const struct answer short_of_memory[] = {{0, cut.bytes, 8},
                                             {0, cut.bytes, cut.size - 1},
                                             {0, tiny.bytes, tiny.size},
                                             {ENOBUFS, NULL, 0}};
    assert_int_equal(bound_after("/run/x", refused, 1), -EIO);
    assert_int_equal(bound_after("/run/x", silent, 1), -EAGAIN);
    assert_int_equal(bound_after("/run/x", short_of_memory, ARRAY_SIZE(short_of_memory)), -ENOBUFS);
}

/* ---- what waits ------------------------------------------------------------------------------ */

static int
look(const struct message *message, size_t size, struct accept_queue *ret)
{
    const struct answer given = {0, message->bytes, size};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    answers = &given;
    answers_left = 1;
    return queue_look(fd, ret);
}

static void
a_queue_is_told_or_it_is_unknown(void **state)
{
    const struct unix_diag_rqlen lengths = {.udiag_rqueue = 3, .udiag_wqueue = 128};
    struct accept_queue queue = {.length = 77};
    struct message message;

    (void)state;
    begin_message(&message, NLMSG_ERROR); /* such as: no socket of this network namespace */
    assert_int_equal(look(&message, message.size, &queue), -ENOENT);
    begin_message(&message, SOCK_DIAG_BY_FAMILY);
    assert_int_equal(look(&message, message.size, &queue), -ENOENT);
    assert_int_equal(look(&message, 0, &queue), -EBADMSG);
    assert_int_equal(look(&message, 8, &queue), -EBADMSG);
    assert_int_equal(look(&message, message.size - 1, &queue), -EBADMSG);
    struct message tiny = message;
    memcpy(tiny.bytes, &(uint32_t){4}, sizeof(uint32_t));
    assert_int_equal(look(&tiny, tiny.size, &queue), -EBADMSG);
    assert_int_equal(queue.length, 77);
    add_attribute(&message, UNIX_DIAG_RQLEN, &lengths, sizeof(lengths));
    assert_int_equal(look(&message, message.size, &queue), 0);
    assert_int_equal(queue.length, 3);
    assert_int_equal(queue.limit, 128);
}

static void
what_is_no_socket_has_no_queue(void **state)
{
    struct accept_queue queue;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(queue_look(ends[0], &queue), -ENOTSOCK);
    (void)close(ends[0]);
    (void)close(ends[1]);
    assert_int_equal(queue_look(-1, &queue), -EBADF);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_device_decides_or_else_the_name),
        cmocka_unit_test(all_messages_of_all_answers_are_looked_at),
        cmocka_unit_test(no_answer_is_an_error),
        cmocka_unit_test(a_queue_is_told_or_it_is_unknown),
        cmocka_unit_test(what_is_no_socket_has_no_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
