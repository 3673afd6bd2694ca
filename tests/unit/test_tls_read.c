/* SPDX-License-Identifier: MIT */
/*
 * test_tls_read.c - `tls`: its keys, the files that they name, and the mistakes in both
 *
 * What is in the files does not matter here: a worker looks at that.
 */
#include "config_fixture.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "common/tls_module.h"
#include "config/config_pack.h"

#define START "listeners = { x = { address = \"tcp://127.0.0.1:0\"; plugin = \"echo\"; tls = {\n"
#define END   "\n}; }; };\n"
#define PAIR  "certificate = \"cert\"; key = \"key\";\n"

static char folder[] = "/tmp/sockserverd-test-XXXXXX";

static void
write_file(const char *name, const char *content, mode_t mode)
{
    _cleanup_fclose_ FILE *file = fopen(name, "we");

    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fchmod(fileno(file), mode), 0);
}

/* A file of so many bytes that takes no room. */
static void
write_hole(const char *name, off_t size)
{
    write_file(name, "x", 0600);
    assert_int_equal(truncate(name, size), 0);
}

static int
make_folder(void **state)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "socket"};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    assert_int_equal(tls_module_use("/dev/null"), 0);
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    write_file("cert", "CERTIFICATE", 0644);
    write_file("key", "KEY", 0600);
    write_file("open-key", "KEY", 0644);
    write_file("empty", "", 0600);
    write_file("forbidden", "KEY", 0);
    write_hole("huge", (1 << 20) + 1);
    write_hole("full", 1 << 20);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    return 0;
}

static int
remove_folder(void **state)
{
    _cleanup_free_ char *command = NULL;

    (void)state;
    assert_true(asprintf(&command, "rm -rf %s", folder) > 0);
    return system(command);
}

static void
expect_mistakes(const char *text, const char *expected)
{
    write_file("x.conf", text, 0644);
    _cleanup_free_ char *found = mistakes_in("x.conf");

    assert_string_equal(found, expected);
}

/* Each is one mistake in one line of the group; the words are those behind the place. */
static void
expect_mistake(const char *keys, unsigned line, const char *key, const char *words)
{
    _cleanup_free_ char *text = NULL, *expected = NULL;

    assert_true(asprintf(&text, START "%s" END, keys) > 0);
    assert_true(asprintf(&expected, "x.conf:%u: listeners.x.tls%s: %s\n", line, key, words) > 0);
    expect_mistakes(text, expected);
}

static const struct settings *
only_listener(const struct config *config)
{
    assert_int_equal(config->listener_count, 1);
    return config->listeners[0];
}

/* ---- good files ------------------------------------------------------------------------- */

static void
files_are_read_with_their_places(void **state)
{
    write_file("x.conf",
               START
               "certificate = [ \"cert\",\n\"empty-not\" ]; key = ( \"key\", \"open-key\" );\n"
               "ocsp = \"key\"; client = \"required\"; client_ca = \"cert\"; crl = \"key\";\n"
               "names = (\n{ name = \"*.Example.org\";\n certificate = \"cert\";\n key = "
               "\"key\"; ocsp = \"cert\"; },\n{ name = \"a\"; certificate = \"key\"; key = "
               "\"full\"; } ); alpn = [ \"h2\" ]; minimum = \"1.3\";" END,
               0644);
    write_file("empty-not", "SECOND", 0600);
    struct config config = load("x.conf");
    const struct settings *settings = only_listener(&config);
    const struct tls_bundle *files = settings->tls_files;

    (void)state;
    assert_true(settings_want_tls(settings));
    assert_non_null(files);
    assert_int_equal(files->certificate_count, 4);
    assert_null(files->certificates[0].name);
    assert_string_equal(files->certificates[0].certificate.bytes, "CERTIFICATE");
    assert_string_equal(files->certificates[0].certificate.file, "x.conf");
    assert_int_equal(files->certificates[0].certificate.line, 2);
    assert_string_equal(files->certificates[0].ocsp.bytes, "KEY");
    assert_false(files->certificates[0].key.exposed);
    assert_string_equal(files->certificates[1].certificate.bytes, "SECOND");
    assert_int_equal(files->certificates[1].certificate.line, 3);
    assert_true(files->certificates[1].key.exposed);
    assert_null(files->certificates[1].ocsp.bytes);
    assert_string_equal(files->certificates[2].name, "*.Example.org");
    assert_int_equal(files->certificates[2].certificate.line, 7);
    assert_int_equal(files->certificates[2].key.line, 8);
    assert_string_equal(files->certificates[2].ocsp.path, "cert");
    assert_int_equal(files->certificates[3].key.size, 1 << 20);
    assert_string_equal(files->client_ca.bytes, "CERTIFICATE");
    assert_string_equal(files->crl.bytes, "KEY");
    assert_int_equal(settings->tls.client, TLS_CLIENT_REQUIRED);
    assert_int_equal(settings->tls.minimum, TLS_VERSION_1_3);
    config_done(&config);
}

static void
one_name_may_have_two_certificates(void **state)
{
    write_file("x.conf",
               START PAIR "names = ( { name = \"a.org\"; certificate = \"cert\"; key = \"key\"; }, "
                          "{ name = \"a.org\"; certificate = \"key\"; key = \"key\"; } );" END,
               0644);
    struct config config = load("x.conf");

    (void)state;
    assert_int_equal(only_listener(&config)->tls_files->certificate_count, 3);
    config_done(&config);
}

/* Given once for all, they are read once, and the mistakes in them told once. */
static void
listeners_share_what_defaults_name(void **state)
{
    const char *listeners = "listeners = { a = { address = \"tcp://127.0.0.1:0\"; plugin = \"e\"; "
                            "}; u = { address = \"udp://127.0.0.1:0\"; plugin = \"e\"; };\n"
                            "b = { address = \"unix:@b\"; plugin = \"e\"; }; };";
    _cleanup_free_ char *good = NULL, *bad = NULL;

    (void)state;
    assert_true(asprintf(&good, "defaults = { tls = { " PAIR "}; };\n%s", listeners) > 0);
    write_file("x.conf", good, 0644);
    struct config config = load("x.conf");
    assert_non_null(config.listeners[0]->tls_files);
    assert_null(config.listeners[1]->tls_files);
    assert_false(settings_want_tls(config.listeners[1]));
    assert_ptr_equal(config.listeners[2]->tls_files, config.listeners[0]->tls_files);
    config_done(&config);
    assert_true(asprintf(&bad,
                         "defaults = { tls = { certificate = \"cert\"; key = \"no\"; }; "
                         "};\n%s",
                         listeners) > 0);
    expect_mistakes(bad, "x.conf:1: listeners.a.tls.key: cannot read the key in \"no\": No such "
                         "file or directory\n");
}

/* What another process has read arrives, each bundle once. */
static void
bundles_travel_with_the_configuration(void **state)
{
    struct errors errors = {0}, back_errors;
    struct config config, back;
    char *bytes;
    size_t size;
    int result;

    (void)state;
    write_file("x.conf",
               "listeners = {\na = { address = \"tcp://127.0.0.1:0\"; plugin = \"e\"; };\n"
               "b = { address = \"unix:@b\"; plugin = \"e\"; tls = { " PAIR " }; };\n"
               "c = { address = \"unix:@c\"; plugin = \"e\"; tls = { " PAIR " }; }; };",
               0644);
    config = load("x.conf");
    settings_give_tls(config.listeners[2], config.listeners[1]->tls_files);
    assert_int_equal(config_pack(0, &config, &errors, &bytes, &size), 0);
    assert_null(memmem(memmem(bytes, size, "CERTIFICATE", 11) + 1,
                       size - (size_t)((char *)memmem(bytes, size, "CERTIFICATE", 11) + 1 - bytes),
                       "CERTIFICATE", 11));
    assert_int_equal(config_unpack(bytes, size, &result, &back, &back_errors), 0);
    assert_int_equal(result, 0);
    assert_null(back.listeners[0]->tls_files);
    assert_ptr_equal(back.listeners[1]->tls_files, back.listeners[2]->tls_files);
    for (size_t i = 0; i < 3; i++)
        assert_true(settings_equal(config.listeners[i], back.listeners[i]));
    config_done(&back);
    errors_done(&back_errors);
    /* A listener that shall speak TLS and has nothing to do it with is never let through. */
    settings_give_tls(config.listeners[1], NULL);
    free(bytes);
    assert_int_equal(config_pack(0, &config, &errors, &bytes, &size), 0);
    assert_int_equal(config_unpack(bytes, size, &result, &back, &back_errors), -EBADMSG);
    free(bytes);
    config_done(&config);
}

/* ---- mistakes --------------------------------------------------------------------------- */

static void
bad_files_are_named(void **state)
{
    static const char *const rows[][3] = {
        {"certificate = \"none\"; key = \"key\";", ".certificate",
         "cannot read the certificate in \"none\": No such file or directory"},
        {"certificate = \".\"; key = \"key\";", ".certificate",
         "cannot read the certificate in \".\": Is a directory"},
        {"certificate = \"empty\"; key = \"key\";", ".certificate",
         "found nothing in \"empty\"; expected a certificate"},
        {"certificate = \"cert\"; key = \"fifo\";", ".key",
         "cannot read the key in \"fifo\": it is not a regular file"},
        {"certificate = \"cert\"; key = \"socket\";", ".key",
         "cannot read the key in \"socket\": it is not a regular file"},
        {"certificate = \"cert\"; key = \"/dev/zero\";", ".key",
         "cannot read the key in \"/dev/zero\": it is not a regular file"},
        {"certificate = \"cert\"; key = \"huge\";", ".key",
         "cannot read the key in \"huge\": it is larger than 1 MiB"},
        {PAIR "ocsp = \"empty\";", ".ocsp",
         "found nothing in \"empty\"; expected an OCSP response"},
        {PAIR "client = \"optional\"; client_ca = \"none\";", ".client_ca",
         "cannot read the certificates of \"client_ca\" in \"none\": No such file or directory"},
        {PAIR "client = \"optional\"; client_ca = \"cert\"; crl = \"fifo\";", ".crl",
         "cannot read the revocation list in \"fifo\": it is not a regular file"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        expect_mistake(rows[i][0], 2 + (strncmp(rows[i][0], PAIR, strlen(PAIR)) == 0), rows[i][1],
                       rows[i][2]);
}

static void
a_file_that_the_daemon_may_not_read_says_who_reads(void **state)
{
    _cleanup_free_ char *words = NULL;

    (void)state;
    if (geteuid() == 0) {
        print_message("root reads every file: not tried\n");
        skip();
    }
    assert_true(asprintf(&words,
                         "cannot read the key in \"forbidden\": Permission denied; the daemon "
                         "reads it, which runs as uid %u",
                         geteuid()) > 0);
    expect_mistake("certificate = \"cert\"; key = \"forbidden\";", 2, ".key", words);
}

#define EXAMPLE "( { name = \"*.example.org\"; certificate = \"/path\"; key = \"/path\"; } )"
#define NEEDS                                                                                      \
    "TLS needs a certificate and its key, such as: certificate = \"/etc/ssl/certs/here.pem\"; "    \
    "key = \"/etc/ssl/private/here.key\";"

static void
keys_that_do_not_fit_together_are_told(void **state)
{
    static const char *const rows[][3] = {
        {"", "", "found no \"certificate\"; " NEEDS},
        {"minimum = \"1.3\";", "", "found no \"certificate\"; " NEEDS},
        {"certificate = \"cert\";", ".certificate", "found no \"key\"; " NEEDS},
        {"key = \"key\";", ".key", "found no \"certificate\"; " NEEDS},
        {"certificate = [ \"cert\", \"cert\" ]; key = \"key\";", ".key",
         "found 1 key for 2 certificates; expected one for each, in the same order"},
        {"certificate = [ ]; key = \"key\";", ".certificate",
         "found 0 items; expected a list of 1 to 4 items, such as [ \"ecdsa.pem\", \"rsa.pem\" ]"},
        {"certificate = \"cert\"; key = \"key\"; client = \"required\";", ".client",
         "found no \"client_ca\", the file of those who may sign a client's certificate"},
        {"certificate = \"cert\"; key = \"key\"; client_ca = \"cert\";", ".client_ca",
         "found no \"client\", so no client is asked for a certificate; expected client = "
         "\"required\"; or client = \"optional\";"},
        {"certificate = \"cert\"; key = \"key\"; minimum = \"1.1\";", ".minimum",
         "unknown tls.minimum \"1.1\"; did you mean \"1.2\"?"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        expect_mistake(rows[i][0], *rows[i][1] == '\0' ? 1 : 2, rows[i][1], rows[i][2]);
}

static void
mistakes_in_a_list_of_groups_have_their_own_lines(void **state)
{
    static const struct {
        const char *names;
        unsigned line;
        const char *key, *words;
    } rows[] = {
        {"names = \"a\";", 3, ".names",
         "found \"a\"; expected a list of at most 1000 groups, such as " EXAMPLE},
        {"names = { name = \"a\"; };", 3, ".names",
         "found a group; expected a list of at most 1000 groups, such as " EXAMPLE},
        {"names = (\n{ name = \"a\"; certificate = \"cert\"; key = \"key\"; },\n7 );", 5, ".names",
         "found 7 in the list; expected groups, such as " EXAMPLE},
        {"names = (\n{ name = \"a\";\n certificate = \"cert\"; } );", 4, ".names",
         "found a group without \"key\"; expected groups such as " EXAMPLE},
        {"names = ( { name = \"a\";\n certificate = \"cert\";\n key = \"key\";\n kye = \"x\"; } );",
         6, ".names", "unknown key \"kye\"; did you mean \"key\"?"},
        {"names = ( { name = \"a\";\n certificate = \"cert\";\n key = \"key\";\n zzzzzz = 1; } );",
         6, ".names", "unknown key \"zzzzzz\"; expected some of: name certificate key ocsp"},
        {"names = ( { name = \"a\";\n certificate = [ \"cert\" ]; key = \"key\"; } );", 4,
         ".names.certificate",
         "found a list; expected text in quotes, not empty, without tabs or line ends"},
        {"names = ( { name = \"a\\tb\";\n certificate = \"cert\"; key = \"key\"; } );", 3,
         ".names.name",
         "found \"a\\x09b\"; expected text in quotes, not empty, without tabs or line ends"},
        {"names = ( { name = \"a\"; certificate = \"cert\";\n key = \"none\"; } );", 4,
         ".names.key", "cannot read the key in \"none\": No such file or directory"},
        {"names = ( { name = \"a.org\"; certificate = \"cert\"; key = \"key\"; },\n{ name = "
         "\"A.ORG\"; certificate = \"cert\"; key = \"key\"; } );",
         4, ".names.name",
         "found \"A.ORG\" a second time with the same certificate; remove one of them"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *keys = NULL;

        assert_true(asprintf(&keys, PAIR "%s", rows[i].names) > 0);
        expect_mistake(keys, rows[i].line, rows[i].key, rows[i].words);
    }
    expect_mistakes(START PAIR "names = ( { name = \"a\"; certificate = \"cert\"; key = \"key\";\n"
                               "key = \"key\"; } );" END,
                    "x.conf:4: listeners.x.tls.names.[0].key: given a second time; the first is in "
                    "x.conf:3\n");
}

static void
names_are_those_of_hosts(void **state)
{
    static const char *const bad[] = {
        "*",         "*.",     "a..b", ".a",           "a.",    "a b",      "*.*.org",
        "www.*.org", "a*.org", "a/b",  "\xc3\xa4.org", "a:443", "https://a"};
    static const char *const good[] = {"a", "*.a", "xn--a.b-c.d_e.org", "127.0.0.1"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        _cleanup_free_ char *keys = NULL, *words = NULL;

        assert_true(asprintf(&keys,
                             PAIR "names = ( { name = \"%s\"; certificate = \"cert\"; "
                                  "key = \"key\"; } );",
                             bad[i]) > 0);
        assert_true(asprintf(&words,
                             "found \"%s\"; expected the name of a host, such as "
                             "\"www.example.org\", or \"*.example.org\" for all that have one word "
                             "more",
                             bad[i]) > 0);
        expect_mistake(keys, 3, ".names.name", words);
    }
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        _cleanup_free_ char *text = NULL;

        assert_true(asprintf(&text,
                             START PAIR "names = ( { name = \"%s\"; certificate = \"cert\"; "
                                        "key = \"key\"; } );" END,
                             good[i]) > 0);
        expect_mistakes(text, "");
    }
}

static void
dtls_is_refused_once(void **state)
{
    (void)state;
    expect_mistakes("listeners = { x = { address = \"udp://127.0.0.1:0\"; plugin = \"echo\";\n"
                    "tls = { certificate = \"none\"; key = \"none\"; }; }; };",
                    "x.conf:2: listeners.x.tls: found TLS for the datagrams of udp://127.0.0.1:0; "
                    "DTLS is not supported: remove it, or listen on a tcp or unix address\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_read_with_their_places),
        cmocka_unit_test(one_name_may_have_two_certificates),
        cmocka_unit_test(listeners_share_what_defaults_name),
        cmocka_unit_test(bundles_travel_with_the_configuration),
        cmocka_unit_test(bad_files_are_named),
        cmocka_unit_test(a_file_that_the_daemon_may_not_read_says_who_reads),
        cmocka_unit_test(keys_that_do_not_fit_together_are_told),
        cmocka_unit_test(mistakes_in_a_list_of_groups_have_their_own_lines),
        cmocka_unit_test(names_are_those_of_hosts),
        cmocka_unit_test(dtls_is_refused_once),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
