/* SPDX-License-Identifier: MIT */
/*
 * python_fixture.h - a listener whose plugin is `python`, with a handler or a script of the test's
 *
 * The plugin is missing where its library was: the tests are skipped then, and say so.
 */
#ifndef TESTS_INTEGRATION_PYTHON_FIXTURE_H
#define TESTS_INTEGRATION_PYTHON_FIXTURE_H

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support/client.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"

#define PYTHON_SEEDS SOURCE_DIR "/tests/python/seeds"

static inline void
need_python(void)
{
    if (CHECKED_THREAD)
        print_message("skipped: Python's library is not instrumented for races\n");
    else if (access(SHIPPED_PLUGINS "/python.so", R_OK) == 0)
        return;
    else
        print_message("skipped: plugins/python.so was not built, libpython3-dev is missing\n");
    skip();
}

/* A file of the test's own folder, which the worker's user can read. */
static inline const char *
python_file(const char *name, const char *text)
{
    const char *path = test_path(name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    return path;
}

/* The listener "test" with these options of the plugin's, and more lines of its own. */
static inline struct daemon *
serve_python(const struct server_case *server, const char *options, const char *more)
{
    need_python();
    struct daemon *daemon =
        daemon_start("log = { target = \"stderr\"; access = true; };\nlisteners = {\n%s};",
                     listener_text("test", server->scheme, server->mixin, "python",
                                   text_of("options = { %s };\n%s", options, more)));

    (void)daemon_address(daemon, "test");
    return daemon;
}

/* The same with this text as its script. */
static inline struct daemon *
serve_script(const struct server_case *server, const char *text, const char *more)
{
    return serve_python(server, text_of("script = \"%s\";", python_file("server.py", text)), more);
}

/* And with this class as its handler, in a module of the given text. */
static inline struct daemon *
serve_handler(const struct server_case *server, const char *text, const char *more)
{
    (void)python_file("handlers.py", text);
    return serve_python(
        server, text_of("handler = \"handlers:Handler\"; path = [ \"%s\" ];", test_folder()), more);
}

#define HANDLER(body) "import os, socketserver, sys, threading, time\n" body

/* Answers each line: its own address book, errors of every kind, and the line in upper case. */
static const char talkative[] __attribute__((unused)) =
    HANDLER("class Handler(socketserver.StreamRequestHandler):\n"
            "    def handle(self):\n"
            "        for line in self.rfile:\n"
            "            word = line.decode().strip()\n"
            "            if word == 'raise': raise ValueError('two\\nlines')\n"
            "            if word == 'exit': sys.exit(3)\n"
            "            if word == 'interrupt': raise KeyboardInterrupt\n"
            "            if word == 'die': os._exit(1)\n"
            "            if word == 'spin':\n"
            "                while True: pass\n"
            "            if word == 'who':\n"
            "                word = f'{self.client_address[0]} {self.server.server_address[0]}'\n"
            "            if word == 'kind': word = type(self.request).__name__\n"
            "            if word == 'tls': word = str(self.request.version())\n"
            "            self.wfile.write(word.upper().encode() + b'\\n')\n"
            "        print('the end', end='')\n");

#define TEST_EACH_PYTHON(function, scheme)                                                         \
    TEST_CASE(function, scheme, "none"), TEST_CASE(function, scheme, "threading"),                 \
        TEST_CASE(function, scheme, "forking")

#endif
