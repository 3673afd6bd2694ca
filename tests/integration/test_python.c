/* SPDX-License-Identifier: MIT */
/*
 * test_python.c - the plugin `python`: handlers, servers with hooks of their own, and how they end
 */
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

#include "python_fixture.h"
#include "support/command.h"

static void
a_handler_serves_and_what_it_prints_is_logged(void **state)
{
    struct daemon *daemon = serve_handler(*state, talkative, "");
    const char *address = daemon_address(daemon, "test");

    assert_string_equal(client_ask(address, "one\ntwo\nkind\n"), "ONE\nTWO\nSOCKET\n");
    (void)daemon_wait_log(daemon, "test/1]: the end");
    if (strncmp(address, "tcp", 3) == 0)
        assert_string_equal(client_ask(address, "who\n"), "127.0.0.1 127.0.0.1\n");
    daemon_expect_stop(daemon);
}

static void
an_exception_is_one_record_and_ends_its_request_only(void **state)
{
    static const char *const rows[][2] = {
        {"raise\n", "ValueError: two | lines; at "},
        {"exit\n", "the handler ended by SystemExit: 3"},
        {"interrupt\n", "the handler ended by KeyboardInterrupt"},
    };
    struct daemon *daemon = serve_handler(*state, talkative, "");

    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(client_ask(daemon_address(daemon, "test"), rows[i][0]), "");
        assert_contains(daemon_wait_log(daemon, rows[i][1]), "handlers.py:");
        (void)daemon_wait_log_times(daemon, ": failed, ", i + 1);
    }
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "next\n"), "NEXT\n");
    daemon_expect_stop(daemon);
}

static void
a_handler_that_computes_for_ever_is_ended_and_named(void **state)
{
    struct daemon *daemon = serve_handler(*state, talkative, "spin_limit = 0.5;\n");

    assert_string_equal(client_ask(daemon_address(daemon, "test"), "spin\n"), "");
    assert_contains(daemon_wait_log(daemon, "the request is cut at"), "handlers.py:1");
    (void)daemon_wait_log(daemon, ": spin_limit is over");
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "next\n"), "NEXT\n");
    assert_lacks(daemon_log(daemon), "must be replaced");
    assert_lacks(daemon_log(daemon), "is killed");
    daemon_expect_stop(daemon);
}

static void
a_process_that_ends_is_replaced(void **state)
{
    struct daemon *daemon = serve_handler(*state, talkative, "");
    int client = client_connect(daemon_address(daemon, "test"));

    client_send(client, "die\n");
    client_expect_gone(client);
    client_close(client);
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "next\n"), "NEXT\n");
    daemon_expect_stop(daemon);
}

/* What a module has registered for forks is called, and nothing else of Python's is: see forks.c.
 */
static void
a_child_is_told_of_its_fork(void **state)
{
    struct daemon *daemon = serve_handler(
        *state,
        HANDLER("import random\n"
                "told = []\n"
                "os.register_at_fork(before=lambda: told.append('before'),\n"
                "                    after_in_parent=lambda: told.append('parent'),\n"
                "                    after_in_child=lambda: told.append('child'))\n"
                "class Handler(socketserver.StreamRequestHandler):\n"
                "    def handle(self):\n"
                "        self.wfile.write(f'{told[:1]} {told[-2:]} {random.random()}'.encode())\n"),
        "");
    const char *address = daemon_address(daemon, "test");
    const char *one = client_ask(address, ""), *two = client_ask(address, "");

    assert_starts(one, "['before'] ['before', 'child'] 0.");
    assert_starts(two, "['before'] ['before', 'child'] 0.");
    assert_string_not_equal(one, two);
    daemon_expect_stop(daemon);
}

static void
a_datagram_is_answered_from_the_listener(void **state)
{
    struct daemon *daemon =
        serve_handler(*state,
                      HANDLER("class Handler(socketserver.DatagramRequestHandler):\n"
                              "    def handle(self):\n"
                              "        assert self.request[1] is self.server.socket\n"
                              "        self.wfile.write(self.rfile.read().upper())\n"),
                      "");

    for (int i = 0; i < 3; i++)
        assert_string_equal(client_ask(daemon_address(daemon, "test"), "hello"), "HELLO");
    daemon_expect_stop(daemon);
}

/* ---- servers with hooks of their own ------------------------------------------------------- */

static const char own_server[] =
    HANDLER("class Handler(socketserver.BaseRequestHandler):\n"
            "    def handle(self):\n"
            "        data = self.request.recv(100)\n"
            "        if data == b'raise': raise ValueError('mine')\n"
            "        self.request.sendall(self.server.greeting + data)\n"
            "class Server(socketserver.TCPServer):\n"
            "    greeting = b'hello '\n"
            "    acted = 0\n"
            "    def verify_request(self, request, client_address):\n"
            "        return request.recv(1, 2) != b'x'\n"
            "    def process_request(self, request, client_address):\n"
            "        print('process')\n"
            "        super().process_request(request, client_address)\n"
            "    def finish_request(self, request, client_address):\n"
            "        print('finish')\n"
            "        super().finish_request(request, client_address)\n"
            "    def handle_error(self, request, client_address):\n"
            "        print('own error', sys.exc_info()[1])\n"
            "    def service_actions(self):\n"
            "        self.acted += 1\n"
            "        if self.acted == 3: print('acted three times')\n"
            "    def server_close(self):\n"
            "        super().server_close()\n"
            "        print('closed')\n"
            "with Server(('127.0.0.1', 0), Handler) as server:\n"
            "    print('port', server.server_address[1] == server.socket.getsockname()[1] > 0)\n"
            "    server.serve_forever()\n"
            "print('the script goes on')\n");

static void
a_servers_own_hooks_are_called(void **state)
{
    struct daemon *daemon = serve_script(*state, own_server, "service_interval = 0.05;\n");
    const char *address = daemon_address(daemon, "test");

    assert_string_equal(client_ask(address, "you"), "hello you");
    assert_string_equal(client_ask(address, "x"), "");
    (void)daemon_wait_log(daemon, ": refused");
    assert_string_equal(client_ask(address, "raise"), "");
    (void)daemon_wait_log(daemon, "own error mine");
    (void)daemon_wait_log(daemon, ": port True");
    (void)daemon_wait_log(daemon, ": acted three times");
    assert_int_equal(daemon_count_log(daemon, ": process"), 2);
    assert_int_equal(daemon_count_log(daemon, ": finish"), 2);
    daemon_expect_stop(daemon);
    assert_contains(daemon_log(daemon), ": closed");
    assert_contains(daemon_log(daemon), ": the script goes on");
}

/* A pool of threads of the script's own: the request ends when they have done with it. */
static void
requests_may_be_given_to_a_pool(void **state)
{
    struct daemon *daemon = serve_script(
        *state,
        HANDLER("from concurrent.futures import ThreadPoolExecutor\n"
                "class Handler(socketserver.StreamRequestHandler):\n"
                "    def handle(self):\n"
                "        self.wfile.write(self.rfile.readline().upper())\n"
                "class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):\n"
                "    pool = ThreadPoolExecutor(2)\n"
                "    def process_request(self, request, client_address):\n"
                "        self.pool.submit(self.process_request_thread, request, client_address)\n"
                "Server(('', 0), Handler).serve_forever()\n"),
        "");

    for (int i = 0; i < 5; i++)
        assert_string_equal(client_ask(daemon_address(daemon, "test"), "pool\n"), "POOL\n");
    daemon_expect_stop(daemon);
}

/* ---- how scripts wait ------------------------------------------------------------------------ */

#define UPPER                                                                                      \
    "class Handler(socketserver.StreamRequestHandler):\n"                                          \
    "    def handle(self):\n"                                                                      \
    "        self.wfile.write(self.rfile.readline().upper())\n"                                    \
    "server = socketserver.TCPServer(('', 0), Handler)\n"

struct waiting {
    const char *mixin, *text;
};

static void
a_script_may_wait_in_its_own_way(void **state)
{
    const struct waiting *row = *state;
    struct server_case server = {"tcp", row->mixin};
    struct daemon *daemon = serve_script(&server, row->text, "");

    for (int i = 0; i < 3; i++)
        assert_string_equal(client_ask(daemon_address(daemon, "test"), "hello\n"), "HELLO\n");
    daemon_expect_stop(daemon);
    assert_contains(daemon_log(daemon), "goodbye");
}

#define THREAD "threading.Thread(target=server.serve_forever, daemon=True).start()\n"
#define FOR_EVER                                                                                   \
    "try:\n    while True: server.handle_request()\n"                                              \
    "except KeyboardInterrupt: print('goodbye')\n"
static const struct waiting waits[] = {
    {"none", HANDLER(UPPER "while server.acted if hasattr(server, 'acted') else True:\n"
                           "    server.handle_request()\n"
                           "    if sys.stdin is None: break\n"
                           "    print('goodbye')\n")},
    {"threading", HANDLER(UPPER THREAD "input('Enter ends this')\nprint('goodbye')\n")},
    {"threading", HANDLER(UPPER THREAD "try:\n    while True: time.sleep(100)\n"
                                       "except KeyboardInterrupt: print('goodbye')\n")},
    {"threading",
     HANDLER("import signal\n" UPPER THREAD "def end(*_):\n    print('goodbye')\n    sys.exit(0)\n"
             "signal.signal(signal.SIGTERM, end)\n"
             "while True: time.sleep(100)\n")},
    {"threading", HANDLER(UPPER "t = threading.Thread(target=server.serve_forever)\n"
                                "t.start()\nt.join()\nprint('goodbye')\n")},
    {"none", HANDLER("import atexit\natexit.register(print, 'goodbye')\n" UPPER
                     "server.serve_forever()\n")},
    {"forking", HANDLER("import atexit\natexit.register(print, 'goodbye')\n" UPPER
                        "server.serve_forever()\n")},
    {"threading", HANDLER(UPPER FOR_EVER)},
    {"forking", HANDLER(UPPER FOR_EVER)},
};

/* ---- scripts that do not serve --------------------------------------------------------------- */

static const struct waiting mistakes[] = {
    {"has ended and serves nothing", "print('hello')\n"},
    {"SyntaxError: ", "def\n"},
    {"ModuleNotFoundError: No module named 'missing_module'", "import missing_module\n"},
    {"ended by sys.exit(2)", "import sys\nsys.exit(2)\n"},
    {"serves datagrams, and its listener receives streams",
     HANDLER(UPPER "socketserver.UDPServer(('', 0), Handler).serve_forever()\n")},
    {"has called os.fork(), and ended without serving: the daemon serves in the process",
     HANDLER("if os.fork() != 0: sys.exit(0)\nos._exit(0)\n")},
    {"a process that the script has made by os.fork() cannot serve: the daemon serves in the "
     "process",
     HANDLER(UPPER "if os.fork() == 0: server.serve_forever()\nos.wait()\n")},
};

static void
a_script_that_does_not_serve_is_said_so(void **state)
{
    static const char *const mixins[] = {"threading", "forking"};
    const struct waiting *row = *state;

    need_python();
    for (size_t i = 0; i < 2; i++) {
        const char *file = python_file("server.py", row->text);
        struct daemon *daemon = daemon_start(
            "listeners = {\n%s};", listener_text("test", "tcp", mixins[i], "python",
                                                 text_of("options = { script = \"%s\"; };", file)));
        (void)daemon_wait_log(daemon, row->mixin);
        (void)daemon_stop(daemon);
    }
}

/* ---- --check --------------------------------------------------------------------------------- */

static struct outcome
check(const char *options)
{
    const char *file = test_file(
        "check.conf", text_of("listeners = { a = { address = \"tcp://127.0.0.1:0\"; plugin ="
                              " \"python\"; options = { %s }; }; };",
                              options));

    return COMMAND("", "--plugin-path", SHIPPED_PLUGINS, "--check", "-c", file);
}

struct wrong {
    const char *script, *handler, *text; /* what handlers.py and server.py hold */
    const char *said;
};

static void
a_check_says_what_is_wrong(void **state)
{
    const struct wrong *row = *state;

    need_python();
    (void)python_file("handlers.py", row->text);
    (void)python_file("server.py", row->text);
    assert_true(mkfifo(test_path("fifo.py"), 0666) == 0 || errno == EEXIST);
    struct outcome outcome =
        check(row->script != NULL
                  ? text_of("script = \"%s/%s\";", test_folder(), row->script)
                  : text_of("handler = \"%s\"; path = [ \"%s\" ];", row->handler, test_folder()));

    assert_int_equal(outcome.status, 78);
    assert_contains(outcome.errors, row->script != NULL ? "options.script: " : "options.handler: ");
    assert_contains(outcome.errors, row->said);
}

#define TWO_LINES "import socketserver\ndef\n"
static const struct wrong wrongs[] = {
    {"missing.py", NULL, "", "/missing.py: No such file or directory; expected a Python program"},
    {"fifo.py", NULL, "", "/fifo.py is no regular file"},
    {"server.py", NULL, TWO_LINES, "/server.py:2: invalid syntax"},
    {"server.py", NULL, "return\n", "/server.py:1: 'return' outside function"},
    {NULL, "handlers:Handler", TWO_LINES, "/handlers.py:2: invalid syntax"},
    {NULL, "handlers:Handler", "class Handle: pass\n", "/handlers.py has no Handler"},
    {NULL, "missing:Handler", "", "there is no module missing in "},
    {NULL, "json.missing:Handler", "", "there is no module json.missing in "},
    {NULL, "handlers:", "", "expected \"MODULE:CLASS\""},
};

/* Nothing of them runs, no byte code is written, and names that only running tells of are no
 * mistake. */
static void
a_check_runs_nothing(void **state)
{
    static const char running[] = "open(__file__ + '.ran', 'w')\nglobals()['Handler'] = 1\n";

    (void)state;
    need_python();
    (void)python_file("handlers.py", running);
    const char *script = python_file("server.py", running);
    static const char *const others[] = {"http.server:SimpleHTTPRequestHandler",
                                         "handlers:Handler"};
    struct outcome outcome = check(text_of("script = \"%s\";", script));

    assert_string_equal(outcome.errors, "");
    assert_int_equal(outcome.status, 0);
    for (size_t i = 0; i < 2; i++) {
        outcome = check(text_of("handler = \"%s\"; path = [ \"%s\" ];", others[i], test_folder()));
        assert_string_equal(outcome.errors, "");
        assert_int_equal(outcome.status, 0);
    }
    assert_int_equal(access(test_path("server.py.ran"), F_OK), -1);
    assert_int_equal(access(test_path("handlers.py.ran"), F_OK), -1);
    assert_int_equal(access(test_path("__pycache__"), F_OK), -1);
}

static void
a_second_server_is_named(void **state)
{
    struct daemon *daemon =
        serve_script(*state,
                     HANDLER(UPPER "other = socketserver.TCPServer(('', 0), Handler)\n"
                                   "threading.Timer(0.1, other.serve_forever).start()\n"
                                   "server.serve_forever()\n"),
                     "");

    (void)daemon_wait_log(daemon, "a second server, TCPServer, is not served");
    assert_string_equal(client_ask(daemon_address(daemon, "test"), "hello\n"), "HELLO\n");
    daemon_expect_stop(daemon);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void
handlers_that_wait_do_not_hold_up_the_end(void **state)
{
    struct daemon *daemon = serve_handler(*state, talkative, "drain_timeout = 0.2;\n");
    int client = client_connect(daemon_address(daemon, "test"));

    client_send(client, "hello\n");
    client_expect(client, "HELLO\n");
    daemon_expect_stop(daemon);
    client_expect_gone(client);
}

/* ---- reload ---------------------------------------------------------------------------------- */

#define ANSWER(text)                                                                               \
    HANDLER("import helper\n"                                                                      \
            "class Handler(socketserver.StreamRequestHandler):\n"                                  \
            "    def handle(self):\n"                                                              \
            "        self.wfile.write((helper.word + ' " text "').encode())\n")

static void
a_changed_module_is_taken_over_by_a_reload(void **state)
{
    (void)python_file("helper.py", "word = 'old'\n");
    struct daemon *daemon = serve_handler(*state, ANSWER("one"), "");
    const char *address = daemon_address(daemon, "test");

    assert_string_equal(client_ask(address, ""), "old one");
    daemon_signal(daemon, SIGHUP);
    (void)daemon_wait_log_times(daemon, "reloaded", 1);
    assert_int_equal(daemon_count_log(daemon, "listening on"), 1); /* nothing has changed */
    (void)python_file("helper.py", "word = 'changed'\n");
    daemon_signal(daemon, SIGHUP);
    (void)daemon_wait_log_times(daemon, "reloaded", 2);
    assert_string_equal(client_ask(address, ""), "changed one");
    (void)python_file("handlers.py", ANSWER("two"));
    daemon_signal(daemon, SIGHUP);
    (void)daemon_wait_log_times(daemon, "reloaded", 3);
    assert_string_equal(client_ask(address, ""), "changed two");
    daemon_expect_stop(daemon);
}

/* A process that forks has no use for it: each child imports anew. */
static void
so_is_one_that_was_imported_while_serving(void **state)
{
    (void)python_file("late.py", "word = 'old'\n");
    struct daemon *daemon =
        serve_handler(*state,
                      HANDLER("class Handler(socketserver.StreamRequestHandler):\n"
                              "    def handle(self):\n"
                              "        import late\n"
                              "        self.wfile.write(late.word.encode())\n"),
                      "");
    const char *address = daemon_address(daemon, "test");

    assert_string_equal(client_ask(address, ""), "old");
    assert_int_equal(CTL(daemon, "status").status, 0); /* the supervisor has heard of it, too */
    (void)python_file("late.py", "word = 'changed'\n");
    daemon_signal(daemon, SIGHUP);
    (void)daemon_wait_log_times(daemon, "reloaded", 1);
    assert_string_equal(client_ask(address, ""), "changed");
    daemon_expect_stop(daemon);
}

RUN_TESTS(TEST_EACH_PYTHON(a_handler_serves_and_what_it_prints_is_logged, "tcp"),
          TEST_CASE(a_handler_serves_and_what_it_prints_is_logged, "unix", "threading"),
          TEST_CASE(a_handler_serves_and_what_it_prints_is_logged, "unix", "forking"),
          TEST_EACH_PYTHON(an_exception_is_one_record_and_ends_its_request_only, "tcp"),
          TEST_EACH_PYTHON(a_handler_that_computes_for_ever_is_ended_and_named, "tcp"),
          TEST_CASE(a_process_that_ends_is_replaced, "tcp", "threading"),
          TEST_CASE(a_process_that_ends_is_replaced, "tcp", "forking"),
          TEST_CASE(a_child_is_told_of_its_fork, "tcp", "forking"),
          TEST_EACH_PYTHON(a_datagram_is_answered_from_the_listener, "udp"),
          TEST_EACH_PYTHON(a_datagram_is_answered_from_the_listener, "unixgram"),
          TEST_EACH_PYTHON(a_servers_own_hooks_are_called, "tcp"),
          TEST_CASE(requests_may_be_given_to_a_pool, "tcp", "none"),
          TEST_CASE(requests_may_be_given_to_a_pool, "tcp", "threading"),
          TEST_ROW(a_script_may_wait_in_its_own_way, &waits[0], "handle_request"),
          TEST_ROW(a_script_may_wait_in_its_own_way, &waits[1], "input"),
          TEST_ROW(a_script_may_wait_in_its_own_way, &waits[2], "sleep"),
          TEST_ROW(a_script_may_wait_in_its_own_way, &waits[3], "SIGTERM"),
          TEST_ROW(a_script_may_wait_in_its_own_way, &waits[4], "join"),
          TEST_ROW(a_script_may_wait_in_its_own_way, &waits[5], "serve_forever"),
          TEST_ROW(a_script_may_wait_in_its_own_way, &waits[6], "forking"),
          TEST_ROW(a_script_may_wait_in_its_own_way, &waits[7], "for ever"),
          TEST_ROW(a_script_may_wait_in_its_own_way, &waits[8], "for ever, forking"),
          TEST_ROW(a_script_that_does_not_serve_is_said_so, &mistakes[0], "nothing"),
          TEST_ROW(a_script_that_does_not_serve_is_said_so, &mistakes[1], "syntax"),
          TEST_ROW(a_script_that_does_not_serve_is_said_so, &mistakes[2], "import"),
          TEST_ROW(a_script_that_does_not_serve_is_said_so, &mistakes[3], "exit"),
          TEST_ROW(a_script_that_does_not_serve_is_said_so, &mistakes[4], "datagrams"),
          TEST_ROW(a_script_that_does_not_serve_is_said_so, &mistakes[5], "fork"),
          TEST_ROW(a_script_that_does_not_serve_is_said_so, &mistakes[6], "fork that serves"),
          TEST_ROW(a_check_says_what_is_wrong, &wrongs[0], "missing script"),
          TEST_ROW(a_check_says_what_is_wrong, &wrongs[1], "FIFO"),
          TEST_ROW(a_check_says_what_is_wrong, &wrongs[2], "syntax of the script"),
          TEST_ROW(a_check_says_what_is_wrong, &wrongs[3], "the compiler's"),
          TEST_ROW(a_check_says_what_is_wrong, &wrongs[4], "syntax of the module"),
          TEST_ROW(a_check_says_what_is_wrong, &wrongs[5], "class"),
          TEST_ROW(a_check_says_what_is_wrong, &wrongs[6], "module"),
          TEST_ROW(a_check_says_what_is_wrong, &wrongs[7], "module of a package"),
          TEST_ROW(a_check_says_what_is_wrong, &wrongs[8], "no class"), TEST(a_check_runs_nothing),
          TEST_CASE(a_second_server_is_named, "tcp", "threading"),
          TEST_CASE(a_changed_module_is_taken_over_by_a_reload, "tcp", "threading"),
          TEST_CASE(a_changed_module_is_taken_over_by_a_reload, "tcp", "forking"),
          TEST_CASE(so_is_one_that_was_imported_while_serving, "tcp", "none"),
          TEST_CASE(so_is_one_that_was_imported_while_serving, "tcp", "threading"),
          TEST_CASE(so_is_one_that_was_imported_while_serving, "tcp", "forking"),
          TEST_EACH_PYTHON(handlers_that_wait_do_not_hold_up_the_end, "tcp"))
