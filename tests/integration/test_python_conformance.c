/* SPDX-License-Identifier: MIT */
/*
 * test_python_conformance.c - Python's own tests of socketserver, where the daemon serves
 *
 * Each runs as a script whose server is taken over. Those that are not here are named, with the
 * reason, in sockserverd-python(7).
 */
#include "python_fixture.h"

static void
pythons_own_test_passes(void **state)
{
    const char *name = *state, *scheme = "tcp";
    /* A script under "forking" goes on in a copy of its process, which has not its children: these
     * tests look after one of their own. */
    const char *mixin = strstr(name, "ing") != NULL ? "threading" : "none";

    if (strstr(name, "UDP") != NULL)
        scheme = "udp";
    if (strstr(name, "Unix") != NULL)
        scheme = strstr(name, "Stream") != NULL ? "unix" : "unixgram";
    if (access("/usr/lib/python3.11/test/test_socketserver.py", R_OK) != 0) {
        print_message("skipped: needs Debian's libpython3.11-testsuite\n");
        skip();
    }
    need_python();
    struct daemon *daemon = daemon_start(
        "listeners = {\n%s};",
        listener_text("test", scheme, mixin, "python",
                      text_of("options = { script = \"%s/tests/python/library_test.py\"; "
                              "arguments = [ \"%s\" ]; };\n%s",
                              SOURCE_DIR, name,
                              scheme[1] == 'n' ? "socket_mode = \"0666\";\n" : "")));

    assert_contains(daemon_wait_log(daemon, "of 1 tests"), "of 1 tests 0 failed, 0 were skipped");
    (void)daemon_stop(daemon);
}

#define TEST_NAME(name)   TEST_ROW(pythons_own_test_passes, name, name)
#define SERVER_TEST(name) TEST_NAME("SocketServerTest.test_" name)

RUN_TESTS(SERVER_TEST("TCPServer"), SERVER_TEST("ThreadingTCPServer"),
          SERVER_TEST("ForkingTCPServer"), SERVER_TEST("UnixStreamServer"),
          SERVER_TEST("ThreadingUnixStreamServer"), SERVER_TEST("ForkingUnixStreamServer"),
          SERVER_TEST("UDPServer"), SERVER_TEST("ThreadingUDPServer"),
          SERVER_TEST("ForkingUDPServer"), SERVER_TEST("UnixDatagramServer"),
          SERVER_TEST("ThreadingUnixDatagramServer"), SERVER_TEST("ForkingUnixDatagramServer"),
          SERVER_TEST("shutdown"), SERVER_TEST("close_immediately"),
          SERVER_TEST("tcpserver_bind_leak"), SERVER_TEST("context_manager"),
          TEST_NAME("ErrorHandlerTest.test_sync_handled"),
          TEST_NAME("ErrorHandlerTest.test_threading_handled"),
          TEST_NAME("SocketWriterTest.test_basics"), TEST_NAME("SocketWriterTest.test_write"),
          TEST_NAME("MiscTestCase.test_all"),
          TEST_NAME("MiscTestCase.test_shutdown_request_called_if_verify_request_false"),
          TEST_NAME("MiscTestCase.test_threads_reaped"))
