/* SPDX-License-Identifier: MIT */
/*
 * test_exec_services.c - real services for inetd under the plugin `exec`, and its example
 *
 * A service that is not installed is skipped by its name.
 */
#include "exec_fixture.h"

#include <sys/stat.h>

#include "support/command.h"

/* Root's files are git's to serve only if it runs as root. */
static struct daemon *
serve_program(const struct server_case *server, const char *options)
{
    struct daemon *daemon =
        daemon_start("log = { target = \"stderr\"; access = true; };\nlisteners = {\n%s};",
                     listener_text("test", server->scheme, server->mixin, "exec",
                                   text_of("%s options = { %s };",
                                           getuid() == 0 ? "user = \"root\";" : "", options)));

    (void)daemon_address(daemon, "test");
    return daemon;
}

static const char *
output_of(const char *command)
{
    if (system(text_of("{ %s; } > %s 2>&1", command, test_path("output"))) < 0)
        fail_msg("cannot run %s", command);
    return file_text(test_path("output"));
}

static void
git_clones_from_its_daemon(void **state)
{
    static const char *const places[] = {"log", "client"};

    need_program("/usr/bin/git");
    for (size_t i = 0; i < 2; i++) {
        const char *folder = test_folder();
        struct daemon *daemon = serve_program(
            *state,
            text_of("command = \"/usr/bin/git\"; stderr = \"%s\"; environment = \"HOME=%s\";"
                    "arguments = [ \"daemon\", \"--inetd\", \"--export-all\", \"%s\" ];",
                    places[i], folder, folder));
        const char *made = output_of(
            text_of("cd %s && rm -rf a b && git init -q a && cd a && head -c 300000 /dev/urandom > "
                    "big && git add big && git -c user.name=a -c user.email=a@example.org commit "
                    "-qm first && git rev-parse HEAD",
                    folder));
        const char *cloned =
            output_of(text_of("cd %s && git clone -q git://%s%s/a b && cd b && git fsck && "
                              "cmp big ../a/big && git rev-parse HEAD",
                              folder, strstr(daemon_address(daemon, "test"), "://") + 3, folder));

        assert_contains(cloned, made);
        (void)daemon_wait_log(daemon, ": exited with status 0, ");
        daemon_expect_stop(daemon);
    }
}

static void
busybox_serves_files(void **state)
{
    need_program("/bin/busybox");
    (void)test_file("page.txt", "hello\n");
    struct daemon *daemon =
        serve_program(*state, text_of("command = \"/bin/busybox\";"
                                      "arguments = [ \"httpd\", \"-i\", \"-h\", \"%s\" ];",
                                      test_folder()));
    const char *answer = ask(daemon, "GET /page.txt HTTP/1.0\r\n\r\n");

    assert_starts(answer, "HTTP/1.");
    assert_contains(answer, "\r\n\r\nhello\n");
    daemon_expect_stop(daemon);
}

static const char *
example_text(void)
{
    return file_text(SOURCE_DIR "/conf/examples/inetd.conf");
}

static void
the_example_is_a_good_file(void **state)
{
    (void)state;
    need_program("/usr/bin/git");
    need_program("/usr/sbin/in.tftpd");
    need_root("for the listener that runs as root");
    struct outcome check = COMMAND("", "--plugin-path", SHIPPED_PLUGINS, "--check", "-c",
                                   SOURCE_DIR "/conf/examples/inetd.conf");

    assert_string_equal(check.errors, "");
    assert_int_equal(check.status, 0);
}

/* One listener of the example, at a free port, with the test's folder. */
static struct daemon *
example_serves(const char *name, const char *port)
{
    char *text = keep(strdup(strstr(example_text(), text_of("    %s = {", name))));
    char *end = strstr(text, "\n    };\n");

    assert_non_null(end);
    end[strlen("\n    };\n")] = '\0';
    return daemon_start("listeners = {\n%s};",
                        replaced(replaced(text, port, ":0"), "/srv/tftp", test_folder()));
}

static void
the_example_shows_its_environment(void **state)
{
    (void)state;
    struct daemon *daemon = example_serves("show", ":7001");
    const char *answer = client_ask(daemon_address(daemon, "show"), "");

    assert_contains(answer, "PROTO=TCP\n");
    assert_contains(answer, "GREETING=hello\n");
    daemon_expect_stop(daemon);
}

static void
the_example_has_a_program_that_waits(void **state)
{
    (void)state;
    need_program("/usr/sbin/in.tftpd");
    need_program("/usr/bin/tftp");
    need_root("for a program that runs as root");
    assert_int_equal(chmod(test_folder(), 0755), 0);
    assert_int_equal(chmod(test_file("page", "hello\n"), 0644), 0);
    struct daemon *daemon = example_serves("tftp", ":6969");
    const char *port = strrchr(daemon_address(daemon, "tftp"), ':') + 1;

    (void)output_of(
        text_of("cd %s && tftp -m binary 127.0.0.1 %s -c get page got", test_folder(), port));
    assert_string_equal(file_text(test_path("got")), "hello\n");
    daemon_expect_stop(daemon);
}

static void
a_banner_comes_first(void **state)
{
    const char *banner = test_file("banner", "welcome\n");

    assert_int_equal(chmod(test_folder(), 0755), 0);
    struct daemon *daemon = serve_shell(*state, "echo hello",
                                        text_of("banner = \"%s\"; stderr = \"null\";", banner), "");

    assert_string_equal(ask(daemon, ""), "welcome\nhello\n");
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_CASE(git_clones_from_its_daemon, "tcp", "threading"),
          TEST_CASE(git_clones_from_its_daemon, "tcp", "forking"),
          TEST_CASE(git_clones_from_its_daemon, "tcp", "coroutine"),
          TEST_CASE(busybox_serves_files, "tcp", "threading"),
          TEST_CASE(busybox_serves_files, "tcp", "forking"), TEST(the_example_is_a_good_file),
          TEST(the_example_shows_its_environment), TEST(the_example_has_a_program_that_waits),
          TEST_EACH_MIXIN(a_banner_comes_first, "tcp"))
