/* SPDX-License-Identifier: MIT */
/*
 * commands.c - what the commands do with strings, keys, lists and hashes
 *
 * Runs in:  a handler, with the store's lock held: nothing here waits.
 * Owns:     nothing.
 * Failures: answered. What was done before one stays done.
 */
#define _GNU_SOURCE 1 /* twalk_r() */
#include "redis.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LONGEST    (1LL << 50) /* milliseconds: as long as a key may be told to live */
#define MOST_STEPS 100000000L  /* of KEYS, for which all others wait: some tenths of a second */

/* ---- what commands begin with ---------------------------------------------------------------- */

static const char wrong_kind[] =
    "-WRONGTYPE Operation against a key holding the wrong kind of value";
static const char no_integer[] = "-ERR value is not an integer or out of range";
const char no_memory[] = "-OOM command not allowed when used memory > 'memory'";

static bool
read_integer(const struct bytes *word, int64_t *ret)
{
    char *end;

    if (word->size == 0 || word->size > 20 || word->data[0] == '+' ||
        strchr(" \t\n\v\f\r", word->data[0]))
        return false;
    errno = 0;
    long long value = strtoll(word->data, &end, 10);
    if (errno != 0 || end != word->data + word->size)
        return false;
    *ret = value;
    return true;
}

bool
is_word(const struct bytes *word, const char *text)
{
    return strcasecmp(word->data, text) == 0;
}

/* The node of the key that is a command's first argument, if it has one; false, and an answer, if
 * that is of another kind. */
static bool
find_kind(struct client *client, enum kind kind, struct node **ret)
{
    struct node *node = find(&store.keys, &client->words[1]);

    if (node != NULL && node->kind != kind) {
        answer(client, "%s", wrong_kind);
        return false;
    }
    *ret = node;
    return true;
}

/* The same; makes it if there is none. */
static bool
have_kind(struct client *client, enum kind kind, struct node **ret)
{
    if (!find_kind(client, kind, ret))
        return false;
    if (*ret == NULL && (*ret = make(&store.keys, &client->words[1], kind)) == NULL) {
        answer(client, "%s", no_memory);
        return false;
    }
    return true;
}

/* What became empty is no key any more. */
static void
drop_if_empty(struct node *node)
{
    if (node->length == 0 && node->fields.count == 0)
        drop(&store.keys, node);
}

/* A key becomes this string, whatever it was. */
static struct node *
put_string(const struct bytes *name, const struct bytes *value)
{
    struct node *node = find(&store.keys, name);

    if (node != NULL && node->kind != STRING) {
        drop(&store.keys, node);
        node = NULL;
    }
    if (node == NULL && (node = make(&store.keys, name, STRING)) == NULL)
        return NULL;
    set_expiry(node, 0);
    if (set_string(node, 0, value))
        return node;
    if (node->string.data == NULL)
        drop(&store.keys, node);
    return NULL;
}

/* The value of a string or field, or that there is none. */
static void
answer_node(struct client *client, const struct node *node)
{
    if (node != NULL)
        answer_bytes(client, node->string.data, node->string.size);
    else
        answer(client, "$-1");
}

/* ---- commands: strings ----------------------------------------------------------------------- */

void
do_get(struct client *client)
{
    struct node *node;

    if (find_kind(client, STRING, &node))
        answer_node(client, node);
}

/* The options of SET. False, and an answer, if one is wrong. */
static bool
read_set_options(struct client *client, int64_t *ret_lives, bool *ret_new, bool *ret_old)
{
    for (size_t i = 3; i < client->count; i++) {
        const struct bytes *word = &client->words[i];
        int64_t unit = is_word(word, "EX") ? 1000 : is_word(word, "PX") ? 1 : 0;
        if (unit != 0 && *ret_lives == 0 && i + 1 < client->count) {
            if (!read_integer(&client->words[++i], ret_lives)) {
                answer(client, "%s", no_integer);
                return false;
            }
            if (*ret_lives <= 0 || *ret_lives > LONGEST / unit) {
                answer(client, "-ERR invalid expire time in 'set' command");
                return false;
            }
            *ret_lives *= unit;
        } else if (is_word(word, "NX") && !*ret_old) {
            *ret_new = true;
        } else if (is_word(word, "XX") && !*ret_new) {
            *ret_old = true;
        } else {
            answer(client, "-ERR syntax error");
            return false;
        }
    }
    return true;
}

void
do_set(struct client *client)
{
    int64_t lives = 0;
    bool must_be_new = false, must_be_old = false;

    if (!read_set_options(client, &lives, &must_be_new, &must_be_old))
        return;
    if (must_be_new || must_be_old)
        if ((find(&store.keys, &client->words[1]) != NULL) != must_be_old) {
            answer(client, "$-1");
            return;
        }
    struct node *node = put_string(&client->words[1], &client->words[2]);
    if (node != NULL && lives > 0)
        set_expiry(node, now() + lives);
    answer(client, "%s", node != NULL ? "+OK" : no_memory);
}

void
do_mget(struct client *client)
{
    answer(client, "*%zu", client->count - 1);
    for (size_t i = 1; i < client->count; i++) {
        struct node *node = find(&store.keys, &client->words[i]);
        answer_node(client, node != NULL && node->kind == STRING ? node : NULL);
    }
}

void
do_mset(struct client *client)
{
    bool done = client->count % 2 == 1;

    if (!done) {
        answer(client, "-ERR wrong number of arguments for 'mset' command");
        return;
    }
    for (size_t i = 1; done && i < client->count; i += 2)
        done = put_string(&client->words[i], &client->words[i + 1]) != NULL;
    answer(client, "%s", done ? "+OK" : no_memory);
}

static void
add_integer(struct client *client, int64_t by)
{
    struct node *node;
    int64_t value = 0;
    char digits[32];

    if (!find_kind(client, STRING, &node))
        return;
    if (node != NULL && !read_integer(&node->string, &value))
        answer(client, "%s", no_integer);
    else if (__builtin_add_overflow(value, by, &value))
        answer(client, "-ERR increment or decrement would overflow");
    else if (have_kind(client, STRING, &node)) {
        int size = snprintf(digits, sizeof(digits), "%lld", (long long)value);
        if (set_string(node, 0, &(struct bytes){digits, (size_t)size}))
            answer_integer(client, value);
        else
            answer(client, "%s", no_memory);
    }
}

void
do_incr(struct client *client)
{
    add_integer(client, client->how);
}

void
do_incrby(struct client *client)
{
    int64_t by;

    if (read_integer(&client->words[2], &by))
        add_integer(client, by);
    else
        answer(client, "%s", no_integer);
}

void
do_append(struct client *client)
{
    const struct bytes *added = &client->words[2];
    struct node *node;

    if (!have_kind(client, STRING, &node))
        return;
    if (node->string.size + added->size > store.max_size)
        answer(client, "-ERR string exceeds maximum allowed size (max_size)");
    else if (!set_string(node, node->string.size, added))
        answer(client, "%s", no_memory);
    else
        answer_integer(client, (int64_t)node->string.size);
}

void
do_strlen(struct client *client)
{
    struct node *node;

    if (find_kind(client, STRING, &node))
        answer_integer(client, node != NULL ? (int64_t)node->string.size : 0);
}

/* ---- commands: keys -------------------------------------------------------------------------- */

void
do_del(struct client *client)
{
    int64_t dropped = 0;

    for (size_t i = 1; i < client->count; i++) {
        struct node *node = find(&store.keys, &client->words[i]);
        if (node != NULL) {
            drop(&store.keys, node);
            dropped++;
        }
    }
    answer_integer(client, dropped);
}

void
do_exists(struct client *client)
{
    int64_t found = 0;

    for (size_t i = 1; i < client->count; i++)
        found += find(&store.keys, &client->words[i]) != NULL;
    answer_integer(client, found);
}

void
do_type(struct client *client)
{
    static const char *const kinds[] = {"string", "list", "hash"};
    struct node *node = find(&store.keys, &client->words[1]);

    answer(client, "+%s", node != NULL ? kinds[node->kind] : "none");
}

void
do_expire(struct client *client)
{
    struct node *node = find(&store.keys, &client->words[1]);
    int64_t seconds;

    if (!read_integer(&client->words[2], &seconds) || seconds > LONGEST / 1000) {
        answer(client, "%s", no_integer);
        return;
    }
    if (node != NULL && seconds > 0)
        set_expiry(node, now() + seconds * 1000);
    else if (node != NULL)
        drop(&store.keys, node);
    answer_integer(client, node != NULL);
}

void
do_ttl(struct client *client)
{
    struct node *node = find(&store.keys, &client->words[1]);

    if (node == NULL || node->expires == 0)
        answer_integer(client, node == NULL ? -2 : -1);
    else
        answer_integer(client, (node->expires - now() + 500) / 1000);
}

void
do_persist(struct client *client)
{
    struct node *node = find(&store.keys, &client->words[1]);
    bool expires = node != NULL && node->expires != 0;

    if (expires)
        set_expiry(node, 0);
    answer_integer(client, expires);
}

/* "*" is any text, "?" any character, "\x" the character x. It takes up to both lengths multiplied,
 * whatever the pattern; false, too, once *steps, which are taken off, are used up. */
static bool
matches(const char *pattern, const char *text, long *steps)
{
    const char *star = NULL, *from = NULL;

    while (*text != '\0')
        if (--*steps < 0) {
            return false;
        } else if (*pattern == '*') {
            star = ++pattern;
            from = text;
        } else if (*pattern == '?' || (*pattern == '\\' ? *++pattern : *pattern) == *text) {
            pattern += *pattern != '\0';
            text++;
        } else if (star != NULL) {
            pattern = star;
            text = ++from;
        } else {
            return false;
        }
    return pattern[strspn(pattern, "*")] == '\0';
}

struct search {
    struct client *client;
    int64_t time;
    size_t found;
    long steps; /* that are left */
};

static void
search_node(const void *at, VISIT visit, void *userdata)
{
    const struct node *node = *(struct node *const *)at;
    struct search *search = userdata;

    if (visit != postorder && visit != leaf)
        return;
    if ((node->expires != 0 && node->expires <= search->time) ||
        !matches(search->client->words[1].data, node->name.data, &search->steps))
        return;
    answer_bytes(search->client, node->name.data, node->name.size);
    search->found++;
}

/* The number comes first: so the keys are put aside until it is known. */
void
do_keys(struct client *client)
{
    struct text before = client->reply;
    struct search search = {.client = client, .time = now(), .steps = MOST_STEPS};

    if (client->words[1].size > 256) {
        answer(client, "-ERR the pattern is longer than 256 bytes");
        return;
    }
    client->reply = (struct text){0};
    twalk_r(store.keys.root, search_node, &search);
    struct text keys = client->reply;
    client->reply = before;
    if (search.steps < 0) {
        answer(client, "-ERR the search takes too long: a shorter pattern takes less");
    } else {
        answer(client, "*%zu", search.found);
        text_add(&client->reply, keys.data, keys.size);
        client->reply.failed |= keys.failed;
    }
    free(keys.data);
}

void
do_dbsize(struct client *client)
{
    answer_integer(client, (int64_t)store.keys.count);
}

void
do_flushall(struct client *client)
{
    drop_all(&store.keys);
    answer(client, "+OK");
}

/* ---- commands: lists ------------------------------------------------------------------------- */

void
do_push(struct client *client)
{
    struct node *node;

    if (!have_kind(client, LIST, &node))
        return;
    for (size_t i = 2; i < client->count; i++) {
        if (!push_item(node, &client->words[i], client->how == LEFT)) {
            answer(client, "%s", no_memory);
            drop_if_empty(node);
            return;
        }
    }
    answer_integer(client, (int64_t)node->length);
}

void
do_pop(struct client *client)
{
    struct node *node;

    if (!find_kind(client, LIST, &node))
        return;
    if (node == NULL) {
        answer(client, "$-1");
        return;
    }
    struct item *item =
        client->how == LEFT ? TAILQ_FIRST(&node->list) : TAILQ_LAST(&node->list, items);
    answer_bytes(client, item->data, item->size);
    drop_item(node, item);
    drop_if_empty(node);
}

void
do_llen(struct client *client)
{
    struct node *node;

    if (find_kind(client, LIST, &node))
        answer_integer(client, node != NULL ? (int64_t)node->length : 0);
}

/* From the first to the last, both included; negative ones count from the end. */
void
do_lrange(struct client *client)
{
    struct node *node;
    int64_t first, last, at = 0;

    if (!read_integer(&client->words[2], &first) || !read_integer(&client->words[3], &last)) {
        answer(client, "%s", no_integer);
        return;
    }
    if (!find_kind(client, LIST, &node))
        return;
    int64_t length = node != NULL ? (int64_t)node->length : 0;
    first = first >= 0 ? first : first + length > 0 ? first + length : 0;
    last = last < 0 ? last + length : last < length ? last : length - 1;
    answer(client, "*%lld", (long long)(first <= last ? last - first + 1 : 0));
    if (first > last)
        return;
    for (struct item *item = TAILQ_FIRST(&node->list); at <= last && !client->reply.failed;
         item = TAILQ_NEXT(item, link), at++)
        if (at >= first)
            answer_bytes(client, item->data, item->size);
}

/* ---- commands: hashes ------------------------------------------------------------------------ */

void
do_hset(struct client *client)
{
    struct node *node;
    int64_t added = 0;
    bool done = true;

    if (client->count % 2 != 0) {
        answer(client, "-ERR wrong number of arguments for 'hset' command");
        return;
    }
    if (!have_kind(client, HASH, &node))
        return;
    for (size_t i = 2; done && i < client->count; i += 2) {
        struct node *field = find(&node->fields, &client->words[i]);
        if (field == NULL && (field = make(&node->fields, &client->words[i], STRING)) != NULL)
            added++;
        done = field != NULL && set_string(field, 0, &client->words[i + 1]);
    }
    if (done)
        answer_integer(client, added);
    else
        answer(client, "%s", no_memory);
    drop_if_empty(node);
}

void
do_hget(struct client *client)
{
    struct node *node;

    if (find_kind(client, HASH, &node))
        answer_node(client, node != NULL ? find(&node->fields, &client->words[2]) : NULL);
}

void
do_hdel(struct client *client)
{
    struct node *node;
    int64_t dropped = 0;

    if (!find_kind(client, HASH, &node))
        return;
    for (size_t i = 2; node != NULL && i < client->count; i++) {
        struct node *field = find(&node->fields, &client->words[i]);
        if (field != NULL) {
            drop(&node->fields, field);
            dropped++;
        }
    }
    if (node != NULL)
        drop_if_empty(node);
    answer_integer(client, dropped);
}
