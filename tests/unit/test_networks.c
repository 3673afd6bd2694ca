/* SPDX-License-Identifier: MIT */
/*
 * test_networks.c - access lists: reading an item, and which item decides
 */
#include "networks_fixture.h"

#include "common/array.h"

/* ---- reading --------------------------------------------------------------------------------- */

static void
mistakes_say_what_was_meant(void **state)
{
    static const struct {
        const char *text, *said;
    } rows[] = {
        {"192.0.2.7/24",
         "did you mean the network \"192.0.2.0/24\", or the address \"192.0.2.7\"?"},
        {"2001:db8::1/32", "did you mean the network \"2001:db8::/32\""},
        {"::ffff:192.0.2.7/120", "did you mean the network \"192.0.2.0/24\""},
        {"1.0.0.0/0", "did you mean the network \"0.0.0.0/0\""},
        {"192.0.2.0/33", "a whole number from 0 to 32"},
        {"192.0.2.0/", "a whole number from 0 to 32"},
        {"192.0.2.0/+8", "a whole number from 0 to 32"},
        {"192.0.2.0/024", "a whole number from 0 to 32"},
        {"192.0.2.0/255.255.255.0", "a whole number from 0 to 32"},
        {"192.0.2.0/4294967320", "a whole number from 0 to 32"},
        {"2001:db8::/129", "a whole number from 0 to 128"},
        {"192.0.2", "expected a network such as"},
        {"192.0.2.0/24/8", "a whole number"},
        {"192.000.2.1", "expected a network such as"},
        {" 192.0.2.1", "expected a network such as"},
        {"[2001:db8::1]", "expected a network such as"},
        {"", "expected a network such as"},
        {"/24", "expected a network such as"},
        {"Local", "expected a network such as"},
        {"fe80::1%eth0", "knows no zones"},
        {"*", "give both \"0.0.0.0/0\" and \"::/0\""},
        {"any", "give both \"0.0.0.0/0\" and \"::/0\""},
        {"localhost", "give \"local\""},
        {"user:", "lacks the user's name"},
        {"group:nobody-like-this", "expected a group that exists here, or a number"},
        {"user:4294967295", "expected a user that exists here, or a number"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct network network;
        char *problem = NULL;

        assert_int_equal(network_parse(rows[i].text, network_id_number, &network, &problem),
                         -EINVAL);
        if (strstr(problem, rows[i].said) == NULL)
            fail_msg("%s: %s", rows[i].text, problem);
        free(problem);
    }
}

static void
parse(const char *text, struct network *ret)
{
    char *problem = NULL;

    if (network_parse(text, network_id_number, ret, &problem) < 0)
        fail_msg("%s: %s", text, problem);
}

static void
items_are_read(void **state)
{
    struct network network, other;

    (void)state;
    parse("192.0.2.0/24", &network);
    assert_int_equal(network.bits, 96 + 24);
    assert_true(network.first.low == UINT64_C(0xffffc0000200));
    assert_true(network_last(&network).low == UINT64_C(0xffffc00002ff));
    parse("::ffff:192.0.2.0/120", &other);
    assert_int_equal(other.bits, network.bits);
    assert_int_equal(network_key_compare(other.first, network.first), 0);
    parse("0.0.0.0/0", &network);
    assert_int_equal(network.bits, 96);
    parse("2001:db8::1", &network);
    assert_int_equal(network.bits, 128);
    parse("::/0", &network);
    assert_true(network_last(&network).high == UINT64_MAX);
    parse("user:0", &network);
    assert_int_equal(network.kind, NETWORK_USER);
    parse("group:4294967294", &network);
    assert_true(network.id == UINT32_MAX - 1);
}

/* ---- finding ------------------------------------------------------------------------------- */

static void
expect(const struct networks *networks, const char *client, unsigned line, bool refused)
{
    union address address = address_of(client);
    uint32_t item = networks_find(networks, &address.any);
    struct network_item told = {.line = 0};

    if (item != NETWORKS_NONE)
        networks_item(networks, item, &told);
    if (told.line != line || networks_refuse(networks, item) != refused)
        fail_msg("%s: line %u instead of %u", client, told.line, line);
}

static void
the_longest_prefix_decides_and_a_refusal_at_equal_length(void **state)
{
    static const char *const texts[] = {"10.0.0.0/8",  "-10.1.0.0/16",  "10.1.2.0/24",
                                        "-10.1.2.3",   "10.9.0.0/16",   "-10.9.0.0/16",
                                        "255.0.0.0/8", "2001:db8::/32", NULL};
    struct networks *networks = table_of(texts);

    (void)state;
    expect(networks, "9.255.255.255", 0, true);
    expect(networks, "10.0.0.0", 1, false);
    expect(networks, "10.1.0.0", 2, true);
    expect(networks, "10.1.2.2", 3, false);
    expect(networks, "10.1.2.3", 4, true);
    expect(networks, "10.1.2.4", 3, false);
    expect(networks, "10.1.3.0", 2, true);
    expect(networks, "10.2.0.0", 1, false);
    expect(networks, "10.9.1.1", 6, true);
    expect(networks, "10.255.255.255", 1, false);
    expect(networks, "11.0.0.0", 0, true);
    expect(networks, "255.255.255.255", 7, false);
    expect(networks, "::ffff:10.1.2.3", 4, true);
    expect(networks, "::1:0:0:0", 0, true);
    expect(networks, "2001:db8:ffff::", 8, false);
    free(networks);
}

static void
everybody_of_ipv6_is_nobody_of_ipv4(void **state)
{
    static const char *const six[] = {"-::/0", NULL}, *const four[] = {"-0.0.0.0/0", NULL},
                             *const both[] = {"-::/0", "-0.0.0.0/0", NULL};
    struct networks *networks = table_of(six);

    (void)state;
    expect(networks, "192.0.2.1", 0, false);
    expect(networks, "::", 1, true);
    expect(networks, "::ffff:0:0:1", 1, true);
    expect(networks, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1, true);
    free(networks);
    networks = table_of(four);
    expect(networks, "255.255.255.255", 1, true);
    expect(networks, "::1:0:0:0", 0, false);
    expect(networks, "::fffe:ffff:ffff", 0, false);
    free(networks);
    networks = table_of(both);
    expect(networks, "0.0.0.0", 2, true);
    expect(networks, "::1", 1, true);
    free(networks);
}

static void
local_is_loopback_and_every_unix_peer(void **state)
{
    static const char *const texts[] = {"-0.0.0.0/0", "local", "-127.0.0.2", NULL};
    struct networks *networks = table_of(texts);
    const union address unix_peer = {.un = {.sun_family = AF_UNIX}};

    (void)state;
    expect(networks, "127.255.255.255", 2, false);
    expect(networks, "127.0.0.2", 3, true);
    expect(networks, "128.0.0.0", 1, true);
    expect(networks, "::1", 2, false);
    expect(networks, "::2", 0, true);
    assert_int_equal(networks_find(networks, &unix_peer.any), 1);
    assert_false(networks_name_peers(networks));
    free(networks);
}

static void
a_user_decides_before_groups_and_these_before_local(void **state)
{
    static const char *const texts[] = {"-local",    "user:1", "-user:2", "group:10",
                                        "-group:11", "user:3", "-user:3", NULL};
    static const struct {
        uid_t uid;
        gid_t gids[2];
        uint32_t item;
    } rows[] = {
        {1, {11, 11}, 1}, {2, {10, 10}, 2}, {3, {10, 10}, 6}, {4, {10, 9}, 3},
        {4, {9, 10}, 3},  {4, {10, 11}, 4}, {4, {11, 10}, 4}, {4, {8, 9}, 0},
    };
    struct networks *networks = table_of(texts);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_int_equal(networks_find_peer(networks, rows[i].uid, rows[i].gids, 2), rows[i].item);
    assert_true(networks_name_peers(networks));
    free(networks);
}

/* ---- against a model ----------------------------------------------------------------------- */

struct model {
    struct network network;
    bool deny;
};

static bool
is_mapped(struct network_key key)
{
    return key.high == 0 && key.low >> 32 == 0xffff;
}

static bool
contains(const struct network *network, struct network_key key)
{
    if (network->bits < NETWORK_IPV4_BITS && is_mapped(key))
        return false;
    return network_key_compare(network->first, key) <= 0 &&
           network_key_compare(key, network_last(network)) <= 0;
}

/* The verdict of looking at all of them in turn. */
static bool
model_refuses(const struct model *models, size_t count, struct network_key key)
{
    int best = -1;
    bool refused = false, allows = false;

    for (size_t i = 0; i < count; i++) {
        int bits = (int)models[i].network.bits;

        allows |= !models[i].deny;
        if (!contains(&models[i].network, key) || bits < best)
            continue;
        refused = bits > best ? models[i].deny : refused || models[i].deny;
        best = bits;
    }
    return best < 0 ? allows : refused;
}

/* Few different bits, so that networks lie in each other and touch. */
static struct network_key
random_key(bool ipv4)
{
    static const uint8_t bytes[] = {0, 1, 0x7f, 0x80, 0xfe, 0xff};
    uint8_t raw[16] = {[10] = 0xff, [11] = 0xff};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    for (size_t i = ipv4 ? 12 : 0; i < 16; i++)
        raw[i] = bytes[random_below(ARRAY_SIZE(bytes))];
    memcpy(&in6.sin6_addr, raw, sizeof(raw));
    return network_key_of((const struct sockaddr *)&in6);
}

static void
format(struct network_key key, char buffer[INET6_ADDRSTRLEN], struct sockaddr_in6 *ret)
{
    *ret = (struct sockaddr_in6){.sin6_family = AF_INET6};
    for (size_t i = 0; i < 8; i++) {
        ret->sin6_addr.s6_addr[i] = (uint8_t)(key.high >> (56 - 8 * i));
        ret->sin6_addr.s6_addr[i + 8] = (uint8_t)(key.low >> (56 - 8 * i));
    }
    assert_non_null(inet_ntop(AF_INET6, &ret->sin6_addr, buffer, INET6_ADDRSTRLEN));
}

static void
add_random(struct networks_builder *builder, struct model *model)
{
    bool ipv4 = random_below(2) == 0;
    unsigned bits = ipv4 ? 96 + random_below(33) : random_below(129);
    struct network network = {.kind = NETWORK_ADDRESSES, .bits = bits};
    struct network_key last = network_last(&network);
    char address[INET6_ADDRSTRLEN], text[64], *problem = NULL;
    struct sockaddr_in6 ignored;

    network.first = random_key(ipv4);
    network.first.high &= ~last.high;
    network.first.low &= ~last.low;
    *model = (struct model){network, random_below(2) == 0};
    format(network.first, address, &ignored);
    (void)snprintf(text, sizeof(text), "%s/%u", address, bits);
    const struct network_item item = {.text = text, .deny = model->deny};
    if (networks_add(builder, &item, network_id_number, &problem) < 0)
        fail_msg("%s", problem);
}

static struct network_key
beside(struct network_key key, int64_t step)
{
    struct network_key next = {key.high, key.low + (uint64_t)step};

    if (step > 0 && next.low == 0)
        next.high++;
    if (step < 0 && next.low == UINT64_MAX)
        next.high--;
    return next;
}

static void
compare(const struct networks *networks, const struct model *models, size_t count,
        struct network_key key)
{
    char text[INET6_ADDRSTRLEN];
    struct sockaddr_in6 client;

    format(key, text, &client);
    bool refused =
        networks_refuse(networks, networks_find(networks, (const struct sockaddr *)&client));
    if (refused != model_refuses(models, count, key))
        fail_msg("%s: %s", text, refused ? "refused" : "allowed");
}

/* At random, and at the two ends of each network, where a mistake would be. */
static void
random_lists_decide_as_the_model_does(void **state)
{
    (void)state;
    for (int round = 0; round < 400; round++) {
        struct networks_builder builder = {0};
        struct networks *networks;
        struct model models[40];
        size_t count = random_below(ARRAY_SIZE(models) + 1);

        for (size_t i = 0; i < count; i++)
            add_random(&builder, &models[i]);
        assert_int_equal(networks_build(&builder, &networks), 0);
        networks_builder_done(&builder);
        assert_true(networks_are_sound(networks, networks_size(networks)));
        for (size_t i = 0; i < count; i++) {
            struct network_key first = models[i].network.first,
                               last = network_last(&models[i].network);
            compare(networks, models, count, first);
            compare(networks, models, count, last);
            compare(networks, models, count, beside(first, -1));
            compare(networks, models, count, beside(last, 1));
        }
        for (int i = 0; i < 100; i++)
            compare(networks, models, count, random_key(i % 2 == 0));
        free(networks);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_say_what_was_meant),
        cmocka_unit_test(items_are_read),
        cmocka_unit_test(the_longest_prefix_decides_and_a_refusal_at_equal_length),
        cmocka_unit_test(everybody_of_ipv6_is_nobody_of_ipv4),
        cmocka_unit_test(local_is_loopback_and_every_unix_peer),
        cmocka_unit_test(a_user_decides_before_groups_and_these_before_local),
        cmocka_unit_test(random_lists_decide_as_the_model_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
