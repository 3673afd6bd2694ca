/* SPDX-License-Identifier: MIT */
/*
 * test_example_dns.c - examples/dns: its answers as dig shows them, and bytes that are no query
 *
 * dig is skipped by name where it is not installed.
 */
#include <signal.h>

#include "support/client.h"
#include "support/command.h"
#include "support/test.h"

#define DNS  BUILD_DIR "/examples/dns.so"
#define ZONE SOURCE_DIR "/examples/dns/example.org.zone"

/* A copy that a worker of any user can read. */
static const char *
zone_file(const char *text)
{
    return test_file("zone", text);
}

static struct daemon *
serve_text(const struct server_case *server, const char *text)
{
    return daemon_serve(server->scheme, server->mixin, DNS,
                        text_of("options = { zone = \"%s\"; };", zone_file(text)));
}

static struct daemon *
serve(const struct server_case *server)
{
    return serve_text(server, file_text(ZONE));
}

/* ---- dig ------------------------------------------------------------------------------------- */

/* What dig says to such words: sections without comments, or the whole with "status". */
static const char *
dig(struct daemon *daemon, const char *words)
{
    const char *address = daemon_address(daemon, "test");
    const char *arguments[24] = {
        "@127.0.0.1", "-p",       strrchr(address, ':') + 1,
        "+tries=1",   "+time=60", strncmp(address, "tcp", 3) == 0 ? "+tcp" : "+notcp",
        "+ignore",    "+noall"};
    char *rest, *text = keep(strdup(words));
    size_t count = 8;

    for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
        arguments[count++] = word;
    struct outcome outcome = command_run(need_program("dig"), "", arguments);
    assert_int_equal(outcome.status, 0);
    return outcome.output;
}

#define SOA_DATA "ns1.example.org. hostmaster.example.org. 2026112901 10800 3600 1209600 600\n"

static const struct {
    const char *words, *says;
} questions[] = {
    {"+answer +authority example.org SOA", "example.org. 3600 IN SOA " SOA_DATA},
    {"+answer +authority example.org NS", "example.org. 3600 IN NS ns1.example.org.\n"
                                          "example.org. 3600 IN NS ns2.example.net.\n"},
    {"+answer +additional example.org NS",
     "ns2.example.net.\nns1.example.org. 3600 IN A 192.0.2.53\n"
     "ns1.example.org. 3600 IN AAAA 2001:db8::53\n"},
    {"+answer +additional example.org MX", "example.org. 3600 IN MX 10 mail.example.org.\n"
                                           "example.org. 3600 IN MX 20 mail.example.net.\n"
                                           "mail.example.org. 300 IN A 192.0.2.25\n"},
    {"+answer example.org TXT", "TXT \"v=spf1 mx -all\" \"a second string; no comment\"\n"},
    {"+answer web.example.org AAAA", "web.example.org. 3600 IN AAAA 2001:db8::80\n"},
    {"+answer wEb.eXample.ORG", "wEb.eXample.ORG. 3600 IN A 192.0.2.80\n"},
    {"+answer www.example.org", "www.example.org. 3600 IN CNAME web.example.org.\n"
                                "web.example.org. 3600 IN A 192.0.2.80\n"},
    {"+answer +authority www.example.org CNAME",
     "www.example.org. 3600 IN CNAME web.example.org.\n"},
    {"+answer +authority www.example.org MX", "www.example.org. 3600 IN CNAME web.example.org.\n"
                                              "example.org. 600 IN SOA " SOA_DATA},
    {"+answer +authority ftp.example.org", "ftp.example.org. 3600 IN CNAME ftp.example.net.\n"},
    {"+answer +additional _sip._tcp.example.org SRV",
     "_sip._tcp.example.org. 3600 IN SRV 0 5 5060 sip.example.org.\nsip.example.org. 3600 IN A "
     "192.0.2.50\n"},
    {"+answer 1.2.0.192.in-addr.arpa.example.org PTR", "PTR web.example.org.\n"},
    /* What is not there: the name, or only the type. */
    {"+comments nowhere.example.org", "status: NXDOMAIN"},
    {"+answer +authority nowhere.example.org", "example.org. 600 IN SOA " SOA_DATA},
    {"+comments web.example.org MX", "status: NOERROR"},
    {"+answer +authority web.example.org MX", "example.org. 600 IN SOA " SOA_DATA},
    {"+comments _tcp.example.org", "status: NOERROR"}, /* something is below it */
    {"+comments broken.example.org", "status: NXDOMAIN"},
    {"+comments loop.example.org", "status: NOERROR"},
    /* Wildcards: whatever does not exist, below the name. */
    {"+answer any.thing.users.example.org", "any.thing.users.example.org. 3600 IN A 192.0.2.99\n"},
    {"+answer +authority any.users.example.org MX", "example.org. 600 IN SOA " SOA_DATA},
    {"+answer +authority known.users.example.org TXT", "example.org. 600 IN SOA " SOA_DATA},
    {"+comments below.known.users.example.org", "status: NXDOMAIN"},
    {"+comments users.example.org", "status: NOERROR"},
    /* What others serve. */
    {"+answer +authority +additional a.b.sub.example.org",
     "sub.example.org. 3600 IN NS ns.sub.example.org.\nns.sub.example.org. 3600 IN A 192.0.2.54\n"},
    {"+comments +norecurse sub.example.org", "flags: qr; QUERY: 1, ANSWER: 0, AUTHORITY: 1"},
    {"+comments +norecurse web.example.org", "flags: qr aa; QUERY: 1, ANSWER: 1"},
    /* What is not ours. */
    {"+comments example.com", "status: REFUSED"},
    {"+comments xexample.org", "status: REFUSED"},
    {"+comments org", "status: REFUSED"},
    {"+comments .", "status: REFUSED"},
    {"+comments -c CH -t TXT version.bind", "status: REFUSED"},
    {"+comments example.org IXFR=1", "status: REFUSED"},
    {"+answer example.org ANY", "example.org. 3600 IN SOA " SOA_DATA},
    {"+comments +opcode=NOTIFY example.org SOA", "status: NOTIMP"},
    {"+comments +edns=1 +noednsnegotiation example.org", "status: BADVERS"},
    {"+comments +dnssec example.org", "EDNS: version: 0, flags: do; udp: 1232"},
    {"+comments +ednsopt=65001:00ff example.org", "status: NOERROR"},
};

/* Columns are told from each other by one space. */
static const char *
squeezed(const char *text)
{
    char *copy = keep(calloc(1, strlen(text) + 1)), *to = copy;

    for (; *text != '\0'; text++)
        if (*text != '\t' && *text != ' ')
            *to++ = *text;
        else if (to > copy && to[-1] != ' ')
            *to++ = ' ';
    return copy;
}

static void
dig_is_told_what_the_zone_says(void **state)
{
    (void)need_program("dig");
    struct daemon *daemon = serve(*state);

    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
        const char *output = squeezed(dig(daemon, questions[i].words));
        if (strstr(questions[i].words, "+comments") != NULL)
            assert_contains(output, questions[i].says);
        else if (strncmp(output, questions[i].says, strlen(output)) != 0)
            assert_contains(output, questions[i].says);
    }
    daemon_expect_stop(daemon);
}

static void
what_does_not_fit_is_cut_and_said_so(void **state)
{
    (void)need_program("dig");
    bool stream = scheme_is_stream(((const struct server_case *)*state)->scheme);
    struct daemon *daemon = serve(*state);
    const char *plain = dig(daemon, "+comments +noedns big.example.org TXT");
    const char *small = dig(daemon, "+comments +bufsize=600 big.example.org TXT");
    const char *large = dig(daemon, "+comments +bufsize=1232 big.example.org TXT");

    assert_contains(plain, stream ? "flags: qr aa rd; QUERY: 1, ANSWER: 6"
                                  : "flags: qr aa tc rd; QUERY: 1, ANSWER: 0");
    assert_contains(small, stream ? "flags: qr aa rd; QUERY: 1, ANSWER: 6"
                                  : "flags: qr aa tc rd; QUERY: 1, ANSWER: 0");
    assert_contains(large, "flags: qr aa rd; QUERY: 1, ANSWER: 6");
    daemon_expect_stop(daemon);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

#define BYTES(text) text, sizeof(text) - 1
#define NAME        "\3web\7example\3org\0"
#define A_IN        "\0\1\0\1"

/* Packets, and the low half of the flags of what comes back; -1: nothing does. */
static const struct {
    const char *what, *bytes;
    size_t size;
    int answer;
} packets[] = {
    {"a query", BYTES("\1\2\0\0\0\1\0\0\0\0\0\0" NAME A_IN), 0},
    {"less than a header", BYTES("\1\2\0\0\0\1\0\0\0\0\0"), -1},
    {"an answer", BYTES("\1\2\200\0\0\1\0\0\0\0\0\0" NAME A_IN), -1},
    {"no question", BYTES("\1\2\0\0\0\0\0\0\0\0\0\0"), 1},
    {"two questions", BYTES("\1\2\0\0\0\2\0\0\0\0\0\0" NAME A_IN NAME A_IN), 1},
    {"an answer in a query", BYTES("\1\2\0\0\0\1\0\1\0\0\0\0" NAME A_IN), 1},
    {"a name without an end", BYTES("\1\2\0\0\0\1\0\0\0\0\0\0\3web\7example"), 1},
    {"a name that points at itself", BYTES("\1\2\0\0\0\1\0\0\0\0\0\0\300\14" A_IN), 1},
    {"a label of an unknown kind", BYTES("\1\2\0\0\0\1\0\0\0\0\0\0\100web\0" A_IN), 1},
    {"no type", BYTES("\1\2\0\0\0\1\0\0\0\0\0\0" NAME "\0\1"), 1},
    {"bytes behind the query", BYTES("\1\2\0\0\0\1\0\0\0\0\0\0" NAME A_IN "x"), 1},
    {"EDNS", BYTES("\1\2\0\0\0\1\0\0\0\0\0\1" NAME A_IN "\0\0\51\4\0\0\0\0\0\0\0"), 0},
    {"EDNS that is cut", BYTES("\1\2\0\0\0\1\0\0\0\0\0\1" NAME A_IN "\0\0\51\4\0\0\0\0\0\0\1"), 1},
    {"EDNS with a name", BYTES("\1\2\0\0\0\1\0\0\0\0\0\1" NAME A_IN "\300\14\0\51\4\0\0\0\0\0\0\0"),
     1},
    {"EDNS twice",
     BYTES("\1\2\0\0\0\1\0\0\0\0\0\2" NAME A_IN "\0\0\51\4\0\0\0\0\0\0\0"
           "\0\0\51\4\0\0\0\0\0\0\0"),
     1},
    {"more records than there are", BYTES("\1\2\0\0\0\1\0\0\0\0\377\377" NAME A_IN), 1},
    {"an update", BYTES("\1\2\50\0\0\1\0\0\0\0\0\0" NAME A_IN), 4},
};

static void
each_packet_is_answered_by_what_it_is(void **state)
{
    bool stream = scheme_is_stream(((const struct server_case *)*state)->scheme);
    struct daemon *daemon = serve(*state);
    unsigned char got[600];

    for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
        int fd = client_connect(daemon_address(daemon, "test"));
        const unsigned char length[2] = {0, (unsigned char)packets[i].size};
        print_message("%s\n", packets[i].what);
        if (stream)
            client_send_bytes(fd, length, 2);
        client_send_bytes(fd, packets[i].bytes, packets[i].size);
        if (packets[i].answer < 0 && stream) {
            client_expect_end(fd);
        } else if (packets[i].answer < 0) { /* the next one's answer comes first */
            client_send_bytes(fd, packets[0].bytes, packets[0].size);
            assert_true(recv(fd, got, sizeof(got), 0) > 12);
            assert_int_equal(got[3] & 15, 0);
            assert_false(client_readable(fd, 0));
        } else {
            assert_int_equal(stream ? (int)client_receive_bytes(fd, got, 2) : 2, 2);
            ssize_t size = recv(fd, got, sizeof(got), 0);
            assert_true(size >= 12);
            assert_memory_equal(got, packets[i].bytes, 2);
            assert_int_equal(got[2] & 0x80, 0x80);
            assert_int_equal(got[3] & 15, packets[i].answer);
        }
        client_close(fd);
    }
    daemon_expect_stop(daemon);
}

/* Queries behind each other, in pieces, over one connection; one that is too long ends it. */
static void
a_connection_has_many_queries(void **state)
{
    static const char query[] = "\0\41\1\2\0\0\0\1\0\0\0\0\0\0" NAME A_IN;
    struct daemon *daemon = serve(*state);
    int fd = client_connect(daemon_address(daemon, "test"));
    char sent[3 * (sizeof(query) - 1)], got[2 + 33 + 16];

    assert_int_equal(sizeof(query) - 1, 2 + 12 + 17 + 4);
    memcpy(sent, query, sizeof(query) - 1);
    memcpy(sent + sizeof(query) - 1, sent, sizeof(query) - 1);
    memcpy(sent + 2 * (sizeof(query) - 1), sent, sizeof(query) - 1);
    for (size_t at = 0; at < sizeof(sent); at += 5)
        client_send_bytes(fd, sent + at, at + 5 < sizeof(sent) ? 5 : sizeof(sent) - at);
    for (int i = 0; i < 3; i++) {
        size_t size = 2 + 33 + 16;
        assert_int_equal(client_receive_bytes(fd, got, size), size);
        assert_memory_equal(got, "\0\61\1\2\204\0\0\1\0\1\0\0\0\0", 14);
        assert_memory_equal(got + size - 4, "\300\0\2\120", 4);
    }
    client_send_bytes(fd, "\377\377", 2);
    client_expect_end(fd);
    fd = client_connect(daemon_address(daemon, "test"));
    client_send_bytes(fd, sent, sizeof(query) - 1);
    assert_int_equal(client_receive_bytes(fd, got, 2 + 33 + 16), 2 + 33 + 16);
    daemon_signal(daemon, SIGTERM);
    client_expect_end(fd);
    daemon_expect_exit(daemon, 0);
}

/* ---- the zone's file ------------------------------------------------------------------------- */

#define START "$ORIGIN example.org.\n$TTL 1h\n@ SOA ns host 1 2 3 4 5\n@ NS ns\n"

static const struct {
    const char *text, *says;
} mistakes[] = {
    {"", "zone: it has no SOA"},
    {"$ORIGIN example.org.\n@ 1h SOA ns host 1 2 3 4 5\n", "zone: no NS record stands at its apex"},
    {"@ SOA ns host 1 2 3 4 5\n", "zone:1: \"@\" is no name: it is relative"},
    {"$ORIGIN example.org.\n@ SOA ns host 1 2 3 4 5\n", "zone:2: no time to live"},
    {"$ORIGIN example.org.\n@ 1h A 192.0.2.1\n", "zone:2: the first record must be the SOA"},
    {START "@ SOA ns host 1 2 3 4 5\n", "zone:5: a second SOA"},
    {START "www A 192.0.2.256\n", "zone:5: \"192.0.2.256\" is no IPv4 address"},
    {START "www AAAA 192.0.2.25\n", "zone:5: \"192.0.2.25\" is no IPv6 address"},
    {START "www MX 65536 mail\n", "zone:5: \"65536\" is no number of that size"},
    {START "www MX 10\n", "zone:5: too few words for a record of type MX"},
    {START "www A 192.0.2.1 192.0.2.2\n", "zone:5: too many words for a record of type A"},
    {START "www WKS 192.0.2.1\n", "zone:5: \"WKS\" is no type that is known"},
    {START "www\n", "zone:5: a record without a type"},
    {START "www.example.com. A 192.0.2.1\n", "zone:5: the name lies outside of the zone"},
    {START "a CNAME b\n\n\na A 192.0.2.1\n", "zone:8: a CNAME has its name for itself"},
    {START "a A 192.0.2.1\na CNAME b\n", "zone:6: a CNAME has its name for itself"},
    {START "a..b A 192.0.2.1\n", "zone:5: \"a..b\" is no name: an empty label"},
    {START "a\\25 A 192.0.2.1\n", "zone:5: \"a\\25\" is no name: a wrong escape"},
    {START "a\\256 A 192.0.2.1\n", "zone:5: \"a\\256\" is no name: a wrong escape"},
    {START "a TXT \"b\nc TXT d\n", "zone:5: a string without its closing quote"},
    {START "a ( TXT b\n\n", "zone:5: \"(\" without \")\""},
    {START "a TXT b )\n", "zone:5: \")\" without \"(\""},
    {START "$INCLUDE other\n", "zone:5: $INCLUDE is not known: $ORIGIN and $TTL are"},
    {START "$TTL never\n", "zone:5: $TTL: expected seconds, such as 3600 or 1h"},
    {START "0123456789012345678901234567890123456789012345678901234567890123 TXT a\n",
     "is no name: a label of more than 63 bytes"},
};

static void
a_mistake_in_the_zone_is_told_with_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        const char *file = test_file(
            "a.conf", text_of("listeners = { d = { address = \"udp://127.0.0.1:0\"; plugin = \"" DNS
                              "\"; options = { zone = \"%s\"; }; }; };",
                              zone_file(mistakes[i].text)));
        struct outcome check = COMMAND("", "--check", "-c", file);
        assert_int_not_equal(check.status, 0);
        assert_contains(check.errors, "a.conf:1: listeners.d.options.zone: ");
        assert_contains(check.errors, mistakes[i].says);
    }
}

static void
a_changed_zone_is_served_after_a_reload_and_a_wrong_one_is_not(void **state)
{
    (void)need_program("dig");
    struct daemon *daemon = serve_text(*state, START "a A 192.0.2.1\n");

    assert_string_equal(dig(daemon, "+short +answer a.example.org"), "192.0.2.1\n");
    (void)zone_file(START "a A 192.0.2.2\n");
    assert_int_equal(CTL(daemon, "reload").status, 0);
    assert_string_equal(dig(daemon, "+short +answer a.example.org"), "192.0.2.2\n");
    (void)zone_file(START "a B 192.0.2.3\n");
    struct outcome reload = CTL(daemon, "reload");
    assert_int_not_equal(reload.status, 0);
    assert_contains(reload.errors, "\"B\" is no type that is known");
    assert_string_equal(dig(daemon, "+short +answer a.example.org"), "192.0.2.2\n");
    daemon_expect_stop(daemon);
}

/* Escapes, parentheses, periods, owners that are left out, other origins. */
static void
a_zone_is_written_in_many_ways(void **state)
{
    (void)need_program("dig");
    struct daemon *daemon = serve_text(
        *state,
        "; nothing\n\n$TTL 1d\n$ORIGIN org.\nexample IN 1h30m SOA ( ns.example "
        "host\\.master.example\n"
        " 1 2w 3 4 5 )\n  NS ns.example\r\n$ORIGIN example.org.\nA\\046b.c 10 IN A 192.0.2.1\n"
        "\tin 20 a 192.0.2.2 ; the same\n$origin deep\n@ TXT one \"t\\\"w\\\\o\\200\" \"\"\n"
        "x A 192.0.2.3");

    assert_string_equal(
        squeezed(dig(daemon, "+answer +norecurse example.org SOA")),
        "example.org. 5400 IN SOA ns.example.org. host\\.master.example.org. 1 1209600 3 4 5\n");
    assert_string_equal(
        squeezed(dig(daemon, "+answer a\\.B.c.example.org")),
        "a\\.B.c.example.org. 10 IN A 192.0.2.1\na\\.B.c.example.org. 20 IN A 192.0.2.2\n");
    assert_string_equal(squeezed(dig(daemon, "+answer deep.example.org TXT")),
                        "deep.example.org. 86400 IN TXT \"one\" \"t\\\"w\\\\o\\200\" \"\"\n");
    assert_string_equal(dig(daemon, "+short +answer x.deep.example.org"), "192.0.2.3\n");
    daemon_expect_stop(daemon);
}

static void
its_configuration_is_good_and_serves(void **state)
{
    (void)state;
    const char *example = file_text(SOURCE_DIR "/examples/dns/dns.conf");
    const char *installed = "/etc/sockserverd/example.org.zone", *zone = zone_file(file_text(ZONE));
    char *text = keep(strdup(example)), *at;
    const char *made = "";

    while ((at = strstr(text, installed)) != NULL) {
        *at = '\0';
        made = text_of("%s%s%s", made, text, zone);
        text = at + strlen(installed);
    }
    const char *file = test_file("a.conf", text_of("%s%s", made, text));
    struct outcome check =
        COMMAND("", "--plugin-path", BUILD_DIR "/examples", "--check", "-c", file);
    assert_string_equal(check.errors, "");
    assert_int_equal(check.status, 0);
}

#define TEST_EACH(function) TEST_EACH_MIXIN(function, "udp"), TEST_EACH_MIXIN(function, "tcp")

RUN_TESTS(TEST_CASE(dig_is_told_what_the_zone_says, "udp", "coroutine"),
          TEST_CASE(dig_is_told_what_the_zone_says, "tcp", "threading"),
          TEST_EACH(what_does_not_fit_is_cut_and_said_so),
          TEST_EACH(each_packet_is_answered_by_what_it_is),
          TEST_EACH_MIXIN(a_connection_has_many_queries, "tcp"),
          TEST(a_mistake_in_the_zone_is_told_with_its_line),
          TEST_CASE(a_changed_zone_is_served_after_a_reload_and_a_wrong_one_is_not, "udp", "none"),
          TEST_CASE(a_changed_zone_is_served_after_a_reload_and_a_wrong_one_is_not, "tcp",
                    "coroutine"),
          TEST_CASE(a_zone_is_written_in_many_ways, "udp", "coroutine"),
          TEST(its_configuration_is_good_and_serves))
