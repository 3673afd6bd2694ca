/* SPDX-License-Identifier: MIT */
/*
 * fuzz_networks.c - any text as an access list
 *
 * A libFuzzer target. Each line is an item, a refusal if it begins with "-". An
 * item is either refused with a sentence or understood without one. Of what was
 * understood a table is made, which must decide as a model does that looks at
 * one item after the other: at the ends of each network and beside them. The
 * table's bytes are sound, and stay harmless with one of them changed.
 */
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/networks.h"
#include "expect.h"

#define ITEMS 64
#define LIMIT 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
lies_in(struct network_key key, struct network_key first, unsigned bits)
{
    const struct network network = {.first = first, .bits = bits};
    struct network_key last = network_last(&network);

    return network_key_compare(first, key) <= 0 && network_key_compare(key, last) <= 0;
}

/* How many bits of the key the item names; -1: it is not about the key. */
static int
match(const struct network *network, struct network_key key)
{
    const struct network_key loopback = {0, UINT64_C(0xffff7f000000)}, one = {0, 1};

    if (network->kind == NETWORK_LOCAL)
        return lies_in(key, loopback, 104) ? 104 : lies_in(key, one, 128) ? 128 : -1;
    if (network->kind != NETWORK_ADDRESSES || (is_mapped(key) && network->bits < NETWORK_IPV4_BITS))
        return -1;
    return lies_in(key, network->first, network->bits) ? (int)network->bits : -1;
}

static bool
model_refuses(const struct model *models, size_t count, struct network_key key)
{
    bool refused = false, allows = false;
    int best = -1;

    for (size_t i = 0; i < count; i++) {
        int bits = match(&models[i].network, key);

        allows |= !models[i].deny;
        if (bits < 0 || bits < best)
            continue;
        refused = bits > best ? models[i].deny : refused || models[i].deny;
        best = bits;
    }
    return best < 0 ? allows : refused;
}

static bool
table_refuses(const struct networks *networks, struct network_key key)
{
    struct sockaddr_in6 client = {.sin6_family = AF_INET6};

    for (size_t i = 0; i < 8; i++) {
        client.sin6_addr.s6_addr[i] = (uint8_t)(key.high >> (56 - 8 * i));
        client.sin6_addr.s6_addr[i + 8] = (uint8_t)(key.low >> (56 - 8 * i));
    }
    return networks_refuse(networks, networks_find(networks, (const struct sockaddr *)&client));
}

static void
compare_around(const struct networks *networks, const struct model *models, size_t count,
               struct network_key key)
{
    struct network_key before = {key.high - (key.low == 0), key.low - 1};
    struct network_key after = {key.high + (key.low == UINT64_MAX), key.low + 1};
    const struct network_key keys[] = {before, key, after};

    for (size_t i = 0; i < 3; i++)
        expect(table_refuses(networks, keys[i]) == model_refuses(models, count, keys[i]));
}

static void
change_a_byte(const struct networks *networks, const uint8_t *data, size_t size)
{
    size_t bytes = networks_size(networks);
    _cleanup_free_ struct networks *spoilt = malloc(bytes);
    struct network_item item;

    if (spoilt == NULL || size < 3)
        return;
    memcpy(spoilt, networks, bytes);
    ((unsigned char *)spoilt)[(data[0] * 256u + data[1]) % bytes] = data[2];
    if (!networks_are_sound(spoilt, bytes))
        return;
    (void)table_refuses(spoilt, (struct network_key){0, UINT64_C(0xffff7f000001)});
    uint32_t found = networks_find_peer(spoilt, data[0], (const gid_t[]){data[1]}, 1);
    if (found != NETWORKS_NONE) {
        networks_item(spoilt, found, &item);
        expect(strlen(item.text) < bytes);
    }
}

/* Returns whether the item was understood; then the model has it, too. */
static bool
add(struct networks_builder *builder, const char *line, struct model *model)
{
    bool deny = *line == '-';
    const struct network_item item = {.text = line + deny, .deny = deny};
    char *problem = NULL;
    int r = networks_add(builder, &item, network_id_number, &problem);

    expect((r < 0) == (problem != NULL));
    free(problem);
    if (r < 0)
        return false;
    expect(network_parse(item.text, network_id_number, &model->network, &problem) == 0);
    model->deny = deny;
    return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = size <= LIMIT ? malloc(size + 1) : NULL;
    _cleanup_free_ struct networks *networks = NULL;
    struct networks_builder builder = {0};
    struct model models[ITEMS];
    size_t count = 0;
    char *rest = text, *line;

    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    while (count < ITEMS && (line = strsep(&rest, "\n")) != NULL)
        count += add(&builder, line, &models[count]);
    expect(networks_build(&builder, &networks) == 0);
    networks_builder_done(&builder);
    expect(networks_are_sound(networks, networks_size(networks)));
    expect(networks_equal(networks, networks));
    for (size_t i = 0; i < count; i++) {
        compare_around(networks, models, count, models[i].network.first);
        compare_around(networks, models, count, network_last(&models[i].network));
    }
    change_a_byte(networks, data, size);
    return 0;
}
