/* SPDX-License-Identifier: MIT */
/*
 * test_example_smtp.c - examples/smtp, with swaks and Python's smtplib as its clients
 *
 * What is said line by line is a table; what is stored is read from the maildir.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/client.h"
#include "support/command.h"
#include "support/daemon.h"
#include "support/peer.h"
#include "support/test.h"

#define PLUGIN BUILD_DIR "/examples/smtp.so"
#define PYTHON "/usr/bin/python3"

#define HELLO                                                                                      \
    "250-here\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 1000\r\n"
#define OK_MAIL "250 2.1.0 ok\r\n"
#define OK_RCPT "250 2.1.5 ok\r\n"
#define GO      "354 end with a dot\r\n"
#define STORED  "250 2.0.0 stored\r\n"
#define ENDS    "550 5.6.0 lines end with CR LF, and nothing else does\r\n"
#define LONG    "550 5.6.0 a line is too long\r\n"
#define BYE     "221 2.0.0 goodbye\r\n"

static struct daemon *
serve_smtp(const char *mixin, const char *more)
{
    return daemon_serve(
        "tcp", mixin, PLUGIN,
        text_of("options = { maildir = \"%s\"; hostname = \"here\"; max_size = 1000; "
                "max_recipients = 2; }; max_line = 2000; %s",
                test_path("mail"), more));
}

static const char *
mixin_of(void **state)
{
    return ((const struct server_case *)*state)->mixin;
}

/* How many files there are in a folder of the maildir; the path of one of them. */
static size_t
count_mail(const char *part, const char **ret_path)
{
    const char *path = test_path(text_of("mail/%s", part));
    DIR *folder = opendir(path);
    size_t count = 0;

    assert_non_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (entry->d_name[0] != '.') {
            *ret_path = text_of("%s/%s", path, entry->d_name);
            count++;
        }
    (void)closedir(folder);
    return count;
}

/* The text of the only message, of which there is no trace in tmp. */
static const char *
only_mail(void)
{
    const char *path = NULL;

    assert_int_equal(count_mail("tmp", &path), 0);
    assert_int_equal(count_mail("new", &path), 1);
    return file_text(path);
}

static void
expect_no_mail(void)
{
    const char *path = "";

    WAIT_UNTIL(count_mail("tmp", &path) == 0);
    assert_int_equal(count_mail("new", &path), 0);
}

static const char *
port_of(struct daemon *daemon)
{
    return strrchr(daemon_address(daemon, "test"), ':') + 1;
}

/* ---- line by line --------------------------------------------------------------------------- */

struct talk {
    const char *label, *said, *heard;
};

static const struct talk talks[] = {
    {"the whole of it at once",
     "EHLO me\r\nMAIL FROM:<a@b> SIZE=999 BODY=8BITMIME\r\nRCPT "
     "TO:<c@d>\r\nDATA\r\nhi\r\n.\r\nQUIT\r\n",
     HELLO OK_MAIL OK_RCPT GO STORED BYE},
    {"small letters and spaces",
     "helo me\r\nmail from: <a@b>\r\nrcpt to: <c@d>\r\ndata\r\n.\r\nquit\r\n",
     "250 here\r\n" OK_MAIL OK_RCPT GO STORED BYE},
    {"each in its place",
     "MAIL FROM:<>\r\nHELO\r\nHELO me\r\nRCPT TO:<a@b>\r\nDATA\r\nMAIL FROM:<>\r\nMAIL "
     "FROM:<>\r\nDATA\r\nRCPT TO:<>\r\n",
     "503 5.5.1 say EHLO first\r\n501 5.5.4 and who are you?\r\n250 here\r\n503 5.5.1 say MAIL "
     "first\r\n503 5.5.1 say RCPT first\r\n" OK_MAIL "503 5.5.1 there is a sender already\r\n503 "
     "5.5.1 say RCPT first\r\n501 5.1.3 RCPT TO:<address>\r\n"},
    {"a message that is forgotten",
     "HELO me\r\nMAIL FROM:<>\r\nRSET\r\nMAIL FROM:<>\r\nHELO me\r\nDATA\r\n",
     "250 here\r\n" OK_MAIL "250 2.0.0 ok\r\n" OK_MAIL "250 here\r\n503 5.5.1 say RCPT first\r\n"},
    {"commands that do little", "NOOP x\r\nVRFY a@b\r\nVRFY\r\nEXPN x\r\n\r\nQUIT\r\nNOOP\r\n",
     "250 2.0.0 ok\r\n252 2.1.5 send it and see\r\n501 5.5.4 VRFY address\r\n500 5.5.1 unknown "
     "command\r\n500 5.5.1 unknown command\r\n" BYE},
    {"addresses",
     "HELO me\r\nMAIL FROM:a@b\r\nMAIL FROM:<a b>\r\nMAIL FROM:<@x,@y:\"a >b\\\"\"@c>\r\nRCPT "
     "TO:<a>b\r\nRCPT TO:<a> x=y\r\nRCPT TO:<a\r\nRCPT TO:<Postmaster>\r\n",
     "250 here\r\n501 5.1.7 MAIL FROM:<address>\r\n501 5.1.7 MAIL FROM:<address>\r\n" OK_MAIL
     "501 5.1.3 RCPT TO:<address>\r\n555 5.5.4 unknown parameter\r\n501 5.1.3 RCPT "
     "TO:<address>\r\n" OK_RCPT},
    {"parameters",
     "HELO me\r\nMAIL FROM:<a> SIZE=1001\r\nMAIL FROM:<a> SIZE=99999999999999999999\r\nMAIL "
     "FROM:<a> "
     "SIZE=-1\r\nMAIL FROM:<a> SIZE=\r\nMAIL FROM:<a> BODY=9BIT\r\nMAIL FROM:<a>  size=1000  "
     "body=7bit\r\n",
     "250 here\r\n552 5.3.4 the message is too large\r\n552 5.3.4 the message is too large\r\n501 "
     "5.5.4 "
     "SIZE=BYTES\r\n501 5.5.4 SIZE=BYTES\r\n555 5.5.4 unknown parameter\r\n" OK_MAIL},
    {"too many recipients",
     "HELO me\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nRCPT TO:<b>\r\nRCPT TO:<c>\r\nDATA\r\n.\r\n",
     "250 here\r\n" OK_MAIL OK_RCPT OK_RCPT "452 4.5.3 too many recipients\r\n" GO STORED},
    {"what is no text", "NOOP \001\r\nNOOP \xc3\xa4\r\n",
     "500 5.5.2 commands are plain ASCII\r\n500 5.5.2 commands are plain ASCII\r\n"},
    {"ten mistakes", "a\r\na\r\na\r\na\r\na\r\na\r\na\r\na\r\na\r\na\r\nNOOP\r\n",
     "500 5.5.1 unknown command\r\n500 5.5.1 unknown command\r\n500 5.5.1 unknown command\r\n"
     "500 5.5.1 unknown command\r\n500 5.5.1 unknown command\r\n500 5.5.1 unknown command\r\n"
     "500 5.5.1 unknown command\r\n500 5.5.1 unknown command\r\n500 5.5.1 unknown command\r\n"
     "500 5.5.1 unknown command\r\n421 4.7.0 too many mistakes\r\n"},
};

static void
it_answers(void **state)
{
    const struct talk *talk = *state;
    struct daemon *daemon = serve_smtp("threading", "");
    const char *answer = client_ask(daemon_address(daemon, "test"), talk->said);

    assert_string_equal(answer, text_of("220 here ESMTP\r\n%s", talk->heard));
    daemon_expect_stop(daemon);
}

/* ---- messages ------------------------------------------------------------------------------- */

/* A client that may send a message now. */
static int
begin_message(struct daemon *daemon)
{
    int client = client_connect(daemon_address(daemon, "test"));

    client_send(client, "HELO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n");
    client_expect(client, "220 here ESMTP\r\n250 here\r\n" OK_MAIL OK_RCPT OK_RCPT GO);
    return client;
}

static void
a_message_is_stored_as_it_came(void **state)
{
    struct daemon *daemon = serve_smtp(mixin_of(state), "");
    int client = begin_message(daemon);

    client_send(client, "Subject: x\r\n\r\n..one\r\n...\r\n.two\r\n\xc3\xa4\r\n \r\n.\r");
    client_send(client, "\nQUIT\r\n");
    client_expect(client, STORED BYE);
    client_expect_end(client);
    const char *mail = only_mail();
    assert_starts(mail, "Return-Path: <a@b>\nDelivered-To: c@d\nDelivered-To: e@f\nReceived: from "
                        "me\n (127.0.0.1:");
    assert_contains(mail, "\n by here with SMTP; ");
    assert_contains(mail, " +0000\nSubject: x\n\n.one\n..\ntwo\n\xc3\xa4\n \n");
    daemon_expect_stop(daemon);
}

/* Texts that are refused after their end, and begin with so many letters; the client goes on. */
static const struct bad_text {
    size_t letters;
    const char *rest, *heard;
} bad_texts[] = {
    {1, "\r\n\n.\r\ny\r\n.\r\n", ENDS},
    {1, "\r\n.\ny\r\n.\r\n", ENDS},
    {1, "\r.\r\ny\r\n.\r\n", ENDS},
    {1, "\r\n.\r\r\ny\r\n.\r\n", ENDS},
    {999, "\r\n.\r\n", "552 5.3.4 the message is too large\r\n"}, /* it has 1,001 bytes */
    {4100, "\r\n.\r\n", LONG},
    {4100, "\n.\r\ny\r\n.\r\n", LONG},
};

static void
a_bad_message_is_refused(void **state)
{
    const struct bad_text *text = *state;
    struct daemon *daemon = serve_smtp("threading", "");
    int client = begin_message(daemon);
    char *letters = keep(calloc(1, text->letters + 1));

    client_send(client, memset(letters, 'x', text->letters));
    client_send(client, text->rest);
    client_expect(client, text->heard);
    expect_no_mail();
    client_send(client, "NOOP\r\n");
    client_expect(client, "250 2.0.0 ok\r\n");
    client_close(client);
    daemon_expect_stop(daemon);
}

static void
the_largest_message_is_taken(void **state)
{
    struct daemon *daemon = serve_smtp("threading", "");
    int client = begin_message(daemon);
    char line[999];

    (void)state;
    memset(line, 'x', sizeof(line));
    line[998] = '\0';
    client_send(client, text_of("%s\r\n.\r\n", line));
    client_expect(client, STORED);
    client_close(client);
    daemon_expect_stop(daemon);
}

static void
a_command_may_be_too_long(void **state)
{
    struct daemon *daemon = serve_smtp("threading", "");
    int client = client_connect(daemon_address(daemon, "test"));
    char line[5000];

    (void)state;
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    client_send(client, text_of("NOOP %s\r\nNOOP\r\nNOOP %s\r\nNOOP\r\n", line, line + 3900));
    client_expect(client,
                  "220 here ESMTP\r\n500 5.5.2 the line is too long\r\n250 2.0.0 ok\r\n500 5.5.2 "
                  "the line is too long\r\n250 2.0.0 ok\r\n");
    client_close(client);
    daemon_expect_stop(daemon);
}

static void
who_goes_away_leaves_nothing(void **state)
{
    struct daemon *daemon = serve_smtp(mixin_of(state), "");
    int client = begin_message(daemon);

    client_send(client, "half a message\r\n");
    client_close(client);
    expect_no_mail();
    client = begin_message(daemon);
    client_send(client, "another half");
    client_reset(client);
    expect_no_mail();
    daemon_expect_stop(daemon);
}

static void
who_says_nothing_is_told(void **state)
{
    struct daemon *daemon = serve_smtp(mixin_of(state), "read_timeout = \"200ms\";");
    int client = client_connect(daemon_address(daemon, "test"));

    client_expect(client, "220 here ESMTP\r\n421 4.4.2 too slow\r\n");
    client_expect_end(client);
    daemon_expect_stop(daemon);
}

static void
a_disk_that_fails_is_a_reason_to_wait(void **state)
{
    struct daemon *daemon = serve_smtp("threading", "");
    const char *path = "";

    (void)state;
    int client = begin_message(daemon);
    assert_return_code(rename(test_path("mail/new"), test_path("mail/old")), errno);
    client_send(client, ".\r\n");
    client_expect(client, "451 4.3.0 try later\r\n");
    assert_int_equal(count_mail("tmp", &path) + count_mail("old", &path), 0);
    assert_return_code(rmdir(test_path("mail/tmp")), errno);
    client_send(client, "MAIL FROM:<>\r\nNOOP\r\n");
    client_expect(client, "451 4.3.0 try later\r\n250 2.0.0 ok\r\n");
    assert_contains(daemon_wait_log(daemon, "cannot store tmp/"), "No such file or directory");
    client_close(client);
    daemon_expect_stop(daemon);
}

/* ---- a drain -------------------------------------------------------------------------------- */

static void
a_drain_lets_a_message_end(void **state)
{
    struct daemon *daemon = serve_smtp(mixin_of(state), "");
    int idle = client_connect(daemon_address(daemon, "test")), client = -1;

    client_expect(idle, "220 here ESMTP\r\n");
    if (strcmp(mixin_of(state), "none") != 0) {
        client = begin_message(daemon);
        client_send(client, "half");
    }
    daemon_signal(daemon, SIGTERM);
    client_expect(idle, "421 4.3.2 the server is stopping; come back soon\r\n");
    client_expect_end(idle);
    if (client >= 0) {
        client_send(client, " a message\r\n.\r\n");
        client_expect(client, STORED "421 4.3.2 the server is stopping; come back soon\r\n");
        client_expect_end(client);
        assert_contains(only_mail(), "\nhalf a message\n");
    }
    daemon_expect_exit(daemon, 0);
}

/* ---- other people's clients ----------------------------------------------------------------- */

static void
swaks_delivers(void **state)
{
    const char *swaks = need_program("swaks");
    struct daemon *daemon = serve_smtp(mixin_of(state), "");
    struct outcome outcome = command_run(
        swaks, "",
        (const char *const[]){"--server", text_of("127.0.0.1:%s", port_of(daemon)), "--from",
                              "alice@example.org", "--to", "bob@example.org,carol@example.org",
                              "--ehlo", "client.example.org", "--pipeline", "--data",
                              "Subject: hello\\n\\n.a dot\\n\\nthe end\\n", NULL});

    if (outcome.status != 0)
        fail_msg("swaks ended with %d and said:\n%s%s", outcome.status, outcome.output,
                 outcome.errors);
    const char *mail = only_mail();
    assert_starts(mail, "Return-Path: <alice@example.org>\nDelivered-To: bob@example.org\n"
                        "Delivered-To: carol@example.org\nReceived: from client.example.org\n");
    assert_contains(mail, "\nSubject: hello\n\n.a dot\n\nthe end\n");
    daemon_expect_stop(daemon);
}

/* swaks between two commands while the server stops: this test stands between the two, and holds
 * the second command back. */
static void
swaks_hears_goodbye_in_the_middle(void **state)
{
    const char *swaks = need_program("swaks"), *place, *said = test_path("said");
    struct daemon *daemon = serve_smtp("threading", "");
    int listener = client_listen("tcp://127.0.0.1:0", 1, &place);

    (void)state;
    (void)PEER_START("/bin/sh", "-c",
                     text_of("%s --server %s --from a@b.org --to c@d.org >%s.part 2>&1; "
                             "echo \"status $?\" >>%s.part; mv %s.part %s",
                             swaks, place + strlen("tcp://"), said, said, said, said));
    int client = client_accept(listener);
    int server = client_connect(daemon_address(daemon, "test"));
    client_send(client, client_receive_line(server)); /* 220 */
    client_send(server, client_receive_line(client)); /* EHLO */
    for (int i = 0; i < 5; i++)
        client_send(client, client_receive_line(server));
    assert_starts(client_receive_line(client), "MAIL FROM:");
    daemon_signal(daemon, SIGTERM);
    client_send(client, client_receive_line(server));
    client_expect_end(server);
    client_close(server);
    client_close(client);
    WAIT_UNTIL(access(said, F_OK) == 0);
    assert_contains(file_text(said), "421 4.3.2 the server is stopping; come back soon");
    assert_lacks(file_text(said), "status 0\n");
    daemon_expect_exit(daemon, 0);
}

static void
smtplib_delivers(void **state)
{
    struct daemon *daemon = serve_smtp(mixin_of(state), "");
    const char *path = "";
    struct outcome outcome =
        command_run(need_program(PYTHON), "",
                    (const char *const[]){SOURCE_DIR "/examples/smtp/client.py", "127.0.0.1",
                                          port_of(daemon), "3", NULL});

    assert_string_equal(outcome.errors, "");
    assert_string_equal(outcome.output,
                        "sent 0 {}\nsent 1 {}\nsent 2 {}\n252 b'2.1.5 send it and see'\n"
                        "552 5.3.4 the message is too large\n");
    assert_int_equal(count_mail("new", &path), 3);
    assert_contains(file_text(path), "\n\n.\n..two\n.one\nGr\xc3\xbc\xc3\x9f"
                                     "e ");
    daemon_expect_stop(daemon);
}

/* ---- its options ---------------------------------------------------------------------------- */

static void
a_name_that_is_none_is_refused(void **state)
{
    const char *file = daemon_configuration(
        "listeners = {\n%s};",
        listener_text(
            "test", "tcp", "threading", PLUGIN,
            text_of("options = { maildir = \"%s\"; hostname = \"a b\"; };", test_path("mail"))));
    struct outcome outcome = COMMAND("", "--check", "-c", file);

    (void)state;
    assert_int_not_equal(outcome.status, 0);
    assert_contains(outcome.errors,
                    "hostname: \"a b\": a host's name has letters, digits, \"-\" and \".\"");
}

#define TALK(i)    TEST_ROW(it_answers, &talks[i], #i)
#define REFUSED(i) TEST_ROW(a_bad_message_is_refused, &bad_texts[i], #i)
#define EACH(function)                                                                             \
    TEST_CASE(function, "tcp", "none"), TEST_CASE(function, "tcp", "threading"),                   \
        TEST_CASE(function, "tcp", "forking")

RUN_TESTS(TALK(0), TALK(1), TALK(2), TALK(3), TALK(4), TALK(5), TALK(6), TALK(7), TALK(8), TALK(9),
          EACH(a_message_is_stored_as_it_came), REFUSED(0), REFUSED(1), REFUSED(2), REFUSED(3),
          REFUSED(4), REFUSED(5), REFUSED(6), TEST(the_largest_message_is_taken),
          TEST(a_command_may_be_too_long), EACH(who_goes_away_leaves_nothing),
          EACH(who_says_nothing_is_told), TEST(a_disk_that_fails_is_a_reason_to_wait),
          EACH(a_drain_lets_a_message_end), EACH(swaks_delivers),
          TEST(swaks_hears_goodbye_in_the_middle), EACH(smtplib_delivers),
          TEST(a_name_that_is_none_is_refused))
