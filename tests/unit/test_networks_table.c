/* SPDX-License-Identifier: MIT */
/*
 * test_networks_table.c - access lists as blocks of bytes: how large, how sound, and in another
 * process
 */
#include "networks_fixture.h"

#include "common/access_list.h"
#include "common/array.h"
#include "common/memfd.h"

/* ---- size and bytes ------------------------------------------------------------------------ */

static struct networks *
many(unsigned count)
{
    struct networks_builder builder = {0};
    struct networks *networks;
    char text[32], *problem = NULL;

    for (unsigned i = 0; i < count; i++) {
        uint32_t address = 0x0b000000 + i * 0x2f00 / 256 * 256;
        (void)snprintf(text, sizeof(text), "%u.%u.%u.0/24", address >> 24, address >> 16 & 255,
                       address >> 8 & 255);
        const struct network_item item = {text, true, "/etc/blocked", i + 1};
        assert_int_equal(networks_add(&builder, &item, network_id_number, &problem), 0);
    }
    assert_int_equal(networks_build(&builder, &networks), 0);
    networks_builder_done(&builder);
    return networks;
}

static int64_t
now(clockid_t clock)
{
    struct timespec time;

    assert_int_equal(clock_gettime(clock, &time), 0);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* Processor time, so that others on this machine do not matter much; and wide bounds. */
static void
ten_thousand_networks_cost_little(void **state)
{
    enum { LOOKUPS = 200000 };
    int64_t began = now(CLOCK_THREAD_CPUTIME_ID);
    struct networks *networks = many(10000);
    int64_t built = now(CLOCK_THREAD_CPUTIME_ID);
    uint64_t refused = 0;

    (void)state;
    for (int i = 0; i < LOOKUPS; i++) {
        struct sockaddr_in in = {.sin_family = AF_INET};
        in.sin_addr.s_addr = htonl(0x0b000000 + random_below(0x08000000));
        uint32_t item = networks_find(networks, (const struct sockaddr *)&in);
        refused += networks_refuse(networks, item);
    }
    int64_t done = now(CLOCK_THREAD_CPUTIME_ID);
    print_message("built in %.2f ms; %.0f ns for one look-up; %zu bytes\n",
                  (double)(built - began) / 1e6, (double)(done - built) / LOOKUPS,
                  networks_size(networks));
    assert_in_range(refused, LOOKUPS / 1000, LOOKUPS);
    assert_true((built - began) < INT64_C(500000000));
    assert_true((done - built) / LOOKUPS < 10000);
    free(networks);
}

static void
a_table_has_a_bound(void **state)
{
    struct networks_builder builder = {0};
    const struct network_item item = {.text = "local"};
    char *problem = NULL;

    (void)state;
    for (int i = 0; i < NETWORKS_MOST; i++)
        assert_int_equal(networks_add(&builder, &item, network_id_number, &problem), 0);
    assert_int_equal(networks_add(&builder, &item, network_id_number, &problem), -E2BIG);
    networks_builder_done(&builder);
}

/* Whatever is written into it, a table that is said to be sound can be asked. */
static void
spoilt_bytes_are_found_or_harmless(void **state)
{
    static const char *const texts[] = {"10.0.0.0/8", "-10.1.0.0/16",   "user:1", "-group:2",
                                        "local",      "-2001:db8::/32", NULL};
    static const gid_t gids[] = {1, 2, 3};
    struct networks *good = table_of(texts);
    size_t size = networks_size(good);
    struct networks *spoilt = malloc(size);
    unsigned found = 0;

    (void)state;
    assert_non_null(spoilt);
    for (int i = 0; i < 20000; i++) {
        struct network_item told;
        union address client = address_of(i % 2 == 0 ? "10.1.1.1" : "2001:db8::1");

        memcpy(spoilt, good, size);
        ((unsigned char *)spoilt)[random_below((uint32_t)size)] = (unsigned char)random_below(256);
        if (!networks_are_sound(spoilt, size)) {
            found++;
            continue;
        }
        uint32_t item = networks_find(spoilt, &client.any);
        (void)networks_refuse(spoilt, item);
        item = networks_find_peer(spoilt, random_below(3), gids, ARRAY_SIZE(gids));
        if (item == NETWORKS_NONE)
            continue;
        networks_item(spoilt, item, &told);
        assert_true(strlen(told.text) < size && (told.file == NULL || strlen(told.file) < size));
    }
    assert_in_range(found, 1000, 19000);
    assert_false(networks_are_sound(good, size - 1));
    assert_false(networks_are_sound(good, 0));
    free(good);
    free(spoilt);
}

static void
tables_that_decide_the_same_are_equal(void **state)
{
    static const char *const rows[][4] = {
        {"-10.0.0.0/8", "10.1.0.0/16", NULL, NULL}, {"10.1.0.0/16", "-10.0.0.0/8", NULL, NULL},
        {"10.0.0.0/8", "10.1.0.0/16", NULL, NULL},  {"-10.0.0.0/8", "10.1.0.0/17", NULL, NULL},
        {"-10.0.0.0/8", "local", NULL, NULL},       {"-10.0.0.0/8", "user:1", NULL, NULL},
        {"-10.0.0.0/8", "user:2", NULL, NULL},
    };
    struct networks *tables[ARRAY_SIZE(rows)];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        tables[i] = table_of(rows[i]);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        for (size_t j = 0; j < ARRAY_SIZE(rows); j++)
            assert_int_equal(networks_equal(tables[i], tables[j]), i == j || i + j == 1);
    assert_false(networks_equal(tables[0], NULL));
    assert_true(networks_equal(NULL, NULL));
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        free(tables[i]);
}

/* ---- in another process -------------------------------------------------------------------- */

static void
a_table_is_mapped_only_if_it_is_one(void **state)
{
    static const char *const texts[] = {"-10.0.0.0/8", NULL};
    struct access_list *list = access_list_new(table_of(texts)), *copy;
    const struct networks *mapped;
    union address client = address_of("10.1.2.3");
    int fd = access_list_fd(list);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(access_list_fd(list), fd); /* the same one for every worker */
    assert_int_equal(access_list_map(fd, &mapped), 0);
    assert_true(networks_refuse(mapped, networks_find(mapped, &client.any)));
    assert_int_equal(access_list_copy(mapped, networks_size(mapped), &copy), 0);
    assert_true(networks_equal(access_list_networks(copy), mapped));
    assert_int_equal(access_list_copy(mapped, networks_size(mapped) - 1, &copy), -EBADMSG);
    int unsealed = memfd_create("unsealed", MFD_CLOEXEC);
    assert_int_equal(write(unsealed, mapped, networks_size(mapped)), networks_size(mapped));
    assert_int_equal(access_list_map(unsealed, &mapped), -EBADMSG);
    (void)close(unsealed);
    int nonsense = memfd_sealed("nonsense", "nonsense", 8);
    assert_int_equal(access_list_map(nonsense, &mapped), -EBADMSG);
    (void)close(nonsense);
    assert_int_equal(access_list_map(-1, &mapped), -EBADF);
    assert_int_equal(access_list_fd(NULL), -1);
    access_list_unref(copy);
    access_list_unref(list);
}

static void
a_list_of_texts_makes_a_table(void **state)
{
    char *trusted[] = {"192.0.2.0/24", "local", NULL}, *wrong[] = {"192.0.2.1/24", NULL};
    union address balancer = address_of("192.0.2.9"), other = address_of("192.0.3.9");
    struct networks *networks;

    (void)state;
    assert_int_equal(networks_from_texts(wrong, &networks), -EINVAL);
    assert_int_equal(networks_from_texts(trusted, &networks), 0);
    assert_int_equal(networks_find(networks, &balancer.any), 0);
    assert_true(networks_find(networks, &other.any) == NETWORKS_NONE);
    free(networks);
    assert_int_equal(networks_from_texts(NULL, &networks), 0);
    assert_true(networks_find(networks, &balancer.any) == NETWORKS_NONE);
    assert_false(networks_refuse(networks, NETWORKS_NONE));
    free(networks);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_thousand_networks_cost_little),
        cmocka_unit_test(a_table_has_a_bound),
        cmocka_unit_test(spoilt_bytes_are_found_or_harmless),
        cmocka_unit_test(tables_that_decide_the_same_are_equal),
        cmocka_unit_test(a_table_is_mapped_only_if_it_is_one),
        cmocka_unit_test(a_list_of_texts_makes_a_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
