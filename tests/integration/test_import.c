/* SPDX-License-Identifier: MIT */
/*
 * test_import.c - sockserverctl import: what becomes of the files in tests/import
 *
 * NAME.xinetd and NAME.inetd have NAME....expected, the configuration, and
 * NAME....notes; those in bad/ have the one line that they are refused with.
 * Both programs run: what is printed passes --check, and xinetd itself is asked
 * what it answers to the same client.
 */
#include <errno.h>
#include <glob.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/array.h"
#include "support/command.h"
#include "support/daemon.h"
#include "support/peer.h"
#include "support/proc.h"
#include "support/test.h"

#define CORPUS    SOURCE_DIR "/tests/import"
#define EX_USAGE  64
#define EX_CONFIG 78

#define IMPORT(...) command_run(CTL_PROGRAM, "", (const char *const[]){"import", __VA_ARGS__, NULL})

/* The option for a file: --xinetd for NAME.xinetd. */
static const char *
option_of(const char *file)
{
    return text_of("--%s", strrchr(file, '.') + 1);
}

/* Calls the function for each file in a folder of the corpus, from within that folder. */
static void
for_each(const char *folder, void (*function)(const char *file))
{
    glob_t found;

    assert_return_code(chdir(folder), errno);
    assert_int_equal(glob("*.xinetd", 0, NULL, &found), 0);
    assert_int_equal(glob("*.inetd", GLOB_APPEND, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        function(found.gl_pathv[i]);
    globfree(&found);
    assert_return_code(chdir("/"), errno);
}

/* Ports are looked up by name. */
static void
need_services(void)
{
    if (getservbyname("finger", "tcp") != NULL)
        return;
    print_message("skipped: /etc/services does not know finger (netbase)\n");
    skip();
}

/* ---- the corpus ----------------------------------------------------------------------------- */

static void
expect_same(const char *file, const char *found, const char *expected)
{
    if (strcmp(found, expected) != 0)
        fail_msg("%s: found:\n%s\nexpected:\n%s", file, found, expected);
}

static void
expect_import(const char *file)
{
    struct outcome outcome = IMPORT(option_of(file), file);

    assert_int_equal(outcome.status, 0);
    expect_same(file, outcome.output, file_text(text_of("%s.expected", file)));
    expect_same(file, outcome.errors, file_text(text_of("%s.notes", file)));
}

static void
each_file_becomes_what_is_expected(void **state)
{
    (void)state;
    need_services();
    for_each(CORPUS, expect_import);
}

static void
expect_refusal(const char *file)
{
    struct outcome outcome = IMPORT(option_of(file), file);

    assert_int_equal(outcome.status, EX_CONFIG);
    assert_string_equal(outcome.output, "");
    expect_same(file, outcome.errors, file_text(text_of("%s.expected", file)));
}

static void
a_damaged_file_prints_its_place_and_nothing_else(void **state)
{
    (void)state;
    for_each(CORPUS "/bad", expect_refusal);
}

/* Each line of the file has a note, except for those that say nothing themselves. */
static void
expect_notes(const char *file)
{
    const char *text = file_text(file), *notes = file_text(text_of("%s.notes", file));
    unsigned number = 0;

    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
        const char *first = line + strspn(line, " \t\r");
        number++;
        if (strchr("#{}\n", *first) != NULL || strncmp(first, "defaults", 8) == 0 ||
            strncmp(first, "include", 7) == 0 || strchr("\n", first[strcspn(first, ":\n")]) == NULL)
            continue;
        assert_contains(text_of("\n%s", notes), text_of("\n%s:%u: ", file, number));
    }
}

static void
each_line_has_a_note(void **state)
{
    (void)state;
    for_each(CORPUS, expect_notes);
}

/* ---- --check -------------------------------------------------------------------------------- */

/* What is about names, files or plugins that this machine may lack, and not about the import. */
static const struct {
    const char *file, *said;
} missing_here[] = {
    {"manual.xinetd", "/home/user/some_server"},
    {"bind.xinetd", "host.example.com"},
    {"redirect.xinetd", "forward"},
    {"banners.xinetd", "options.banner"},
    {"root.xinetd", "adm"},
    {"unix.inetd", "/run/"},
    {"comments.xinetd", "no listeners"},
    {"empty.xinetd", "no listeners"},
    {"defaults_unused.xinetd", "no listeners"},
    {"internal_unknown.xinetd", "no listeners"},
    {"missing.xinetd", "no listeners"},
    {"refused.inetd", "no listeners"},
};

static bool
is_missing_here(const char *file, const char *said)
{
    for (size_t i = 0; i < ARRAY_SIZE(missing_here); i++)
        if (strcmp(missing_here[i].file, file) == 0 && strstr(said, missing_here[i].said) != NULL)
            return true;
    return false;
}

/* A sanitizer does not start with so little memory as `rlimit_as` leaves it. */
static bool
is_starved(const char *said)
{
    return SANITIZED &&
           (strstr(said, "Failed to mmap") != NULL || strstr(said, "out of memory") != NULL);
}

static void
expect_passed_check(const char *file)
{
    struct outcome outcome = COMMAND("", "--plugin-path", SHIPPED_PLUGINS, "--check", "-c",
                                     text_of("%s.expected", file));

    if (outcome.status != 0 && !is_missing_here(file, outcome.errors) &&
        !is_starved(outcome.errors))
        fail_msg("%s: %s", file, outcome.errors);
}

static void
what_is_printed_passes_a_check(void **state)
{
    (void)state;
    need_root("to check `user`");
    for_each(CORPUS, expect_passed_check);
}

/* ---- files that are none -------------------------------------------------------------------- */

static void
only_a_regular_file_is_read(void **state)
{
    const char *fifo = test_path("fifo"), *secret = test_file("secret", "");
    const struct {
        const char *path, *said;
    } rows[] = {{fifo, "is a FIFO; expected a regular file"},
                {test_folder(), "is a directory; expected a regular file"},
                {"/dev/zero", "is a device; expected a regular file"},
                {"/no/such/file", "cannot read /no/such/file: No such file or directory"},
                {secret, "Permission denied"}};

    (void)state;
    assert_return_code(mkfifo(fifo, 0600), errno);
    assert_return_code(chmod(secret, 0), errno);
    for (size_t i = 0; i < ARRAY_SIZE(rows) - (getuid() == 0); i++) {
        static const char *const options[] = {"--xinetd", "--inetd"};
        for (size_t j = 0; j < ARRAY_SIZE(options); j++) {
            struct outcome outcome = IMPORT(options[j], rows[i].path);
            assert_int_equal(outcome.status, EX_CONFIG);
            assert_string_equal(outcome.output, "");
            assert_contains(outcome.errors, rows[i].said);
        }
    }
}

static char *
repeated(const char *start, char byte, size_t count, const char *end)
{
    char *text = keep(malloc(strlen(start) + count + strlen(end) + 1)), *at;

    assert_non_null(text);
    at = stpcpy(text, start);
    memset(at, byte, count);
    (void)strcpy(at + count, end);
    return text;
}

#define MEBIBYTE ((size_t)1024 * 1024)

static void
long_lines_and_files_are_no_trouble(void **state)
{
    const struct {
        const char *text;
        int status;
    } rows[] = {
        {repeated("service one\n{\nserver_args = ", 'x', MEBIBYTE, "\n}\n"), 0},
        {repeated("service ", 'x', MEBIBYTE, "\n{\n}\n"), 0},
        {repeated("", '{', MEBIBYTE, "\n"), EX_CONFIG},
        {repeated("#", ' ', 5 * MEBIBYTE, "\n"), EX_CONFIG},
        {repeated("service one\n{\nonly_from = ", ' ', MEBIBYTE, ""), EX_CONFIG},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct outcome outcome = IMPORT("--xinetd", test_file("long", rows[i].text));
        assert_int_equal(outcome.status, rows[i].status);
        assert_true((outcome.output[0] == '\0') == (rows[i].status != 0));
        assert_int_equal(IMPORT("--inetd", test_path("long")).status, EX_CONFIG);
    }
}

static void
both_files_make_one_configuration(void **state)
{
    struct outcome outcome =
        IMPORT("--xinetd", CORPUS "/plain.xinetd", "--inetd=" CORPUS "/quotes.inetd");

    (void)state;
    assert_int_equal(outcome.status, 0);
    assert_contains(outcome.output, "    unlisted = {");
    assert_contains(outcome.output, "    s7001 = {");
}

static void
its_options_are_its_own(void **state)
{
    (void)state;
    assert_int_equal(IMPORT("--xinetd").status, EX_USAGE);
    assert_int_equal(IMPORT("--json").status, EX_USAGE);
    assert_int_equal(IMPORT("file").status, EX_USAGE);
    assert_contains(
        command_run(CTL_PROGRAM, "", (const char *const[]){"status", "--xinetd", "x", NULL}).errors,
        "status does not take --xinetd");
}

/* ---- the same answers as xinetd ------------------------------------------------------------- */

#define XINETD "/usr/sbin/xinetd"

/* Services that answer with what a client can see. */
static const struct {
    const char *attributes; /* after type, socket_type, protocol, port, bind, wait and user */
    const char *sent;
} services[] = {
    {"server = /bin/cat", "one\ntwo\n"},
    {"server = /bin/echo\nserver_args = -n \"a b\" c\\d $HOME", ""},
    {"server = /bin/sh\nflags = NAMEINARGS\nserver_args = other -s", "echo $0; umask; pwd\n"},
    {"server = /bin/sh\nserver_args = -s\numask = 077\nenv = A=1 B=2\nnice = 5",
     "echo $0 $A $B; umask; nice\n"},
    {"server = /bin/sh\nserver_args = -s", "echo error >&2; exec 2>&1; ls -d /no/such 2>&1\n"},
    {"server = /bin/sh\nserver_args = -s\nrlimit_files = 100\nrlimit_cpu = 20",
     "ulimit -n; ulimit -t; id -u; id -g; echo $REMOTE_HOST | sed s/::ffff://\n"},
    {"server = /bin/cat\nbanner_success = /etc/issue", "x\n"},
    {"server = /bin/cat\nno_access = 127.0.0.0", "x\n"},
    {"server = /bin/cat\nonly_from = 10.0.0.0", "x\n"},
    {"server = /bin/cat\nonly_from =", "x\n"},
    {"server = /bin/cat\nonly_from = 127.0.0.{1,2}\nonly_from += 10.0.0.0", "x\n"},
};

static const char *
xinetd_text(const unsigned ports[])
{
    const char *text = "";

    for (size_t i = 0; i < ARRAY_SIZE(services); i++)
        text = text_of("%sservice s%zu\n{\ntype = UNLISTED\nsocket_type = stream\nprotocol = tcp\n"
                       "port = %u\nbind = 127.0.0.1\nwait = no\nuser = nobody\n%s\n}\n",
                       text, i, ports[i], services[i].attributes);
    return text;
}

static void
ask_all(const unsigned ports[], const char *ret[])
{
    for (size_t i = 0; i < ARRAY_SIZE(services); i++)
        ret[i] = peer_answer(ports[i], services[i].sent);
}

static void
clients_see_what_they_saw_of_xinetd(void **state)
{
    unsigned ports[ARRAY_SIZE(services)];
    const char *before[ARRAY_SIZE(services)], *after[ARRAY_SIZE(services)];

    (void)state;
    need_root("to become nobody");
    if (access(XINETD, X_OK) < 0) {
        print_message("skipped: %s is not installed\n", XINETD);
        skip();
    }
    for (size_t i = 0; i < ARRAY_SIZE(services); i++)
        ports[i] = peer_free_port();
    const char *file = test_file("xinetd.conf", xinetd_text(ports));
    const char *const arguments[] = {"xinetd",   "-dontfork",      "-f", file,
                                     "-pidfile", test_path("pid"), NULL};
    pid_t xinetd = peer_start(XINETD, arguments, ports[ARRAY_SIZE(services) - 1]);
    ask_all(ports, before);
    peer_end(xinetd);

    struct outcome outcome = IMPORT("--xinetd", file);
    assert_int_equal(outcome.status, 0);
    struct daemon *daemon = daemon_start("%s", outcome.output);
    (void)daemon_address(daemon, text_of("s%zu", ARRAY_SIZE(services) - 1));
    ask_all(ports, after);
    for (size_t i = 0; i < ARRAY_SIZE(services); i++)
        expect_same(services[i].attributes, after[i], before[i]);
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST(each_file_becomes_what_is_expected),
          TEST(a_damaged_file_prints_its_place_and_nothing_else), TEST(each_line_has_a_note),
          TEST(what_is_printed_passes_a_check), TEST(only_a_regular_file_is_read),
          TEST(long_lines_and_files_are_no_trouble), TEST(both_files_make_one_configuration),
          TEST(its_options_are_its_own), TEST(clients_see_what_they_saw_of_xinetd))
