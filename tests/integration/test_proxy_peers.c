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
#include <stdio.h>
#include <unistd.h>

#include "support/client.h"
#include "support/command.h"
#include "support/control.h"
#include "support/daemon.h"
#include "support/peer.h"
#include "support/test.h"

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

static const char *
free_place(void)
{
    return text_of("127.0.0.1:%u", peer_free_port());
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

    (void)PEER_START(program, "-db", "-f", file);
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
    (void)PEER_START(program, "-p", test_folder(), "-c", file);
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

#define HAPROXY(options) TEST_ROW(haproxy_announces, options, options)

RUN_TESTS(HAPROXY("send-proxy"), HAPROXY("send-proxy-v2"),
          HAPROXY("send-proxy-v2 proxy-v2-options crc32c,unique-id"),
          HAPROXY("send-proxy-v2 check inter 100ms check-send-proxy"), TEST(nginx_announces),
          TEST(curl_announces_itself))
