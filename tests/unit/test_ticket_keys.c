/* SPDX-License-Identifier: MIT */
/*
 * test_ticket_keys.c - keys of session tickets: their life, and who may read and write them
 *
 * The clock and the kernel's random bytes are this file's: each key consists of
 * one byte, so that a key made of two is noticed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/ticket_keys.h"

#define ROUNDS 20000u

static _Atomic uint64_t boot_sec;
static unsigned char next_byte;
static bool random_fails;

int
clock_gettime(clockid_t clock, struct timespec *ret)
{
    if (clock != CLOCK_BOOTTIME)
        return (int)syscall(SYS_clock_gettime, clock, ret);
    *ret = (struct timespec){.tv_sec = (time_t)boot_sec};
    return 0;
}

ssize_t
getrandom(void *buffer, size_t size, unsigned flags)
{
    (void)flags;
    if (random_fails) {
        errno = ENOSYS;
        return -1;
    }
    memset(buffer, ++next_byte, size);
    return (ssize_t)size;
}

static struct ticket_keys *
make(const struct ticket_keys_state *state, const struct ticket_page **ret_page)
{
    struct ticket_keys *keys;

    assert_int_equal(ticket_keys_new(state, &keys), 0);
    assert_int_equal(ticket_keys_map(ticket_keys_fd(keys), ret_page), 0);
    return keys;
}

static int
begin(void **state)
{
    (void)state;
    boot_sec = 1000000;
    next_byte = 0;
    random_fails = false;
    return 0;
}

static struct ticket_key
current(const struct ticket_page *page)
{
    struct ticket_key key;

    assert_int_equal(ticket_keys_current(page, &key), 0);
    return key;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void
a_key_seals_for_six_hours_and_opens_until_its_last_ticket_is_old(void **state)
{
    const struct ticket_page *page;
    struct ticket_keys *keys = make(NULL, &page);
    struct ticket_key first = current(page), found;
    bool renew = true;

    (void)state;
    assert_int_equal(ticket_keys_due_sec(keys), TICKET_KEY_TURN_SEC);
    boot_sec += TICKET_KEY_TURN_SEC - 1;
    assert_int_equal(ticket_keys_turn(keys), 0);
    assert_memory_equal(current(page).name, first.name, 16);
    assert_true(ticket_keys_find(page, first.name, &found, &renew));
    assert_false(renew);
    assert_int_equal(ticket_keys_due_sec(keys), 1);

    boot_sec += 1;
    assert_int_equal(ticket_keys_due_sec(keys), 0);
    assert_int_equal(ticket_keys_turn(keys), 0);
    assert_memory_not_equal(current(page).name, first.name, 16);
    assert_true(ticket_keys_find(page, first.name, &found, &renew));
    assert_true(renew);
    assert_memory_equal(&found, &first, sizeof(first));

    boot_sec += TICKET_LIFE_SEC - 1; /* a ticket of the key's last second is still good */
    assert_int_equal(ticket_keys_turn(keys), 0);
    assert_true(ticket_keys_find(page, first.name, &found, &renew));
    boot_sec += 1;
    assert_false(ticket_keys_find(page, first.name, &found, &renew)); /* with or without a turn */
    assert_int_equal(ticket_keys_turn(keys), 0);
    assert_false(ticket_keys_find(page, first.name, &found, &renew));
    ticket_keys_free(keys);
}

static void
a_name_that_nobody_has_is_not_found(void **state)
{
    const struct ticket_page *page;
    struct ticket_keys *keys = make(NULL, &page);
    struct ticket_key found;
    bool renew;

    (void)state;
    assert_false(ticket_keys_find(page, (const unsigned char[16]){0}, &found, &renew));
    ticket_keys_free(keys);
}

/* Turned on time for a week: never more keys than there is room for, and each opens its tickets. */
static void
a_week_of_turns_loses_no_ticket(void **state)
{
    const struct ticket_page *page;
    struct ticket_keys *keys = make(NULL, &page);
    struct ticket_key issued[28], found;
    bool renew;

    (void)state;
    for (size_t i = 0; i < 28; i++) {
        issued[i] = current(page);
        for (size_t j = 0; j <= i; j++) {
            bool good = (i - j) * TICKET_KEY_TURN_SEC < TICKET_KEY_TURN_SEC + TICKET_LIFE_SEC;
            assert_int_equal(ticket_keys_find(page, issued[j].name, &found, &renew), good);
        }
        boot_sec += ticket_keys_due_sec(keys);
        assert_int_equal(ticket_keys_turn(keys), 0);
    }
    ticket_keys_free(keys);
}

/* A supervisor that has gone, or hangs: no ticket is sealed with a key for ever. */
static void
a_key_that_nobody_turns_seals_no_more(void **state)
{
    const struct ticket_page *page;
    struct ticket_keys *keys = make(NULL, &page);
    struct ticket_key key = current(page), found;
    bool renew;

    (void)state;
    boot_sec += TICKET_KEY_TURN_SEC + 60; /* it may be a little late */
    (void)current(page);
    boot_sec += 3600;
    assert_int_equal(ticket_keys_current(page, &found), -ENOENT);
    assert_true(ticket_keys_find(page, key.name, &found, &renew));
    ticket_keys_free(keys);
}

static void
without_random_bytes_the_page_stays_as_it_is(void **state)
{
    const struct ticket_page *page;
    struct ticket_keys *keys = make(NULL, &page), *others = NULL;
    struct ticket_key key = current(page);

    (void)state;
    random_fails = true;
    boot_sec += TICKET_KEY_TURN_SEC;
    assert_int_equal(ticket_keys_turn(keys), -ENOSYS);
    assert_memory_equal(current(page).mac, key.mac, sizeof(key.mac));
    assert_int_equal(ticket_keys_new(NULL, &others), -ENOSYS);
    assert_null(others);
    ticket_keys_free(keys);
}

/* ---- another process ------------------------------------------------------------------------- */

static void
keys_go_on_in_the_next_process(void **state)
{
    const struct ticket_page *page, *next_page;
    struct ticket_keys *keys = make(NULL, &page), *next;
    struct ticket_key first = current(page), found;
    struct ticket_keys_state saved;
    bool renew;

    (void)state;
    boot_sec += TICKET_KEY_TURN_SEC;
    assert_int_equal(ticket_keys_turn(keys), 0);
    ticket_keys_save(keys, &saved);
    assert_int_equal(saved.count, 2);
    next = make(&saved, &next_page);
    assert_memory_equal(current(next_page).name, current(page).name, 16);
    assert_true(ticket_keys_find(next_page, first.name, &found, &renew));
    assert_int_equal(ticket_keys_due_sec(next), TICKET_KEY_TURN_SEC);
    ticket_keys_free(next);

    saved.count = TICKET_KEYS_MOST + 1; /* nonsense: new keys */
    next = make(&saved, &next_page);
    assert_false(ticket_keys_find(next_page, first.name, &found, &renew));
    ticket_keys_free(next);
    ticket_keys_free(keys);
}

/* The machine was started anew between the two: such keys come from its future. */
static void
keys_of_the_future_are_forgotten(void **state)
{
    struct ticket_keys_state saved = {.count = 1};
    const struct ticket_page *page;
    struct ticket_key found;
    bool renew;

    (void)state;
    saved.keys[0].made_sec = boot_sec + 5;
    memset(&saved.keys[0].key, 'x', sizeof(saved.keys[0].key));
    struct ticket_keys *keys = make(&saved, &page);
    assert_false(ticket_keys_find(page, saved.keys[0].key.name, &found, &renew));
    (void)current(page);
    ticket_keys_free(keys);
}

static void
freeing_wipes_what_workers_have_mapped(void **state)
{
    const struct ticket_page *page;
    struct ticket_keys *keys = make(NULL, &page);
    struct ticket_key key = current(page), found;
    bool renew;

    (void)state;
    ticket_keys_free(keys);
    assert_int_equal(ticket_keys_current(page, &found), -ENOENT);
    assert_false(ticket_keys_find(page, key.name, &found, &renew));
    assert_null(memmem(page, sizeof(struct ticket_keys_state), key.cipher, sizeof(key.cipher)));
    ticket_keys_free(NULL);
    assert_int_equal(ticket_keys_fd(NULL), -1);
}

/* By no way: not by the descriptor, nor by opening the file again, nor by a mapping. */
static void
whoever_has_the_descriptor_can_only_read(void **state)
{
    const struct ticket_page *page;
    struct ticket_keys *keys = make(NULL, &page);
    int fd = ticket_keys_fd(keys);
    char path[64];

    (void)state;
    assert_int_equal(write(fd, "x", 1), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    _cleanup_close_ int again = open(path, O_RDWR | O_CLOEXEC);
    if (again >= 0 && (fcntl(again, F_GET_SEALS) & 0x10) != 0) { /* F_SEAL_FUTURE_WRITE */
        assert_int_equal(write(again, "x", 1), -1);
        assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0),
                         MAP_FAILED);
        assert_int_equal(ftruncate(again, 0), -1);
    } else {
        assert_true(again < 0 || geteuid() == 0); /* a kernel before 5.1 */
    }
    ticket_keys_free(keys);
}

static void
what_is_no_page_is_refused(void **state)
{
    _cleanup_close_ int empty = memfd_create("test", MFD_CLOEXEC);
    const struct ticket_page *page;

    (void)state;
    assert_int_equal(ticket_keys_map(empty, &page), -EBADMSG);
    assert_int_equal(ticket_keys_map(-1, &page), -EBADF);
    for (off_t size = 1; size < 4096; size++) {
        assert_int_equal(ftruncate(empty, size), 0);
        assert_int_equal(ticket_keys_map(empty, &page), -EBADMSG); /* one of them has its size */
    }
}

/* ---- reading while it is written -------------------------------------------------------- */

struct race {
    const struct ticket_page *page;
    atomic_bool over;
    _Atomic unsigned read, torn;
};

static bool
is_of_one_byte(const struct ticket_key *key)
{
    const unsigned char *bytes = (const unsigned char *)key;

    for (size_t i = 1; i < sizeof(*key); i++)
        if (bytes[i] != bytes[0])
            return false;
    return true;
}

static void *
read_on(void *userdata)
{
    struct race *race = userdata;

    while (!race->over) {
        struct ticket_key key, found;
        bool renew;

        if (ticket_keys_current(race->page, &key) < 0)
            continue;
        race->read++;
        race->torn += !is_of_one_byte(&key);
        if (ticket_keys_find(race->page, key.name, &found, &renew))
            race->torn += !is_of_one_byte(&found);
    }
    return NULL;
}

static void
readers_see_whole_keys_while_these_turn(void **state)
{
    struct race race = {0};
    struct ticket_keys *keys = make(NULL, &race.page);
    pthread_t readers[2];

    (void)state;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_on, &race), 0);
    for (unsigned i = 0; i < ROUNDS || race.read < 100; i++) {
        boot_sec += TICKET_KEY_TURN_SEC;
        assert_int_equal(ticket_keys_turn(keys), 0);
    }
    race.over = true;
    for (size_t i = 0; i < 2; i++)
        (void)pthread_join(readers[i], NULL);
    assert_int_equal(race.torn, 0);
    ticket_keys_free(keys);
}

/* A worker that reads while the writer is dead in the middle of writing
 * is not held up. */
static void
a_writer_that_died_halfway_holds_up_nobody(void **state)
{
    struct ticket_keys_state saved = {0};
    const struct ticket_page *page;
    struct ticket_keys *keys = make(NULL, &page);
    struct ticket_key found;
    bool renew;

    (void)state;
    ticket_keys_save(keys, &saved);
    /* The sequence number is the page's second word: odd, as a writer leaves it that dies. */
    struct {
        uint64_t magic, sequence;
        struct ticket_keys_state state;
    } page_bytes;
    _Static_assert(sizeof(page_bytes) == 2 * sizeof(uint64_t) + sizeof(saved), "as the page");
    assert_int_equal(pread(ticket_keys_fd(keys), &page_bytes, sizeof(page_bytes), 0),
                     sizeof(page_bytes));
    page_bytes.sequence |= 1;
    _cleanup_close_ int copy = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(write(copy, &page_bytes, sizeof(page_bytes)), sizeof(page_bytes));
    assert_int_equal(ticket_keys_map(copy, &page), 0);
    assert_int_equal(ticket_keys_current(page, &found), -EAGAIN);
    assert_false(ticket_keys_find(page, saved.keys[0].key.name, &found, &renew));
    ticket_keys_free(keys);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_key_seals_for_six_hours_and_opens_until_its_last_ticket_is_old,
                               begin),
        cmocka_unit_test_setup(a_name_that_nobody_has_is_not_found, begin),
        cmocka_unit_test_setup(a_week_of_turns_loses_no_ticket, begin),
        cmocka_unit_test_setup(a_key_that_nobody_turns_seals_no_more, begin),
        cmocka_unit_test_setup(without_random_bytes_the_page_stays_as_it_is, begin),
        cmocka_unit_test_setup(keys_go_on_in_the_next_process, begin),
        cmocka_unit_test_setup(keys_of_the_future_are_forgotten, begin),
        cmocka_unit_test_setup(freeing_wipes_what_workers_have_mapped, begin),
        cmocka_unit_test_setup(whoever_has_the_descriptor_can_only_read, begin),
        cmocka_unit_test_setup(what_is_no_page_is_refused, begin),
        cmocka_unit_test_setup(readers_see_whole_keys_while_these_turn, begin),
        cmocka_unit_test_setup(a_writer_that_died_halfway_holds_up_nobody, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
