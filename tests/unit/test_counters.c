/* SPDX-License-Identifier: MIT */
/*
 * test_counters.c - what a worker shares with the supervisor, also when it means harm
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/counters.h"

#define HEADER    SOURCE_DIR "/daemon/common/counters.h"
#define INTERFACE SOURCE_DIR "/daemon/supervisor/control/org.sockserver.Control.varlink"

static void
attached_counters_are_the_same_memory(void **state)
{
    struct counters *made, *attached;
    int fd;

    (void)state;
    assert_int_equal(counters_create(3, &made, &fd), 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(counters_attach(fd, &attached), 0);
    assert_ptr_not_equal(made, attached);
    assert_int_equal(attached->slot_count, 3);
    counter_bump(attached->slots[2].accepted, 5);
    assert_int_equal(counter_get(made->slots[2].accepted), 5);
    counters_detach(attached, 3);
    counters_detach(made, 3);
    counters_detach(NULL, 3);
    (void)close(fd);
}

static void
slots_share_no_cache_line(void **state)
{
    (void)state;
    assert_int_equal(sizeof(struct slot) % 64, 0);
    assert_int_equal(offsetof(struct counters, slots) % 64, 0);
}

static void
size_is_sealed(void **state)
{
    struct counters *counters;
    int fd;

    (void)state;
    assert_int_equal(counters_create(2, &counters, &fd), 0);
    assert_int_equal(ftruncate(fd, 1), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(ftruncate(fd, 1 << 20), -1);
    assert_int_equal(errno, EPERM);
    counters_detach(counters, 2);
    (void)close(fd);
}

static void
attach_refuses_a_slot_count_that_does_not_fit(void **state)
{
    static const uint32_t wrong[] = {0, 1, 3, 5, 2000001, UINT32_MAX};
    struct counters *counters, *attached = NULL;
    int fd;

    (void)state;
    assert_int_equal(counters_create(4, &counters, &fd), 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        counters->slot_count = wrong[i];
        assert_int_equal(counters_attach(fd, &attached), -EBADMSG);
        assert_null(attached);
    }
    counters_detach(counters, 4);
    (void)close(fd);
}

static void
attach_refuses_what_is_no_counters(void **state)
{
    struct counters *attached = NULL;
    int empty = memfd_create("empty", MFD_CLOEXEC), pair[2];

    (void)state;
    assert_int_equal(counters_attach(empty, &attached), -EBADMSG);
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    assert_int_equal(counters_attach(pair[0], &attached), -EBADMSG);
    (void)close(pair[0]);
    (void)close(pair[1]);
    (void)close(empty);
    assert_int_equal(counters_attach(empty, &attached), -EBADF);
    assert_null(attached);
}

static void
sums_add_up_every_slot(void **state)
{
    struct counter_sums sums;
    struct counters *counters;
    int fd;

    (void)state;
    assert_int_equal(counters_create(3, &counters, &fd), 0);
    for (unsigned i = 0; i < 3; i++) {
        struct slot *slot = &counters->slots[i];
        counters_use(counters, slot);
        counter_bump(slot->accepted, 1 + i);
        counter_bump(slot->refused, 10 + i);
        counter_bump(slot->failed, 20 + i);
        counter_bump(slot->vanished, 30 + i);
        counter_bump(slot->cut, 40 + i);
        counter_bump(slot->truncated, 50 + i);
        counter_bump(slot->bytes_in, 60 + i);
        counter_bump(slot->bytes_out, 70 + i);
        counter_bump(slot->busy_ns, 80 + i);
    }
    counter_set(counters->slots[0].state, SLOT_BUSY);
    counter_set(counters->slots[1].state, SLOT_IDLE);
    counter_set(counters->slots[2].state, SLOT_STARTING);
    counters_sum(counters, 3, &sums);
    assert_int_equal(sums.active, 1);
    assert_int_equal(sums.idle, 1);
    assert_int_equal(sums.accepted, 6);
    assert_int_equal(sums.refused, 33);
    assert_int_equal(sums.failed, 63);
    assert_int_equal(sums.vanished, 93);
    assert_int_equal(sums.cut, 123);
    assert_int_equal(sums.truncated, 153);
    assert_int_equal(sums.bytes_in, 183);
    assert_int_equal(sums.bytes_out, 213);
    assert_int_equal(sums.busy_ns, 243);
    counters_detach(counters, 3);
    (void)close(fd);
}

/* The supervisor goes by its own count, whatever the worker writes. */
static void
sums_trust_nothing_in_the_memory(void **state)
{
    struct counter_sums sums;
    struct counters *counters;
    int fd;

    (void)state;
    assert_int_equal(counters_create(2, &counters, &fd), 0);
    counters->slot_count = UINT32_MAX;
    counter_set(counters->used, UINT32_MAX);
    for (unsigned i = 0; i < 2; i++) {
        counter_set(counters->slots[i].state, 12345);
        counter_set(counters->slots[i].accepted, UINT64_MAX);
    }
    counters_sum(counters, 2, &sums);
    assert_int_equal(sums.active, 0);
    assert_int_equal(sums.idle, 0);
    assert_true(sums.accepted == UINT64_MAX - 1); /* wraps, and that is all */
    counters_detach(counters, 2);
    (void)close(fd);
}

/* What is counted for the worker as a whole is there once, however many slots there are. */
static void
sums_of_the_worker_are_not_multiplied(void **state)
{
    struct counter_sums sums;
    struct counters *counters;
    int fd;

    (void)state;
    assert_int_equal(counters_create(3, &counters, &fd), 0);
    counter_set(counters->cpu_ns, 5000);
    counter_set(counters->log_lost, 7);
    counters_sum(counters, 3, &sums);
    assert_int_equal(sums.cpu_ns, 5000);
    counters_use(counters, &counters->slots[2]);
    counters_sum(counters, 3, &sums);
    assert_int_equal(sums.cpu_ns, 5000);
    assert_int_equal(sums.log_lost, 7);
    assert_int_equal(counter_shown(&sums, &counter_table[20]), 5);
    counters_detach(counters, 3);
    (void)close(fd);
}

/* What a worker that is gone has counted, with what another one has: each counter by itself. */
static void
past_sums_add_every_counter(void **state)
{
    struct counter_sums all = {.active = 1}, gone = {.active = 5, .idle = 7};

    (void)state;
    for (size_t i = 0; i < COUNTER_COUNT; i++)
        *counter_in_sums(&gone, &counter_table[i]) = 10 + i;
    counter_sums_add_past(&all, &gone);
    counter_sums_add_past(&all, &gone);
    assert_int_equal(all.active, 1);
    assert_int_equal(all.idle, 0);
    for (size_t i = 0; i < COUNTER_COUNT; i++)
        assert_int_equal(counter_of_sums(&all, &counter_table[i]), 2 * (10 + i));
    assert_int_equal(all.accepted, 20);
    assert_int_equal(all.busy_ns, 36);
    assert_int_equal(counter_shown(&(struct counter_sums){.busy_ns = 5999}, &counter_table[8]), 5);
}

/* ---- the table ------------------------------------------------------------------- */

static char *
read_file(const char *path)
{
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;

    if (file == NULL || getdelim(&text, &size, '\0', file) <= 0)
        fail_msg("cannot read %s: %m", path);
    return text;
}

/* Whether the table has a row with that name, or with the microseconds of that field. */
static bool
has_row(const char *field)
{
    size_t stem = strlen(field);

    if (stem > 3 && strcmp(field + stem - 3, "_ns") == 0)
        stem -= 2;
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        const char *name = counter_table[i].name;
        if (strncmp(name, field, stem) == 0 &&
            (name[stem] == '\0' || strcmp(name + stem, "us") == 0))
            return true;
    }
    return false;
}

/* The header itself is read: a field that somebody adds cannot be forgotten. */
static void
every_sum_of_a_slot_is_in_the_table(void **state)
{
    _cleanup_free_ char *text = read_file(HEADER);
    char *start = strstr(text, "/* sums since the worker started"), *end, *rest;
    size_t fields = 0;

    (void)state;
    assert_non_null(start);
    assert_non_null(end = strstr(start, "\n} __attribute__"));
    *end = '\0';
    while ((start = strstr(start, "_Atomic ")) != NULL) {
        char *line = start + strlen("_Atomic uint64_t ");
        assert_int_equal(strncmp(start, "_Atomic uint64_t ", strlen("_Atomic uint64_t ")), 0);
        start = strchr(line, ';');
        assert_non_null(start);
        *start++ = '\0';
        for (char *field = strtok_r(line, ", ", &rest); field != NULL;
             field = strtok_r(NULL, ", ", &rest)) {
            if (!has_row(field))
                fail_msg("counter_table has no row for \"%s\"", field);
            fields++;
        }
    }
    for (size_t i = 0; i < COUNTER_COUNT; i++)
        fields += counter_table[i].in_slot == 0;
    assert_int_equal(fields, COUNTER_COUNT);
}

/* No row points to a place that another has, or outside the sums, or beside a field. */
static void
rows_of_the_table_are_fields_of_their_own(void **state)
{
    const size_t slot_first = offsetof(struct slot, accepted);
    const size_t sums_first = offsetof(struct counter_sums, accepted);
    bool slots[COUNTER_COUNT] = {false}, sums[COUNTER_COUNT] = {false};

    (void)state;
    assert_int_equal(offsetof(struct counter_sums, handling),
                     sums_first + COUNTERS_FIRST * sizeof(uint64_t));
    assert_int_equal(sizeof(struct counter_sums),
                     sums_first + COUNTER_COUNT * sizeof(uint64_t) + sizeof(struct histogram));
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        bool of_worker = counter_table[i].in_slot == 0;
        size_t in_slot = of_worker ? 0 : counter_table[i].in_slot - slot_first;
        size_t in_sums = counter_table[i].in_sums - sums_first;
        if (i >= COUNTERS_FIRST)
            in_sums -= sizeof(struct histogram);
        assert_int_equal(in_slot % sizeof(uint64_t) + in_sums % sizeof(uint64_t), 0);
        assert_in_range(in_slot / sizeof(uint64_t), 0, COUNTER_COUNT - 1);
        assert_in_range(in_sums / sizeof(uint64_t), 0, COUNTER_COUNT - 1);
        assert_int_equal(of_worker, counter_table[i].in_worker != 0);
        assert_in_range(counter_table[i].in_worker, 0, offsetof(struct counters, handling) - 8);
        assert_false(!of_worker && slots[in_slot / sizeof(uint64_t)]);
        assert_false(sums[in_sums / sizeof(uint64_t)]);
        slots[in_slot / sizeof(uint64_t)] |= !of_worker;
        sums[in_sums / sizeof(uint64_t)] = true;
    }
}

static void
interface_tells_every_counter_and_what_it_counts(void **state)
{
    _cleanup_free_ char *text = read_file(INTERFACE);

    (void)state;
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        char lines[256];
        (void)snprintf(lines, sizeof(lines), "\n  # %s\n  %s: int,\n", counter_table[i].help,
                       counter_table[i].name);
        if (strstr(text, lines) == NULL)
            fail_msg("expected in " INTERFACE ":%s", lines);
    }
}

static blkcnt_t
allocated(int fd)
{
    struct stat status;

    assert_int_equal(fstat(fd, &status), 0);
    return status.st_blocks;
}

/* A slot that was never given out costs no memory, however many there are and whoever reads. */
static void
only_slots_given_out_are_read(void **state)
{
    const uint32_t slots = 100000;
    struct counter_sums sums;
    struct counters *counters;
    int fd;

    (void)state;
    assert_int_equal(counters_create(slots, &counters, &fd), 0);
    assert_int_equal(counters_used(counters, slots), 0);
    counters_use(counters, &counters->slots[16]);
    counter_set(counters->slots[16].state, SLOT_BUSY);
    counters_sum(counters, slots, &sums);
    blkcnt_t before = allocated(fd);
    counters_sum(counters, slots, &sums);
    assert_int_equal(sums.active, 1);
    assert_int_equal(allocated(fd), before);
    assert_in_range(before * 512, 1, 64 * 1024);
    counters_detach(counters, slots);
    (void)close(fd);
}

static void
mark_of_used_slots_never_falls(void **state)
{
    struct counters *counters;
    int fd;

    (void)state;
    assert_int_equal(counters_create(9, &counters, &fd), 0);
    counters_use(counters, &counters->slots[0]);
    assert_int_equal(counters_used(counters, 9), 1);
    counters_use(counters, &counters->slots[8]);
    assert_int_equal(counters_used(counters, 9), 9);
    counters_use(counters, &counters->slots[3]);
    assert_int_equal(counters_used(counters, 9), 9);
    assert_int_equal(counters_used(counters, 4), 4);
    counters_detach(counters, 9);
    (void)close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attached_counters_are_the_same_memory),
        cmocka_unit_test(slots_share_no_cache_line),
        cmocka_unit_test(size_is_sealed),
        cmocka_unit_test(attach_refuses_a_slot_count_that_does_not_fit),
        cmocka_unit_test(attach_refuses_what_is_no_counters),
        cmocka_unit_test(sums_add_up_every_slot),
        cmocka_unit_test(sums_trust_nothing_in_the_memory),
        cmocka_unit_test(sums_of_the_worker_are_not_multiplied),
        cmocka_unit_test(past_sums_add_every_counter),
        cmocka_unit_test(every_sum_of_a_slot_is_in_the_table),
        cmocka_unit_test(rows_of_the_table_are_fields_of_their_own),
        cmocka_unit_test(interface_tells_every_counter_and_what_it_counts),
        cmocka_unit_test(only_slots_given_out_are_read),
        cmocka_unit_test(mark_of_used_slots_never_falls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
