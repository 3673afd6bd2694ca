/* SPDX-License-Identifier: MIT */
/*
 * test_tls_mistakes.c - what only OpenSSL sees: certificates, keys and lists that cannot be used
 *
 * Each is told by --check with its file and line, and in words that say what to do.
 */
#include "tls_fixture.h"

#include <errno.h>
#include <signal.h>

#include <stdlib.h>

/* A file of the test's folder, made by make(). */
struct row {
    const char *name;        /* of the row */
    const char *certificate; /* files without their ends; NULL: the good one */
    const char *key;
    const char *more;    /* in the group `tls`; %s is the folder */
    const char *mistake; /* in the message, behind the place */
    int line;            /* in the file, counted from that of `tls` */
};

static const struct row rows[] = {
    {"expired", "expired", "expired", "",
     "tls.certificate: the certificate in \"%s/expired.pem\" has "
     "expired on ",
     1},
    {"not yet valid", "early", "early", "", "early.pem\" is not valid before ", 1},
    {"another's key", NULL, "expired", "",
     "tls.key: the key in \"%s/expired.key\" does not belong to the certificate in \"%s/good.pem\"",
     2},
    {"no certificate", "text", NULL, "", "text.pem\" does not begin with a certificate in PEM form",
     1},
    {"no key", NULL, "text", "", "tls.key: \"%s/text.key\" holds no private key in PEM form", 2},
    {"passphrase", NULL, "locked", "", "locked.key\" is protected by a passphrase", 2},
    {"weak key", "weak", "weak", "", "weak.pem\" cannot be used (ee key too small)", 1},
    {"second of a kind", NULL, NULL,
     "names = ( { name = \"a\"; certificate = \"%s/good.pem\"; key = \"%s/good.key\"; },\n"
     "{ name = \"a\"; certificate = \"%s/other.pem\"; key = \"%s/other.key\"; } );",
     "tls.names: \"%s/other.pem\" is a second certificate for the same name", 4},
    {"ciphers", NULL, NULL, "ciphers = \"NONSENSE\";", "tls.ciphers: found \"NONSENSE\"", 0},
    {"ciphersuites", NULL, NULL, "ciphersuites = \"TLS_NONE\";",
     "tls.ciphersuites: found \"TLS_NONE\"", 0},
    {"groups", NULL, NULL, "groups = \"P-999\";", "tls.groups: found \"P-999\"", 0},
    {"client_ca", NULL, NULL, "client = \"required\"; client_ca = \"%s/text.pem\";",
     "tls.client_ca: \"%s/text.pem\" holds no certificate in PEM form", 3},
    {"crl", NULL, NULL,
     "client = \"required\"; client_ca = \"%s/good.pem\"; crl = \"%s/good.pem\";",
     "tls.crl: \"%s/good.pem\" holds no list of revoked certificates", 3},
    {"ocsp", NULL, NULL, "ocsp = \"%s/text.pem\";", "tls.ocsp: \"%s/text.pem\" is no OCSP response",
     3},
    {"another's ocsp", NULL, NULL, "ocsp = \"%s/other.ocsp\";",
     "tls.ocsp: \"%s/other.ocsp\" is an OCSP response about another certificate", 3},
};

static void
make_files(void)
{
    const char *good = test_path("good"), *other = test_path("other");

    TLS_MAKE(good, "ec", "good", "-1", "30", "-");
    TLS_MAKE(other, "ec", "other", "-1", "30", "-");
    TLS_MAKE(test_path("expired"), "ec", "expired", "-30", "-1", "-");
    TLS_MAKE(test_path("early"), "ec", "early", "2", "30", "-");
    TLS_MAKE(test_path("weak"), "rsa1024", "weak", "-1", "30", "-");
    TLS_MAKE("--ocsp", other, other, other, "3");
    (void)test_file("text.pem", "this is no certificate\n");
    (void)test_file("text.key", "this is no key\n");
    assert_int_equal(system(text_of("openssl pkey -in %s.key -aes256 -passout pass:secret -out %s",
                                    good, test_path("locked.key"))),
                     0);
}

/* The text with the folder in place of each "%s". */
static const char *
with_folder(const char *text)
{
    const char *all = "", *place;

    while ((place = strstr(text, "%s")) != NULL) {
        all = text_of("%s%.*s%s", all, (int)(place - text), text, test_folder());
        text = place + 2;
    }
    return text_of("%s%s", all, text);
}

static unsigned
line_of(const char *file, const char *part)
{
    const char *text = file_text(file), *place = strstr(text, part);
    unsigned line = 1;

    assert_non_null(place);
    for (; text < place; text++)
        line += *text == '\n';
    return line;
}

static const char *
or_good(const char *name)
{
    return name != NULL ? name : "good";
}

static void
a_mistake_is_told_with_its_place(void **state)
{
    const struct row *row = *state;

    need_program(OPENSSL);
    make_files();
    const char *file = daemon_configuration(
        "listeners = {\n%s};",
        listener_text("test", "tcp", "threading", "good_command",
                      text_of("tls = {\ncertificate = \"%s/%s.pem\";\nkey = \"%s/%s.key\";\n%s };",
                              test_folder(), or_good(row->certificate), test_folder(),
                              or_good(row->key), with_folder(row->more))));
    struct outcome outcome = COMMAND("", "--check", "-c", file);
    unsigned line = line_of(file, "tls = {") + (unsigned)row->line;
    const char *errors = text_of("%s%s", outcome.output, outcome.errors);

    assert_int_equal(outcome.status, 78);
    assert_contains(errors, with_folder(row->mistake));
    if (row->line > 0)
        assert_contains(errors, text_of("%s:%u: listeners.test.tls.", file, line));
    assert_contains(errors, text_of("%s:", file));
}

/* All that is wrong is told at once. */
static void
mistakes_of_several_files_are_told_together(void **state)
{
    (void)state;
    make_files();
    const char *folder = test_folder();
    struct outcome outcome =
        COMMAND("", "--check", "--listen", "tcp://127.0.0.1:0", "--set",
                text_of("tls.certificate=%s/expired.pem", folder), "--set",
                text_of("tls.key=%s/text.key", folder), "--set", "tls.ciphers=NONSENSE",
                "--plugin-path", FIXTURES, "good_command");
    const char *errors = text_of("%s%s", outcome.output, outcome.errors);

    assert_int_not_equal(outcome.status, 0);
    assert_contains(errors, "--set tls.ciphers: found \"NONSENSE\"");
    assert_contains(errors, "--set tls.certificate: the certificate in");
    assert_contains(errors, "--set tls.key: ");
}

static void
a_list_of_the_revoked_that_has_ended_is_a_mistake(void **state)
{
    (void)state;
    make_files();
    const char *folder = test_folder(), *ca = test_path("ca");
    TLS_MAKE(ca, "ec", "ca", "-1", "30", "ca");
    TLS_MAKE("--revoke", test_path("old"), ca, "-1");
    struct outcome outcome =
        COMMAND("", "--check", "--listen", "tcp://127.0.0.1:0", "--set",
                text_of("tls.certificate=%s/good.pem", folder), "--set",
                text_of("tls.key=%s/good.key", folder), "--set", "tls.client=required", "--set",
                text_of("tls.client_ca=%s/ca.pem", folder), "--set",
                text_of("tls.crl=%s/old.crl", folder), "--plugin-path", FIXTURES, "good_command");

    assert_int_not_equal(outcome.status, 0);
    assert_contains(outcome.errors, "--set tls.crl: a list of revoked certificates in");
}

/* A machine that starts, and a worker that is replaced, shall not stay without service: who is not
 * content with the certificate says so himself. */
static void
a_certificate_that_has_ended_is_told_of_and_serves(void **state)
{
    (void)state;
    make_files();
    const char *folder = test_folder();
    struct daemon *daemon = daemon_serve(
        "tcp", "threading", "good_command",
        text_of("tls = { certificate = \"%s/expired.pem\"; key = \"%s/expired.key\"; };", folder,
                folder));

    for (int i = 0; i < 2; i++) {
        (void)daemon_wait_log_times(daemon, "listeners.test.tls.certificate: the certificate in",
                                    (size_t)i + 1);
        assert_contains(S_CLIENT(daemon, "echo all the same\nquit\n", "-quiet"), "all the same\n");
        if (i == 0)
            assert_return_code(kill(daemon_worker(daemon), SIGKILL), errno);
    }
    daemon_expect_stop(daemon);
}

#define ROW(i) TEST_ROW(a_mistake_is_told_with_its_place, &rows[i], #i)

/* Nothing is said of a module that nobody has looked for; the rest of the listener is tried. */
static void
files_that_are_missing_are_all_that_is_said(void **state)
{
    const char *missing = test_path("missing");
    const char *tls = text_of("tls = { certificate = \"%s\"; key = \"%s\"; };", missing, missing);
    const char *file = daemon_configuration("listeners = {\n%s%s};",
                                            listener_text("a", "tcp", "threading", "echo", tls),
                                            listener_text("b", "tcp", "threading", "nobody", tls));

    (void)state;
    struct outcome outcome = COMMAND("", "--check", "-c", file);
    assert_int_equal(outcome.status, 78);
    assert_contains(outcome.errors, "listeners.a.tls.key: cannot read");
    assert_contains(outcome.errors, "listeners.b: cannot load plugin");
    assert_lacks(outcome.errors, "module");
}

RUN_TESTS(ROW(0), ROW(1), ROW(2), ROW(3), ROW(4), ROW(5), ROW(6), ROW(7), ROW(8), ROW(9), ROW(10),
          ROW(11), ROW(12), ROW(13), ROW(14), TEST(mistakes_of_several_files_are_told_together),
          TEST(files_that_are_missing_are_all_that_is_said),
          TEST(a_list_of_the_revoked_that_has_ended_is_a_mistake),
          TEST(a_certificate_that_has_ended_is_told_of_and_serves))
