/* SPDX-License-Identifier: MIT */
/*
 * test_exec_environment.c - what a program finds when it starts, here and under other inetds
 *
 * tests/probe tells it. The rows are what sockserverd-exec(7) says in its table. A server that is
 * not installed is skipped by its name.
 */
#include "exec_fixture.h"

#include <errno.h>
#include <sys/stat.h>

#include "common/array.h"
#include "support/peer.h"

/* Unpacked by ./dev, as it drives xinetd away where it is installed. It writes /run/inetd.pid. */
#define OPENBSD_INETD SOURCE_DIR "/build/bench/openbsd-inetd/usr/sbin/inetd"
#define ON_ITS_OWN    "mount -t tmpfs test /run && exec \"$0\" -i \"$1\""

/* "%P" is the port, "%C" a file with the peer's configuration. */
static const struct server {
    const char *needs; /* NULL: the program, which is what it is about */
    const char *program;
    const char *arguments[10];
    const char *configuration; /* or NULL */
    bool root;
    const char *leads, *argv0, *variables;
} servers[] = {
    {.program = "/usr/sbin/xinetd",
     .arguments = {"xinetd", "-dontfork", "-f", "%C", "-pidfile", "%C.pid"},
     .configuration =
         "service probe\n{\ntype = UNLISTED\nsocket_type = stream\nprotocol = tcp\n"
         "port = %P\nwait = no\nuser = nobody\nserver = " PROBE "\nserver_args = one\n}\n",
     .root = true,
     .leads = " session group",
     .argv0 = "probe",
     .variables = " REMOTE_HOST"},
    {.needs = OPENBSD_INETD,
     .program = "/usr/bin/unshare",
     .arguments = {"unshare", "--mount", "sh", "-c", ON_ITS_OWN, OPENBSD_INETD, "%C"},
     .configuration = "127.0.0.1:%P stream tcp nowait nobody " PROBE " probe one\n",
     .root = true,
     .leads = " session group",
     .argv0 = "probe",
     .variables = ""},
    {.program = "/usr/bin/tcpserver",
     .arguments = {"tcpserver", "-HRl0", "127.0.0.1", "%P", PROBE, "one"},
     .leads = "",
     .argv0 = PROBE,
     .variables = " PROTO TCPLOCALHOST TCPLOCALIP TCPLOCALPORT TCPREMOTEIP TCPREMOTEPORT"},
    {.program = "/usr/bin/systemd-socket-activate",
     .arguments = {"systemd-socket-activate", "--accept", "--inetd", "-l", "127.0.0.1:%P", PROBE,
                   "one"},
     .leads = "",
     .argv0 = PROBE,
     .variables = ""},
};

static const char *
expected_text(const char *leads, const char *argv0, const char *variables)
{
    return text_of("descriptors 0 1 2\nfolder /\numask 022\nleads%s\nsignals\nargv %s one\n"
                   "variables%s\n",
                   leads, argv0, variables);
}

static void
need_server(const char *program)
{
    if (access(program, X_OK) == 0)
        return;
    print_message("skipped: %s is not there: ./dev test --with-peers gets it\n", program);
    skip();
}

static void
a_peer_starts_it_so(void **state)
{
    const struct server *server = *state;
    const char *arguments[ARRAY_SIZE(server->arguments) + 1] = {NULL};
    unsigned port = peer_free_port();
    const char *digits = text_of("%u", port), *file = "";

    if (server->root)
        need_root("to become nobody");
    need_server(server->needs != NULL ? server->needs : server->program);
    if (server->configuration != NULL)
        file = test_file("peer.conf", replaced(server->configuration, "%P", digits));
    for (size_t i = 0; server->arguments[i] != NULL; i++)
        arguments[i] = replaced(replaced(server->arguments[i], "%P", digits), "%C", file);
    (void)umask(022);
    pid_t peer = peer_start(server->program, arguments, port);
    assert_string_equal(peer_answer(port, ""),
                        expected_text(server->leads, server->argv0, server->variables));
    peer_end(peer);
}

static const struct way {
    const char *mixin, *options, *variables;
} ways[] = {
    {"forking", "stderr = \"client\";", " REMOTE_ADDR REMOTE_HOST REMOTE_PORT"},
    {"forking", "", " REMOTE_ADDR REMOTE_HOST REMOTE_PORT"},
    {"threading", "", " REMOTE_ADDR REMOTE_HOST REMOTE_PORT"},
    {"coroutine", "", " REMOTE_ADDR REMOTE_HOST REMOTE_PORT"},
    {"none", "", " REMOTE_ADDR REMOTE_HOST REMOTE_PORT"},
    {"forking", "stderr = \"client\"; protocol = \"ucspi\";",
     " PROTO REMOTE_ADDR REMOTE_PORT TCPLOCALIP TCPLOCALPORT TCPREMOTEIP TCPREMOTEPORT"},
    {"threading", "protocol = \"ucspi\";",
     " PROTO REMOTE_ADDR REMOTE_PORT TCPLOCALIP TCPLOCALPORT TCPREMOTEIP TCPREMOTEPORT"},
};

static void
the_daemon_starts_it_so(void **state)
{
    (void)state;
    (void)umask(022);
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        struct daemon *daemon = daemon_start(
            "listeners = {\n%s};",
            listener_text("test", "tcp", ways[i].mixin, "exec",
                          text_of("options = { command = \"%s\"; arguments = \"one\"; directory = "
                                  "\"/\"; %s };",
                                  PROBE, ways[i].options)));

        assert_string_equal(ask(daemon, ""), expected_text(" group", PROBE, ways[i].variables));
        daemon_expect_stop(daemon);
    }
}

#define SERVER(number, name) TEST_ROW(a_peer_starts_it_so, &servers[number], name)

RUN_TESTS(TEST(the_daemon_starts_it_so), SERVER(0, "xinetd"), SERVER(1, "openbsd-inetd"),
          SERVER(2, "tcpserver"), SERVER(3, "systemd"))
