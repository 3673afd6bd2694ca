/* SPDX-License-Identifier: MIT */
/*
 * redis.h - what the parts of the example share: the store, a client, the commands
 */
#ifndef EXAMPLE_REDIS_H
#define EXAMPLE_REDIS_H

#include <pthread.h>
#include <sockserver/plugin.h>
#include <sys/queue.h>

#define MOST_WORDS 1024 /* of a command */

struct bytes {
    char *data;
    size_t size;
};

/* Text that grows to max_size; what does not fit is not added, and told by `failed`. */
struct text {
    char *data;
    size_t size, capacity;
    bool failed;
};

struct item {
    TAILQ_ENTRY(item) link;
    size_t size;
    char data[];
};

struct table {
    void *root; /* of tsearch(3): balanced, so nobody makes it slow by the choice of names */
    size_t count;
};

enum kind { STRING, LIST, HASH };
enum how { LEFT, RIGHT }; /* a push or a pop */

/* A key and its value, or a field of a hash, whose value is a string. */
struct node {
    struct bytes name; /* first: whoever looks for a node has only that */
    enum kind kind;
    struct bytes string;
    TAILQ_HEAD(items, item) list;
    size_t length; /* of the list */
    struct table fields;
    int64_t expires; /* in milliseconds; 0: never */
    TAILQ_ENTRY(node) expiring;
};

struct client {
    struct ss_request *request;
    struct text input, reply;
    int how; /* of what two commands do */
    bool leaves;
    struct ss_waker *waker; /* of one who has listened to channels */
    struct table channels;
    struct text mail; /* what was published there */
    TAILQ_ENTRY(client) link;
    size_t count;
    struct bytes words[MOST_WORDS]; /* the command; each has a NUL behind it */
};

extern struct store {
    pthread_mutex_t lock;
    struct table keys;
    TAILQ_HEAD(nodes, node) expiring;
    TAILQ_HEAD(clients, client) listeners;
    size_t used, memory, max_size; /* bytes */
} store;

/* store.c. All of it is called with the lock held. */
int64_t now(void); /* in milliseconds */
/* The node of that name, unless it has expired; NULL: there is none. */
struct node *find(struct table *table, const struct bytes *name);
/* One more, of a name that the table has not. NULL: no memory. */
struct node *make(struct table *table, const struct bytes *name, enum kind kind);
void drop(struct table *table, struct node *node);
void drop_all(struct table *table);
/* One more at an end of a list. False: no memory. */
bool push_item(struct node *node, const struct bytes *word, bool left);
void drop_item(struct node *node, struct item *item);
void set_expiry(struct node *node, int64_t expires);
/* Keeps so many bytes of the string, and puts others behind them. False: no memory, no change. */
bool set_string(struct node *node, size_t keep, const struct bytes *added);
/* Drops some of what has expired and nobody asks for. */
void sweep(void);

/* redis.c: an answer grows in memory. */
bool text_reserve(struct text *text, size_t size);
void text_add(struct text *text, const void *data, size_t size);
/* A line, whose first character says what it is. */
void answer(struct client *client, const char *format, ...) __attribute__((format(printf, 2, 3)));
void answer_integer(struct client *client, int64_t number);
void answer_bytes(struct client *client, const char *data, size_t size);

void answer_text(struct client *client, const char *text);

/* publish.c: before the client ends. */
void stop_listening(struct client *client);

/* commands.c, publish.c */
typedef void command_fn(struct client *client);
command_fn do_append, do_dbsize, do_del, do_exists, do_expire, do_flushall, do_get, do_hdel,
    do_hget, do_hset, do_incr, do_incrby, do_keys, do_llen, do_lrange, do_mget, do_mset, do_persist,
    do_pop, do_publish, do_push, do_set, do_strlen, do_subscribe, do_ttl, do_type, do_unsubscribe;
bool is_word(const struct bytes *word, const char *text);
extern const char no_memory[];

#endif
