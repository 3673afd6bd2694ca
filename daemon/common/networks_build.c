/* SPDX-License-Identifier: MIT */
/*
 * networks_build.c - an access list is compiled: from its items to the block that networks.c reads
 *
 * All networks are sorted, outer ones first, and swept from the lowest address
 * to the highest: where one begins or ends, another item decides from there on.
 *
 * Runs in:  the process that reads the configuration; a worker, for proxy.trusted.
 * Owns:     a builder its arrays, until networks_builder_done().
 * Failures: returned.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/networks_private.h"

/* ---- gathering ----------------------------------------------------------------------------- */

/* Makes room for `more` behind `count`. Returns 0 or -ENOMEM. */
static int
make_room(void *array, size_t *room, size_t count, size_t more, size_t size)
{
    size_t wanted = *room == 0 ? 64 : *room;
    void *present;

    if (count + more <= *room)
        return 0;
    while (wanted < count + more)
        wanted *= 2;
    memcpy(&present, array, sizeof(present));
    void *grown = reallocarray(present, wanted, size);
    if (grown == NULL)
        return -ENOMEM;
    memcpy(array, &grown, sizeof(grown));
    *room = wanted;
    return 0;
}

static int
add_text(struct networks_builder *builder, const char *text, uint32_t *ret)
{
    size_t size = strlen(text) + 1;

    if (builder->text_size + size > UINT32_MAX / 2)
        return -E2BIG;
    if (make_room(&builder->texts, &builder->text_room, builder->text_size, size, 1) < 0)
        return -ENOMEM;
    memcpy(builder->texts + builder->text_size, text, size);
    *ret = (uint32_t)builder->text_size;
    builder->text_size += size;
    return 0;
}

/* The items of one file follow each other: its name is kept once. */
static int
add_file(struct networks_builder *builder, const char *file, uint32_t *ret)
{
    int r = 0;

    if (file == NULL) {
        *ret = NO_FILE;
        return 0;
    }
    if (builder->last_file == NULL || strcmp(builder->last_file, file) != 0)
        r = add_text(builder, file, &builder->last_file_at);
    if (r < 0)
        return r;
    builder->last_file = file;
    *ret = builder->last_file_at;
    return 0;
}

static int
add_piece(struct networks_builder *builder, const struct network *network)
{
    if (make_room(&builder->pieces, &builder->piece_room, builder->piece_count, 1,
                  sizeof(*builder->pieces)) < 0)
        return -ENOMEM;
    builder->pieces[builder->piece_count++] = (struct networks_piece){
        .network = *network,
        .item = (uint32_t)builder->entry_count,
    };
    return 0;
}

/* "local" is two networks, and the peers of Unix sockets. */
static int
add_pieces(struct networks_builder *builder, const struct network *network)
{
    static const struct network loopback[] = {
        {.kind = NETWORK_ADDRESSES, .first = {0, UINT64_C(0x0000ffff7f000000)}, .bits = 96 + 8},
        {.kind = NETWORK_ADDRESSES, .first = {0, 1}, .bits = 128},
    };
    int r = add_piece(builder, network);

    for (size_t i = 0; network->kind == NETWORK_LOCAL && r == 0 && i < 2; i++)
        r = add_piece(builder, &loopback[i]);
    return r;
}

int
networks_add(struct networks_builder *builder, const struct network_item *item,
             network_id_finder *find_id, char **ret_problem)
{
    struct networks_entry entry = {.line = item->line, .deny = item->deny};
    struct network network;
    int r = network_parse(item->text, find_id, &network, ret_problem);

    if (r < 0)
        return r;
    if (builder->entry_count >= NETWORKS_MOST)
        return -E2BIG;
    if ((r = add_text(builder, item->text, &entry.text)) < 0 ||
        (r = add_file(builder, item->file, &entry.file)) < 0 ||
        (r = make_room(&builder->entries, &builder->entry_room, builder->entry_count, 1,
                       sizeof(entry))) < 0 ||
        (r = add_pieces(builder, &network)) < 0)
        return r;
    builder->entries[builder->entry_count++] = entry;
    return 0;
}

void
networks_builder_done(struct networks_builder *builder)
{
    free(builder->pieces);
    free(builder->entries);
    free(builder->texts);
    *builder = (struct networks_builder){0};
}

/* ---- building ------------------------------------------------------------------------------ */

/* The compiled table while it grows, beside the arrays that it is made of. */
struct plan {
    const struct networks_builder *builder;
    struct range *ranges;
    size_t range_count;
    struct identity *identities;
    size_t identity_count;
    uint32_t local;
};

static bool
denies(const struct networks_builder *builder, uint32_t item)
{
    return item != NETWORKS_NONE && builder->entries[item].deny != 0;
}

/* Of two items that are about the same, the refusal decides, else the one that came first. */
static uint32_t
stronger(const struct networks_builder *builder, uint32_t one, uint32_t other)
{
    if (one == NETWORKS_NONE)
        return other;
    return !denies(builder, one) && denies(builder, other) ? other : one;
}

/* By kind; addresses outer networks first. Equal ones stay as they were given, by their items. */
static int
compare_pieces(const void *a, const void *b)
{
    const struct networks_piece *one = a, *other = b;
    const struct network *n = &one->network, *m = &other->network;
    int order = network_key_compare(n->first, m->first);

    if (n->kind != m->kind)
        return n->kind < m->kind ? -1 : 1;
    if (order != 0)
        return order;
    if (n->bits != m->bits)
        return n->bits < m->bits ? -1 : 1;
    if (n->id != m->id)
        return n->id < m->id ? -1 : 1;
    return (one->item > other->item) - (one->item < other->item);
}

static bool
are_same(const struct network *one, const struct network *other)
{
    return one->kind == other->kind && network_key_compare(one->first, other->first) == 0 &&
           one->bits == other->bits && one->id == other->id;
}

/* From this address on the item decides. */
static void
begin_range(struct plan *plan, struct network_key first, uint32_t item)
{
    size_t count = plan->range_count;

    if (count > 0 && network_key_compare(plan->ranges[count - 1].first, first) == 0)
        count--;
    plan->range_count = count;
    if (count > 0 && plan->ranges[count - 1].item == item)
        return;
    plan->ranges[plan->range_count++] = (struct range){.first = first, .item = item};
}

/* Behind a network, the one that it lies in decides. */
static void
end_range(struct plan *plan, const struct network *network, uint32_t outer)
{
    struct network_key next = network_last(network);

    if (++next.low == 0 && ++next.high == 0)
        return; /* it was the last address that there is */
    begin_range(plan, next, outer);
}

/* The networks that the sweep is in at present, the innermost last; a prefix has 0 to 128 bits. */
struct nest {
    struct networks_piece open[130];
    size_t depth;
};

static bool
lies_in(const struct network *inner, const struct network *outer)
{
    return network_key_compare(inner->first, network_last(outer)) <= 0;
}

static void
close_innermost(struct plan *plan, struct nest *nest)
{
    const struct network *inner = &nest->open[--nest->depth].network;

    end_range(plan, inner, nest->depth == 0 ? NETWORKS_NONE : nest->open[nest->depth - 1].item);
}

static void
sweep(struct plan *plan, const struct networks_piece *piece, struct nest *nest)
{
    while (nest->depth > 0 && !lies_in(&piece->network, &nest->open[nest->depth - 1].network))
        close_innermost(plan, nest);
    if (nest->depth > 0 && are_same(&piece->network, &nest->open[nest->depth - 1].network)) {
        uint32_t *item = &nest->open[nest->depth - 1].item;
        *item = stronger(plan->builder, *item, piece->item);
        begin_range(plan, piece->network.first, *item);
        return;
    }
    nest->open[nest->depth++] = *piece;
    begin_range(plan, piece->network.first, piece->item);
}

static void
add_identity(struct plan *plan, const struct networks_piece *piece)
{
    struct identity *last = plan->identities + plan->identity_count;

    if (plan->identity_count > 0 && last[-1].kind == piece->network.kind &&
        last[-1].id == piece->network.id)
        last[-1].item = stronger(plan->builder, last[-1].item, piece->item);
    else
        plan->identities[plan->identity_count++] = (struct identity){
            .kind = piece->network.kind, .id = piece->network.id, .item = piece->item};
}

/* The pieces are in order. */
static void
lay_out(struct plan *plan)
{
    const struct networks_builder *builder = plan->builder;
    struct nest nest = {0};

    begin_range(plan, (struct network_key){0}, NETWORKS_NONE);
    for (size_t i = 0; i < builder->piece_count; i++) {
        const struct networks_piece *piece = &builder->pieces[i];

        if (piece->network.kind == NETWORK_ADDRESSES)
            sweep(plan, piece, &nest);
        else if (piece->network.kind == NETWORK_LOCAL)
            plan->local = stronger(builder, plan->local, piece->item);
        else
            add_identity(plan, piece);
    }
    while (nest.depth > 0)
        close_innermost(plan, &nest);
}

static bool
any_allows(const struct networks_builder *builder)
{
    if (builder->strict)
        return true;
    for (size_t i = 0; i < builder->entry_count; i++)
        if (builder->entries[i].deny == 0)
            return true;
    return false;
}

static int
make_block(const struct plan *plan, struct networks **ret)
{
    const struct networks_builder *builder = plan->builder;
    struct networks head = {
        .ranges = (uint32_t)plan->range_count,
        .identities = (uint32_t)plan->identity_count,
        .entries = (uint32_t)builder->entry_count,
        .text_size = (uint32_t)builder->text_size,
        .local = plan->local,
        .allows = any_allows(builder),
    };
    uint64_t size = size_of(&head);
    struct networks *block = size > UINT32_MAX ? NULL : malloc(size);

    if (block == NULL)
        return -ENOMEM;
    head.size = (uint32_t)size;
    *block = head;
    memcpy((void *)ranges_of(block), plan->ranges, head.ranges * sizeof(struct range));
    if (head.identities > 0)
        memcpy((void *)identities_of(block), plan->identities,
               head.identities * sizeof(struct identity));
    if (head.entries > 0)
        memcpy((void *)entries_of(block), builder->entries,
               head.entries * sizeof(struct networks_entry));
    if (head.text_size > 0)
        memcpy((void *)texts_of(block), builder->texts, head.text_size);
    *ret = block;
    return 0;
}

/*
 * IPv4 addresses lie within IPv6 ones only in this table: "::/0" is not about
 * them. So all of IPv4 is a network that no item is about, unless one is.
 */
static int
set_ipv4_apart(struct networks_builder *builder)
{
    const struct network ipv4 = {.kind = NETWORK_ADDRESSES,
                                 .first = {0, UINT64_C(0x0000ffff00000000)},
                                 .bits = NETWORK_IPV4_BITS};
    int r = add_piece(builder, &ipv4);

    if (r == 0)
        builder->pieces[builder->piece_count - 1].item = NETWORKS_NONE;
    return r;
}

int
networks_build(struct networks_builder *builder, struct networks **ret)
{
    struct plan plan = {.builder = builder, .local = NETWORKS_NONE};
    int r = set_ipv4_apart(builder);

    if (r < 0)
        return r;
    qsort(builder->pieces, builder->piece_count, sizeof(*builder->pieces), compare_pieces);
    plan.ranges = calloc(2 * builder->piece_count + 1, sizeof(*plan.ranges));
    plan.identities = calloc(builder->piece_count, sizeof(*plan.identities));
    if (plan.ranges == NULL || plan.identities == NULL) {
        r = -ENOMEM;
    } else {
        lay_out(&plan);
        r = make_block(&plan, ret);
    }
    builder->piece_count--; /* where IPv4 is set apart is the block's business */
    free(plan.ranges);
    free(plan.identities);
    return r;
}

int
networks_from_texts(char *const *texts, struct networks **ret)
{
    struct networks_builder builder = {0};
    char *problem = NULL;
    int r = 0;

    for (size_t i = 0; texts != NULL && texts[i] != NULL && r == 0; i++)
        r = networks_add(&builder, &(struct network_item){.text = texts[i]}, network_id_number,
                         &problem);
    if (r == 0)
        r = networks_build(&builder, ret);
    networks_builder_done(&builder);
    free(problem);
    return r;
}
