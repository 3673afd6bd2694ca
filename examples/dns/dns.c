/* SPDX-License-Identifier: MIT */
/*
 * dns.c - an authoritative name server for one zone
 *
 * A datagram is a query; over a connection each has its length before it. What is no query, or no
 * question about this zone, gets a header that says so; what is itself an answer gets nothing, so
 * that no two servers can be made to talk to each other.
 *
 * Runs in:  a handler thread, child or coroutine; the zone is only read.
 * Owns:     the zone, from server_activate() to server_close().
 * Failures: told to the client, as DNS does.
 */
#include <errno.h>
#include <sockserver/plugin.h>
#include <stdlib.h>
#include <string.h>

#include "zone.h"

#define PLAIN_MOST    512  /* bytes of an answer by UDP to a client without EDNS */
#define DATAGRAM_MOST 1232 /* to any: what is not cut into fragments on the way */
#define STREAM_MOST   65535
#define QUERY_MOST    4096 /* bytes of a query by TCP; more ends the connection */
#define PLACES        32   /* names in an answer to which later ones may point */
#define HOPS          8    /* CNAMEs that are followed */
#define HEADER        12
#define OPT_SIZE      11

enum code { NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 16 };
enum flags { QR = 0x8000, OPCODE = 0x7800, AA = 0x0400, TC = 0x0200, RD = 0x0100, CD = 0x0010 };
enum {
    TYPE_OPT = 41,
    TYPE_IXFR = 251,
    TYPE_AXFR = 252,
    TYPE_ANY = 255,
    CLASS_IN = 1,
    CLASS_ANY = 255
};
enum section { QUESTION, ANSWER, AUTHORITY, ADDITIONAL };

static const struct ss_option options[] = {
    {"zone", SS_PATH, .required = true, .help = "the file of the zone"},
    {0},
};

SS_PLUGIN(.name = "dns", .summary = "an authoritative name server for one zone",
          .transports = SS_STREAM | SS_DATAGRAM, .mixins = SS_THREADING | SS_COROUTINE,
          .options = options)

struct query {
    const uint8_t *packet;
    size_t size, at;
    uint16_t id, flags, type, class;
    size_t question; /* bytes of it behind the header; 0: there is none */
    uint8_t bytes[NAME_MOST];
    struct name name; /* in lower case */
    bool edns;
    uint32_t edns_flags;
    size_t room; /* that the client has for an answer */
};

struct answer {
    uint8_t *data;
    size_t size, limit;
    bool full; /* something did not fit */
    uint16_t flags;
    enum code code;
    uint16_t counts[4];
    uint16_t places[PLACES]; /* where names begin, or a part of them */
    size_t place_count;
};

/* ---- the query ------------------------------------------------------------------------------- */

static uint16_t
get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

/* The question's name, which nothing stands before that it could point to. */
static bool
read_name(struct query *query)
{
    size_t start = query->at;

    for (;;) {
        if (query->at >= query->size || query->packet[query->at] > 63)
            return false;
        uint8_t label = query->packet[query->at];
        query->at += 1u + label;
        if (query->at > query->size || query->at - start > NAME_MOST)
            return false;
        if (label == 0)
            break;
    }
    query->name = name_lower(query->packet + start, query->bytes);
    return true;
}

static bool
skip_name(struct query *query)
{
    while (query->at < query->size) {
        uint8_t label = query->packet[query->at];
        query->at += label >= 0xc0 ? 2 : 1u + label;
        if (label == 0 || label >= 0xc0)
            return query->at <= query->size;
    }
    return false;
}

/* The records behind the question, such as the SOA of IXFR: EDNS's is the only one that says
 * something to us. */
static enum code
read_additional(struct query *query, unsigned count)
{
    enum code code = NOERROR;

    while (count-- > 0) {
        size_t start = query->at;
        if (!skip_name(query) || query->size - query->at < 10)
            return FORMERR;
        const uint8_t *head = query->packet + query->at;
        query->at += 10u + get16(head + 8);
        if (query->at > query->size)
            return FORMERR;
        if (get16(head) != TYPE_OPT)
            continue;
        if (query->edns || query->packet[start] != 0)
            return FORMERR;
        query->edns = true;
        query->room = get16(head + 2);
        query->edns_flags = get16(head + 6) & 0x8000u; /* DO comes back */
        if (head[5] != 0)
            code = BADVERS;
    }
    return code;
}

static enum code
read_query(struct query *query)
{
    const uint8_t *packet = query->packet;

    query->at = HEADER;
    query->room = PLAIN_MOST;
    if ((query->flags & OPCODE) != 0)
        return NOTIMP;
    if (get16(packet + 4) != 1 || get16(packet + 6) != 0 || !read_name(query) ||
        query->size - query->at < 4)
        return FORMERR;
    query->type = get16(packet + query->at);
    query->class = get16(packet + query->at + 2);
    query->at += 4;
    size_t end = query->at;
    enum code code = read_additional(query, get16(packet + 8) + (unsigned)get16(packet + 10));
    if (code != FORMERR)
        query->question = end - HEADER;
    return code == NOERROR && query->at != query->size ? FORMERR : code;
}

/* ---- the answer's bytes ---------------------------------------------------------------------- */

static void
put(struct answer *answer, const void *data, size_t size)
{
    if (size > answer->limit - answer->size)
        answer->full = true;
    if (answer->full)
        return;
    memcpy(answer->data + answer->size, data, size);
    answer->size += size;
}

static void
put16(struct answer *answer, unsigned value)
{
    put(answer, (const uint8_t[]){(uint8_t)(value >> 8), (uint8_t)value}, 2);
}

static void
put32(struct answer *answer, uint32_t value)
{
    put16(answer, value >> 16);
    put16(answer, value & 0xffff);
}

static uint8_t
lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

/* Whether a name in the answer, which has no errors, is this one. */
static bool
is_name(const struct answer *answer, size_t at, const uint8_t *labels)
{
    for (;;) {
        const uint8_t *other = answer->data + at;
        if (other[0] >= 0xc0) {
            at = get16(other) & 0x3fffu;
            continue;
        }
        if (other[0] != labels[0])
            return false;
        if (labels[0] == 0)
            return true;
        for (size_t i = 1; i <= labels[0]; i++)
            if (lower(other[i]) != lower(labels[i]))
                return false;
        at += 1u + labels[0];
        labels += 1u + labels[0];
    }
}

/* Writes a name, as much of it as stands there already by pointing to that: not to itself, whose
 * end is not there yet, and not to one that did not fit. */
static void
put_name(struct answer *answer, const uint8_t *labels)
{
    const size_t whole = answer->place_count;

    for (; *labels != 0 && !answer->full; labels += 1 + *labels) {
        for (size_t i = 0; i < whole; i++)
            if (is_name(answer, answer->places[i], labels)) {
                put16(answer, 0xc000u | answer->places[i]);
                return;
            }
        size_t place = answer->size;
        put(answer, labels, 1u + *labels);
        if (answer->place_count < PLACES && place < 0x4000 && !answer->full)
            answer->places[answer->place_count++] = (uint16_t)place;
    }
    put(answer, labels, 1);
}

/* The question as it came, and the places of its names. */
static void
put_question(struct answer *answer, const struct query *query)
{
    const uint8_t *labels = query->packet + HEADER;

    put(answer, labels, query->question);
    for (size_t at = 0; labels[at] != 0 && answer->place_count < PLACES; at += 1u + labels[at])
        answer->places[answer->place_count++] = (uint16_t)(HEADER + at);
    answer->counts[QUESTION] = 1;
}

static void
put_data(struct answer *answer, const struct record *record)
{
    const uint8_t *data = record->data;
    const char *field = record->form->fields;
    size_t size_at = answer->size;

    put16(answer, 0);
    for (; *field == 'n' || *field == 's'; field++)
        if (*field == 'n') {
            put_name(answer, data);
            data += name_size(data);
        } else {
            put(answer, data, 2);
            data += 2;
        }
    put(answer, data, (size_t)(record->data + record->size - data));
    if (answer->full)
        return;
    size_t size = answer->size - size_at - 2;
    answer->data[size_at] = (uint8_t)(size >> 8);
    answer->data[size_at + 1] = (uint8_t)size;
}

static void
put_record(struct answer *answer, enum section section, const uint8_t *owner, uint32_t ttl,
           const struct record *record)
{
    put_name(answer, owner);
    put16(answer, record->form->type);
    put16(answer, CLASS_IN);
    put32(answer, ttl);
    put_data(answer, record);
    answer->counts[section]++;
}

/* All records of a type that the node has; how many. */
static unsigned
put_records(struct answer *answer, enum section section, const uint8_t *owner,
            const struct node *node, uint16_t type)
{
    unsigned count = 0;

    for (const struct record *record = node->records; record != NULL; record = record->next)
        if (record->form->type == type) {
            put_record(answer, section, owner, record->ttl, record);
            count++;
        }
    return count;
}

/* ---- what the zone says ---------------------------------------------------------------------- */

static bool
is_within(struct name name, struct name zone)
{
    while (name.size > zone.size)
        name = name_parent(name);
    return name.size == zone.size && memcmp(name.labels, zone.labels, zone.size) == 0;
}

/* What is found on the way from a name up to the apex of the zone. */
struct found {
    const struct node *node;      /* the name's own, or NULL */
    const struct node *nearest;   /* the first that exists */
    const struct node *delegated; /* the topmost that belongs to others, or NULL */
};

static struct found
look_up(const struct zone *zone, struct name name)
{
    struct found found = {.nearest = zone->apex};
    size_t apex = zone->apex->name.size;

    if (name.size == apex)
        found.node = zone->apex;
    for (struct name above = name; above.size > apex; above = name_parent(above)) {
        const struct node *node = zone_find(zone, above);
        if (above.size == name.size)
            found.node = node;
        if (node != NULL && found.nearest == zone->apex)
            found.nearest = node;
        if (node != NULL && node_find(node, TYPE_NS) != NULL)
            found.delegated = node;
    }
    return found;
}

/* "*" in place of what of the name does not exist. */
static const struct node *
wildcard(const struct zone *zone, const struct node *nearest)
{
    uint8_t bytes[NAME_MOST];

    if (nearest->name.size + 2 > NAME_MOST)
        return NULL;
    bytes[0] = 1;
    bytes[1] = '*';
    memcpy(bytes + 2, nearest->name.labels, nearest->name.size);
    return zone_find(zone, (struct name){bytes, nearest->name.size + 2});
}

static void
put_soa(struct answer *answer, const struct zone *zone)
{
    put_record(answer, AUTHORITY, zone->apex->name.labels, zone->negative_ttl, zone->soa);
}

/* The addresses of the hosts that a node's records name; what does not fit is left out. */
static void
put_addresses(struct answer *answer, const struct zone *zone, const struct node *node,
              uint16_t type)
{
    uint8_t bytes[NAME_MOST];
    size_t skip = type == TYPE_MX ? 2 : type == TYPE_SRV ? 6 : 0;

    if (type != TYPE_MX && type != TYPE_SRV && type != TYPE_NS)
        return;
    for (const struct record *record = node->records; record != NULL; record = record->next) {
        if (record->form->type != type)
            continue;
        const struct node *host = zone_find(zone, name_lower(record->data + skip, bytes));
        if (host == NULL)
            continue;
        struct answer before = *answer;
        put_records(answer, ADDITIONAL, record->data + skip, host, TYPE_A);
        put_records(answer, ADDITIONAL, record->data + skip, host, TYPE_AAAA);
        if (answer->full)
            *answer = before;
    }
}

/* Those who serve a part of the zone. What they are called there is needed, and must fit. */
static void
refer(struct answer *answer, const struct zone *zone, const struct node *node)
{
    put_records(answer, AUTHORITY, node->name.labels, node, TYPE_NS);
    put_addresses(answer, zone, node, TYPE_NS);
    if (answer->counts[ANSWER] == 0)
        answer->flags &= (uint16_t)~AA;
}

/* What a node says to the question: its CNAME's target, where that is to be followed, or NULL. */
static const uint8_t *
tell(struct answer *answer, const struct zone *zone, const struct query *query,
     const struct node *node, const uint8_t *owner)
{
    const struct record *alias = node_find(node, TYPE_CNAME);
    uint16_t type = query->type;

    if (type == TYPE_ANY && node->records != NULL)
        type = node->records->form->type; /* one of them is enough: RFC 8482 */
    if (alias != NULL && type != TYPE_CNAME) {
        put_record(answer, ANSWER, owner, alias->ttl, alias);
        return alias->data;
    }
    if (put_records(answer, ANSWER, owner, node, type) == 0)
        put_soa(answer, zone);
    else
        put_addresses(answer, zone, node, type);
    return NULL;
}

/* Follows the name, and what it is another name for. */
static void
resolve(struct answer *answer, const struct zone *zone, const struct query *query)
{
    uint8_t bytes[NAME_MOST];
    struct name name = query->name;
    const uint8_t *owner = query->packet + HEADER;

    answer->flags |= AA;
    for (int hops = 0; owner != NULL && hops < HOPS && is_within(name, zone->apex->name); hops++) {
        struct found found = look_up(zone, name);
        if (found.delegated != NULL) {
            refer(answer, zone, found.delegated);
            return;
        }
        const struct node *node = found.node != NULL ? found.node : wildcard(zone, found.nearest);
        if (node == NULL) {
            answer->code = NXDOMAIN;
            put_soa(answer, zone);
            return;
        }
        owner = tell(answer, zone, query, node, owner);
        if (owner != NULL)
            name = name_lower(owner, bytes);
    }
}

/* ---- from a query to an answer --------------------------------------------------------------- */

static void
finish_answer(struct answer *answer, const struct query *query)
{
    answer->limit += query->edns ? OPT_SIZE : 0;
    if (query->edns) {
        put(answer, "\0\0\51", 3);
        put16(answer, DATAGRAM_MOST);
        put32(answer, (uint32_t)answer->code >> 4 << 24 | query->edns_flags);
        put16(answer, 0);
        answer->counts[ADDITIONAL]++;
    }
    size_t size = answer->size;
    answer->size = 0;
    put16(answer, query->id);
    put16(answer, answer->flags | (answer->code & 15u));
    for (int i = QUESTION; i <= ADDITIONAL; i++)
        put16(answer, answer->counts[i]);
    answer->size = size;
}

/* Makes the answer to a query, in `most` bytes at the longest. Its size; 0: there is none. */
static size_t
respond(const struct zone *zone, const uint8_t *packet, size_t size, uint8_t *ret, size_t most)
{
    struct query query = {.packet = packet, .size = size};
    struct answer answer = {.size = HEADER, .limit = most};

    if (size < HEADER || (get16(packet + 2) & QR) != 0)
        return 0;
    answer.data = ret;
    query.id = get16(packet);
    query.flags = get16(packet + 2);
    answer.flags = (uint16_t)(QR | (query.flags & (OPCODE | RD | CD)));
    answer.code = read_query(&query);
    if (most < STREAM_MOST && query.room < most)
        answer.limit = query.room < PLAIN_MOST ? PLAIN_MOST : query.room;
    answer.limit -= query.edns ? OPT_SIZE : 0;
    if (query.question > 0)
        put_question(&answer, &query);
    struct answer empty = answer;
    if (answer.code == NOERROR) {
        if ((query.class != CLASS_IN && query.class != CLASS_ANY) || query.type == TYPE_AXFR ||
            query.type == TYPE_IXFR || !is_within(query.name, zone->apex->name))
            answer.code = REFUSED;
        else
            resolve(&answer, zone, &query);
    }
    if (answer.full) {
        empty.flags |= (uint16_t)((answer.flags & AA) | TC);
        empty.code = answer.code;
        answer = empty;
    }
    finish_answer(&answer, &query);
    return answer.size;
}

/* ---- the hooks ------------------------------------------------------------------------------- */

static int
serve_datagram(struct ss_request *request, const uint8_t *packet, size_t size)
{
    uint8_t answer[DATAGRAM_MOST];

    size = respond(ss_server_data(ss_server(request)), packet, size, answer, sizeof(answer));
    return ss_write(request, answer, size);
}

static int
serve_query(struct ss_request *request, const uint8_t *query, size_t size)
{
    uint8_t *answer = malloc(2 + STREAM_MOST);

    if (answer == NULL)
        return -ENOMEM;
    size = respond(ss_server_data(ss_server(request)), query, size, answer + 2, STREAM_MOST);
    answer[0] = (uint8_t)(size >> 8);
    answer[1] = (uint8_t)size;
    int error = size > 0 ? ss_write(request, answer, size + 2) : -EPROTO;
    free(answer);
    return error;
}

/* Queries one after the other, until the client has no more, or says what is none. */
static ssize_t
serve_stream(struct ss_request *request)
{
    uint8_t query[QUERY_MOST];
    ssize_t got;

    while ((got = ss_wait_input(request, -1)) > 0 && (got = ss_read_full(request, query, 2)) == 2) {
        size_t size = get16(query);
        if (size > sizeof(query))
            return 0;
        if ((got = ss_read_full(request, query, size)) < (ssize_t)size ||
            (got = serve_query(request, query, size)) < 0)
            break;
    }
    return got;
}

int
handle(struct ss_request *request)
{
    size_t size;
    const void *packet = ss_packet(request, &size);
    ssize_t result = packet != NULL ? serve_datagram(request, packet, size) : serve_stream(request);

    return result > 0 || result == -EPROTO ? 0 : (int)result;
}

static struct zone *
load(struct ss_server *server)
{
    struct zone_error error;
    const char *path = ss_option_string(server, "zone");

    struct zone *zone = zone_load(path, &error);
    if (zone == NULL && error.line > 0)
        ss_complain(server, "zone", "%s:%u: %s", path, error.line, error.text);
    else if (zone == NULL)
        ss_complain(server, "zone", "%s: %s", path, error.text);
    return zone;
}

int
check_options(struct ss_server *server)
{
    zone_free(load(server));
    return 0;
}

int
server_activate(struct ss_server *server)
{
    (void)ss_server_uses(server, ss_option_string(server, "zone"));
    ss_server_set_data(server, load(server));
    return ss_server_data(server) != NULL ? 0 : -EINVAL;
}

void
server_close(struct ss_server *server)
{
    zone_free(ss_server_data(server));
}
