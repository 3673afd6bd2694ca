/* SPDX-License-Identifier: MIT */
/*
 * test_proxy_peers.c - other people's PROXY headers: HAProxy's, nginx's and curl's
 *
 * Each of them runs in front of the daemon, if it is installed; else its test is
 * skipped by name. What they say is compared with where this client comes from.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/client.h"
#include "support/command.h"
#include "support/control.h"
#include "support/daemon.h"
#include "support/test.h"

static const char *
need_program(const char *name)
{
    static const char *const folders[] = {"/usr/sbin", "/usr/bin", "/usr/local/sbin",
                                          "/usr/local/bin"};

    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
        const char *path = text_of("%s/%s", folders[i], name);
        if (access(path, X_OK) == 0)
            return path;
    }
    print_message("skipped: %s is not installed\n", name);
    skip();
    return NULL;
}

static struct daemon *
serve(const char *mixin)
{
    return daemon_serve("tcp", mixin, "good_command", "proxy = { trusted = \"local\"; };");
}

static const char *
host_and_port(struct daemon *daemon)
{
    return daemon_address(daemon, "test") + strlen("tcp://");
}

/* ---- balancers ------------------------------------------------------------------------------ */

static pid_t balancer;

static void
start_balancer(const char *const *arguments)
{
    balancer = fork();
    assert_return_code(balancer, errno);
    if (balancer == 0) {
        (void)!freopen("/dev/null", "w", stderr);
        (void)execv(arguments[0], (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
}

static int
end_balancer(void **state)
{
    if (balancer > 0) {
        (void)kill(balancer, SIGKILL);
        (void)waitpid(balancer, NULL, 0);
    }
    balancer = 0;
    return test_done(state);
}

/* Connects through the balancer, which listens at this path, when it is there. */
static void
expect_own_address_through(const char *path)
{
    struct sockaddr_in own;
    socklen_t size = sizeof(own);
    const char *address = text_of("tcp://%s", path);
    int client = -1;

    WAIT_UNTIL(client_try_connect(address, true, &client) == 0);
    assert_return_code(getsockname(client, (struct sockaddr *)&own, &size), errno);
    client_send(client, "client\n");
    client_expect(client, text_of("client 127.0.0.1:%u\n", ntohs(own.sin_port)));
    client_close(client);
}

/* A port that nobody has at present. */
static const char *
free_place(void)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(own);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_return_code(bind(fd, (struct sockaddr *)&own, size), errno);
    assert_return_code(getsockname(fd, (struct sockaddr *)&own, &size), errno);
    (void)close(fd);
    return text_of("127.0.0.1:%u", ntohs(own.sin_port));
}

static void
haproxy_announces(void **state)
{
    const char *options = *state, *program = need_program("haproxy"), *place = free_place();
    struct daemon *daemon = serve("coroutine");
    const char *file = test_file(
        "haproxy.cfg", text_of("defaults\n mode tcp\n timeout connect 5s\n timeout client 20s\n"
                               " timeout server 20s\nlisten test\n bind %s\n server one %s %s\n",
                               place, host_and_port(daemon), options));

    start_balancer((const char *const[]){program, "-db", "-f", file, NULL});
    expect_own_address_through(place);
    expect_own_address_through(place);
    if (strstr(options, "check") != NULL)
        WAIT_UNTIL(control_figure(daemon, "test", "accepted") == 2 &&
                   control_figure(daemon, "test", "active") == 0);
    assert_int_equal(control_figure(daemon, "test", "refused"), 0);
    assert_int_equal(control_figure(daemon, "test", "accepted"), 2);
    daemon_expect_stop(daemon);
}

static void
nginx_announces(void **state)
{
    const char *program = need_program("nginx"), *place = free_place();
    const char *module = "/usr/lib/nginx/modules/ngx_stream_module.so";
    struct daemon *daemon = serve("threading");

    (void)state;
    if (access(module, R_OK) < 0) {
        print_message("skipped: nginx has no stream module at %s\n", module);
        skip();
    }
    const char *file = test_file(
        "nginx.conf",
        text_of("load_module %s;\ndaemon off; master_process off; pid %s; error_log stderr;\n"
                "events { }\nstream { server { listen %s; proxy_pass %s; proxy_protocol on; } }\n",
                module, test_path("nginx.pid"), place, host_and_port(daemon)));
    start_balancer((const char *const[]){program, "-p", test_folder(), "-c", file, NULL});
    expect_own_address_through(place);
    daemon_expect_stop(daemon);
}

/* curl announces itself, and sends a request that no command knows; the daemon's access line says
 * that its header was taken. */
static void
curl_announces_itself(void **state)
{
    const char *program = need_program("curl");
    struct daemon *daemon = daemon_start(
        "log = { access = true; };\nlisteners = {\n%s};",
        listener_text("test", "tcp", "forking", "echo", "proxy = { trusted = \"local\"; };"));

    (void)state;
    (void)command_run(program, "",
                      (const char *const[]){program, "-s", "--http0.9", "--max-time", "1",
                                            "--haproxy-protocol",
                                            text_of("http://%s/", host_and_port(daemon)), NULL} +
                          1);
    WAIT_UNTIL(control_figure(daemon, "test", "accepted") == 1);
    assert_int_equal(control_figure(daemon, "test", "refused"), 0);
    daemon_expect_stop(daemon);
}

#define HAPROXY(options)                                                                           \
    {                                                                                              \
        "haproxy_announces (" options ")", haproxy_announces, NULL, end_balancer,                  \
            (void *)(uintptr_t)options                                                             \
    }

int
main(int count, char *arguments[])
{
    const struct CMUnitTest tests[] = {
        HAPROXY("send-proxy"),
        HAPROXY("send-proxy-v2"),
        HAPROXY("send-proxy-v2 proxy-v2-options crc32c,unique-id"),
        HAPROXY("send-proxy-v2 check inter 100ms check-send-proxy"),
        {"nginx_announces", nginx_announces, NULL, end_balancer, NULL},
        {"curl_announces_itself", curl_announces_itself, NULL, end_balancer, NULL},
    };

    cmocka_set_test_filter(count > 1 ? arguments[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
