/* SPDX-License-Identifier: MIT */
/*
 * explain.c - what `allow`, `deny` and `proxy` make of a client, and why
 *
 * The table that is asked is the one that workers decide by. No name is looked
 * up here: whoever asks about a user sends numbers.
 *
 * Runs in:  the supervisor.
 * Owns:     nothing.
 * Failures: a question that makes no sense is answered with what is expected.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/texts.h"
#include "supervisor/control/control_private.h"

#define GIDS_MOST 65537 /* the kernel's own NGROUPS_MAX, and the first one */

/* Who is asked about. */
struct subject {
    bool peer;                       /* of a Unix socket */
    struct sockaddr_storage address; /* of any other client */
    uid_t uid;                       /* (uid_t)-1: no user is known */
    gid_t *gids;                     /* owned */
    size_t gid_count;
};

#define _cleanup_subject_ __attribute__((cleanup(subject_done)))

static void
subject_done(struct subject *subject)
{
    free(subject->gids);
}

/* ---- the question -------------------------------------------------------------------------- */

/* Returns a client by the text of its address; false: it is none. */
static bool
read_address(const char *text, struct subject *ret)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct sockaddr_in in = {.sin_family = AF_INET};

    if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
        memcpy(&ret->address, &in, sizeof(in));
    else if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1)
        memcpy(&ret->address, &in6, sizeof(in6));
    else
        return false;
    return true;
}

/* Reads one of "user:1000" and "group:4". */
static bool
read_identity(const char *text, struct subject *subject)
{
    struct network network;
    char *problem = NULL;

    if (network_parse(text, network_id_number, &network, &problem) < 0) {
        free(problem);
        return false;
    }
    if (network.kind == NETWORK_USER && subject->uid == (uid_t)-1)
        subject->uid = network.id;
    else if (network.kind == NETWORK_GROUP && subject->gid_count < GIDS_MOST)
        subject->gids[subject->gid_count++] = network.id;
    else
        return false;
    return true;
}

/* Reads "user:1000,group:1000,group:4"; false: it is something else. */
static bool
read_peer(const char *text, struct subject *ret)
{
    _cleanup_free_ char *copy = strdup(text);
    char *rest = copy, *item;

    ret->gids = calloc(strlen(text) + 1, sizeof(*ret->gids)); /* an item has more than one byte */
    if (copy == NULL || ret->gids == NULL)
        return false;
    while ((item = strsep(&rest, ",")) != NULL)
        if (!read_identity(item, ret))
            return false;
    ret->peer = true;
    return ret->uid != (uid_t)-1;
}

/* Reads whom the text means as a client of that listener. Returns NULL, or what is expected. */
static const char *
read_subject(const char *text, const struct settings *settings, struct subject *ret)
{
    const struct address *address = &settings->address;
    bool local = strcmp(text, "local") == 0, any = address->scheme == ADDRESS_SYSTEMD;

    *ret = (struct subject){.uid = (uid_t)-1};
    if (local && address_is_unix(address))
        ret->peer = true;
    else if (!read_address(local ? "127.0.0.1" : text, ret) && !read_peer(text, ret))
        return "an IPv4 or IPv6 address, \"local\", or \"user:NUMBER\" with its groups, such as "
               "\"user:1000,group:1000,group:4\"";
    if (ret->peer && !any && !address_is_unix(address))
        return "an address, as clients of this listener have";
    if (!ret->peer && !any && address_is_unix(address))
        return "\"local\" or \"user:NAME\", as clients of a Unix socket have no address";
    return NULL;
}

/* ---- the answer ---------------------------------------------------------------------------- */

static uint32_t
find(const struct networks *networks, const struct settings *settings,
     const struct subject *subject)
{
    static const struct sockaddr unknown_peer = {.sa_family = AF_UNIX};
    bool datagrams = settings->address.scheme == ADDRESS_UNIXGRAM;

    if (!subject->peer)
        return networks_find(networks, (const struct sockaddr *)&subject->address);
    if (subject->uid == (uid_t)-1)
        return networks_find(networks, &unknown_peer);
    /* Of a datagram's sender the kernel tells only the first group. */
    return networks_find_peer(networks, subject->uid, subject->gids,
                              datagrams && subject->gid_count > 1 ? 1 : subject->gid_count);
}

/* Makes the reply; its text is made of the same members. */
static json_t *
answer(bool allowed, const char *key, const struct network_item *item, const char *text)
{
    return json_pack("{s:b, s:o, s:o, s:o, s:o, s:o}", "allowed", allowed, "key", varlink_text(key),
                     "item", varlink_text(item == NULL ? NULL : item->text), "file",
                     varlink_text(item == NULL ? NULL : item->file), "line",
                     item == NULL || item->file == NULL ? json_null()
                                                        : json_integer((json_int_t)item->line),
                     "text", varlink_text(text));
}

static json_t *
answer_by_item(const struct network_item *item)
{
    const char *key = item->deny ? "deny" : "allow", *verdict = item->deny ? "denied" : "allowed";
    _cleanup_free_ char *text = NULL;
    int r = item->file == NULL
                ? asprintf(&text, "%s by %s = \"%s\" (command line)", verdict, key, item->text)
                : asprintf(&text, "%s by %s = \"%s\" (%s:%u)", verdict, key, item->text, item->file,
                           item->line);

    if (r < 0)
        text = NULL;
    return answer(!item->deny, key, item, text);
}

/* Nobody's item decides: the key that is there does. */
static json_t *
answer_by_key(const struct settings *settings, bool refused)
{
    const char *key = refused ? "allow" : "deny";
    const struct setting *setting = setting_find(key);
    const struct given *place =
        settings->places == NULL ? NULL : &settings->places[setting - settings_table];
    const struct network_item item = {.file = place == NULL ? NULL : place->file,
                                      .line = place == NULL ? 0 : place->line};
    _cleanup_free_ char *where = NULL, *text = NULL;

    if (item.file != NULL && asprintf(&where, " (%s:%u)", item.file, item.line) < 0)
        where = NULL;
    if (asprintf(&text,
                 refused ? "denied, because allow%s does not name it"
                         : "allowed, because deny%s does not name it, and there is no allow",
                 where == NULL ? "" : where) < 0)
        text = NULL;
    return answer(!refused, key, &item, text);
}

static struct source_key
source_of(const struct settings *settings, const struct subject *subject)
{
    const struct source_prefix prefix = {settings->source_prefix.ipv4,
                                         settings->source_prefix.ipv6};

    return subject->peer ? source_key_of_user(subject->uid)
                         : source_key_of((const struct sockaddr *)&subject->address, prefix);
}

bool
control_source_of(const struct settings *settings, const char *client, struct source_key *ret,
                  const char **ret_expected)
{
    _cleanup_subject_ struct subject subject;

    *ret_expected = read_subject(client, settings, &subject);
    if (*ret_expected == NULL)
        *ret = source_of(settings, &subject);
    return *ret_expected == NULL;
}

/* What the lists make of it. */
static json_t *
answer_by_lists(const struct settings *settings, const struct subject *subject)
{
    const struct networks *networks = access_list_networks(settings->access);
    struct network_item item;

    if (networks == NULL)
        return answer(true, NULL, NULL, "allowed, because there is neither allow nor deny");
    uint32_t found = find(networks, settings, subject);
    if (found == NETWORKS_NONE)
        return answer_by_key(settings, networks_refuse(networks, found));
    networks_item(networks, found, &item);
    return answer_by_item(&item);
}

/* What `proxy` makes of it, if the listener has that: a text, or null. */
static json_t *
answer_by_proxy(const struct settings *settings, const struct subject *subject)
{
    const struct given *place = settings_place(settings, "proxy.trusted");
    _cleanup_free_ char *where = NULL, *text = NULL;
    struct networks *trusted;

    if (texts_count(settings->proxy.trusted) == 0)
        return json_null();
    if (networks_from_texts(settings->proxy.trusted, &trusted) < 0)
        return NULL;
    bool named = find(trusted, settings, subject) != NETWORKS_NONE;
    free(trusted);
    if (place->file != NULL && asprintf(&where, " (%s:%u)", place->file, place->line) < 0)
        where = NULL;
    if (asprintf(&text,
                 named ? "proxy.trusted%s names it: it must announce its client by a PROXY header"
                       : "proxy.trusted%s does not name it: it is turned away, unless it comes by "
                         "way of a balancer that announces it",
                 where == NULL ? "" : where) < 0)
        text = NULL;
    return varlink_text(text);
}

/* Whether the address is what "local" means. */
static bool
is_local(const struct subject *subject)
{
    const struct sockaddr *address = (const struct sockaddr *)&subject->address;
    struct network_key key = network_key_of(address);

    return subject->peer || (key.high == 0 && (key.low == 1 || key.low >> 24 == 0xffff7f));
}

json_t *
control_explain(const struct listener *listener, const char *client, const char **ret_expected)
{
    const struct settings *settings = listener_settings(listener);
    _cleanup_subject_ struct subject subject;

    *ret_expected = read_subject(client, settings, &subject);
    if (*ret_expected != NULL)
        return NULL;
    json_t *reply = answer_by_lists(settings, &subject);
    varlink_set(&reply, "proxy", answer_by_proxy(settings, &subject));
    varlink_set(&reply, "limits",
                control_source_lines(listener, source_of(settings, &subject), is_local(&subject)));
    return reply;
}
