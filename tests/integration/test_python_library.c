/* SPDX-License-Identifier: MIT */
/*
 * test_python_library.c - what stands between, and the servers of Python's own library
 *
 * Handlers behind TLS and PROXY headers; http.server, xmlrpc.server, wsgiref.simple_server and
 * logging.config.listen() as scripts, with curl and their own clients.
 */
#include "python_fixture.h"
#include "support/command.h"
#include "tls_fixture.h"

#define PYTHON "/usr/bin/python3"

static void
need_tls(void)
{
    need_python();
    if (access(BUILD_DIR "/lib/sockserverd/tls.so", R_OK) == 0)
        return;
    print_message("skipped: this build has no TLS\n");
    skip();
}

static const char *
ask_python(const char *program)
{
    need_program(PYTHON);
    struct outcome outcome = command_run(PYTHON, "", (const char *const[]){"-c", program, NULL});

    return text_of("%s%s", outcome.output, outcome.errors);
}

/* What the handler answers over TLS to these lines. */
static const char *
ask_tls(struct daemon *daemon, const char *lines)
{
    const char *command = text_of("printf '%s' | timeout 60 openssl s_client -quiet -ign_eof "
                                  "-connect %s > %s 2> /dev/null",
                                  lines, host_and_port(daemon), test_path("answer"));

    if (system(command) < 0)
        fail_msg("cannot run %s", command);
    return file_text(test_path("answer"));
}

static void
over_tls_the_request_has_a_sockets_methods(void **state)
{
    need_tls();
    need_program(OPENSSL);
    struct daemon *daemon = serve_handler(
        *state,
        HANDLER("class Handler(socketserver.StreamRequestHandler):\n"
                "    timeout = 30\n"
                "    def handle(self):\n"
                "        for line in self.rfile:\n"
                "            self.wfile.write(line.upper())\n"
                "            if line == b'raw\\n': self.request.sendall(b'x' * 300000 + b'\\n')\n"
                "            if line == b'tls\\n':\n"
                "                self.wfile.write(str(self.request.version()).encode())\n"
                "                self.wfile.write(self.request.getsockname()[0].encode())\n"
                "            if line == b'end\\n': break\n"),
        text_of("tls = { %s };", own_files()));

    assert_string_equal(ask_tls(daemon, "hello\\nend\\n"), "HELLO\nEND\n");
    assert_contains(ask_tls(daemon, "tls\\nend\\n"), "TLSv1.3127.0.0.1");
    assert_true(strlen(ask_tls(daemon, "raw\\nend\\n")) == 300000 + 1 + 8);
    daemon_expect_stop(daemon);
}

/* The client finds the end while the handler still listens to it. */
static void
over_tls_the_output_ends_at_once(void **state)
{
    need_tls();
    struct daemon *daemon =
        serve_handler(*state,
                      HANDLER("class Handler(socketserver.BaseRequestHandler):\n"
                              "    def handle(self):\n"
                              "        self.request.sendall(self.request.recv(100).upper())\n"
                              "        self.request.shutdown(1)\n"
                              "        print('then', self.request.recv(100))\n"),
                      text_of("tls = { %s };", own_files()));
    const char *program =
        text_of("import socket, ssl\n"
                "context = ssl._create_unverified_context()\n"
                "client = context.wrap_socket(socket.create_connection('%s'.rsplit(':')),\n"
                "                             suppress_ragged_eofs=False)\n"
                "client.sendall(b'hello')\n"
                "print(client.recv(100), client.recv(100))\n"
                "client.sendall(b'more')\n",
                host_and_port(daemon));

    assert_string_equal(ask_python(program), "b'HELLO' b''\n");
    (void)daemon_wait_log(daemon, "test/1]: then b'more'");
    daemon_expect_stop(daemon);
}

/* The client's own address arrives, and the socket is still a real one. */
static void
behind_a_balancer_the_client_is_known(void **state)
{
    struct daemon *daemon =
        serve_handler(*state, talkative, "proxy = { trusted = [ \"127.0.0.1\" ]; };\n");
    const char *address = daemon_address(daemon, "test");
    int client = client_connect(address);

    client_send(client, "PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\n");
    client_send(client, "who\nkind\n");
    client_half_close(client);
    assert_starts(client_receive_all(client), "192.0.2.7 127.0.0.1\n");
    daemon_expect_stop(daemon);
}

/* Bytes that come together with the header go through an object of the plugin's. */
static void
behind_a_balancer_a_handler_may_end_its_output(void **state)
{
    struct daemon *daemon = serve_handler(
        *state,
        HANDLER("class Handler(socketserver.BaseRequestHandler):\n"
                "    def handle(self):\n"
                "        self.request.sendall(self.request.recv(100).upper())\n"
                "        self.request.shutdown(1)\n"
                "        sys.stdout.buffer.write(b'then ' + self.request.recv(100) + b'\\n')\n"),
        "proxy = { trusted = [ \"127.0.0.1\" ]; };\n");
    int client = client_connect(daemon_address(daemon, "test"));

    client_send(client, "PROXY TCP4 192.0.2.7 192.0.2.1 4711 80\r\nhello\n");
    assert_string_equal(client_receive_all(client), "HELLO\n");
    client_send(client, "more");
    (void)daemon_wait_log(daemon, "test/1]: then more");
    daemon_expect_stop(daemon);
}

/* ---- the standard library's servers ---------------------------------------------------------- */

static void
http_server_serves_files(void **state)
{
    struct daemon *daemon =
        serve_script(*state,
                     "import http.server, os\n"
                     "os.chdir(os.path.dirname(__file__))\n"
                     "http.server.ThreadingHTTPServer(('', 8000),\n"
                     "    http.server.SimpleHTTPRequestHandler).serve_forever()\n",
                     "");
    const char *address = daemon_address(daemon, "test") + strlen("tcp://");

    (void)python_file("page.txt", "a page\n");
    need_program("/usr/bin/curl");
    for (int i = 0; i < 3; i++) {
        struct outcome outcome =
            command_run("/usr/bin/curl", "",
                        (const char *const[]){"-sS", text_of("http://%s/page.txt", address), NULL});
        assert_string_equal(text_of("%s%s", outcome.output, outcome.errors), "a page\n");
    }
    assert_contains(client_ask(daemon_address(daemon, "test"), "HEAD / HTTP/1.0\r\n\r\n"),
                    " 200 OK");
    (void)daemon_wait_log(daemon, "\"GET /page.txt HTTP/1.1\" 200 -");
    daemon_expect_stop(daemon);
}

static void
xmlrpc_server_answers_its_client(void **state)
{
    struct daemon *daemon =
        serve_script(*state,
                     "from xmlrpc.server import SimpleXMLRPCServer\n"
                     "with SimpleXMLRPCServer(('localhost', 8000), logRequests=False) as server:\n"
                     "    server.register_function(lambda x, y: x + y, 'add')\n"
                     "    server.serve_forever()\n",
                     "");
    const char *address = daemon_address(daemon, "test") + strlen("tcp://");

    assert_string_equal(ask_python(text_of("import xmlrpc.client\n"
                                           "s = xmlrpc.client.ServerProxy('http://%s')\n"
                                           "print(s.add(2, 3), s.add('a', 'b'))\n",
                                           address)),
                        "5 ab\n");
    daemon_expect_stop(daemon);
}

static void
wsgi_server_runs_an_application(void **state)
{
    struct daemon *daemon = serve_script(*state,
                                         "from wsgiref.simple_server import make_server\n"
                                         "def application(environment, start):\n"
                                         "    start('200 OK', [('Content-Type', 'text/plain')])\n"
                                         "    return [environment['PATH_INFO'].encode(), b' ', "
                                         "environment['REMOTE_ADDR'].encode()]\n"
                                         "with make_server('', 8000, application) as server:\n"
                                         "    server.serve_forever()\n",
                                         "");
    const char *address = daemon_address(daemon, "test") + strlen("tcp://");

    assert_string_equal(ask_python(text_of("import urllib.request\n"
                                           "print(urllib.request.urlopen('http://%s/path').read())",
                                           address)),
                        "b'/path 127.0.0.1'\n");
    daemon_expect_stop(daemon);
}

/* It waits for its socket itself, and asks for one request at a time. */
static void
logging_is_configured_through_its_own_server(void **state)
{
    struct daemon *daemon = serve_script(*state,
                                         "import logging, logging.config\n"
                                         "thread = logging.config.listen(9999)\n"
                                         "thread.start()\n"
                                         "thread.join()\n",
                                         "");
    const char *address = daemon_address(daemon, "test"), *port = strrchr(address, ':') + 1;

    assert_string_equal(
        ask_python(text_of("import json, socket, struct\n"
                           "text = json.dumps({'version': 1, 'bogus': 1,\n"
                           "    'formatters': {'f': {'format': 'configured'}},\n"
                           "    'handlers': {'h': {'class': 'logging.StreamHandler'}},\n"
                           "    'root': {'handlers': ['h'], 'level': 'INFO'}}).encode()\n"
                           "s = socket.create_connection(('127.0.0.1', %s))\n"
                           "s.sendall(struct.pack('>L', len(text)) + text)\n"
                           "s.shutdown(1)\nprint(s.recv(10))\n",
                           port)),
        "b''\n");
    (void)daemon_wait_log(daemon, ": done, ");
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_CASE(over_tls_the_request_has_a_sockets_methods, "tcp", "none"),
          TEST_CASE(over_tls_the_request_has_a_sockets_methods, "tcp", "threading"),
          TEST_CASE(over_tls_the_request_has_a_sockets_methods, "tcp", "forking"),
          TEST_CASE(over_tls_the_output_ends_at_once, "tcp", "threading"),
          TEST_CASE(over_tls_the_output_ends_at_once, "tcp", "forking"),
          TEST_EACH_PYTHON(behind_a_balancer_the_client_is_known, "tcp"),
          TEST_EACH_PYTHON(behind_a_balancer_a_handler_may_end_its_output, "tcp"),
          TEST_EACH_PYTHON(http_server_serves_files, "tcp"),
          TEST_EACH_PYTHON(xmlrpc_server_answers_its_client, "tcp"),
          TEST_EACH_PYTHON(wsgi_server_runs_an_application, "tcp"),
          TEST_CASE(logging_is_configured_through_its_own_server, "tcp", "none"),
          TEST_CASE(logging_is_configured_through_its_own_server, "tcp", "threading"))
