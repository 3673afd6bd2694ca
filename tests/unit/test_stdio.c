/* SPDX-License-Identifier: MIT */
/*
 * test_stdio.c - one request on standard input and output, in a process of its own
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/leave.h"
#include "common/log.h"
#include "worker/once.h"

#define FIXTURE(name) BUILD_DIR "/tests/plugins/" name ".so"
#define DEADLINE      60 /* seconds; then SIGALRM ends the process */

static struct {
    int status; /* of exit, or minus the signal */
    char output[4096], errors[4096];
} outcome;

static void
read_back(int fd, char *buffer, size_t size)
{
    ssize_t got = pread(fd, buffer, size - 1, 0);

    assert_true(got >= 0);
    buffer[got] = '\0';
    (void)close(fd);
}

/* Runs the role with this standard input; the option may be NULL. */
static void
run(const char *plugin, int input, const char *option, const char *value)
{
    int output = memfd_create("output", MFD_CLOEXEC), errors = memfd_create("errors", MFD_CLOEXEC);
    int status;
    pid_t child = fork();

    if (child == 0) {
        struct settings settings;
        (void)alarm(DEADLINE);
        (void)dup2(input, STDIN_FILENO);
        (void)dup2(output, STDOUT_FILENO);
        (void)dup2(errors, STDERR_FILENO);
        if (settings_init(&settings, "test") < 0 || settings_fill(&settings) < 0)
            leave(99);
        settings.plugin_file = strdup(plugin);
        settings.max_packet_size = 100;
        if (option != NULL)
            (void)settings_add_option(&settings, option, &(struct given){.text = value});
        leave(once_main(&settings, false));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    read_back(output, outcome.output, sizeof(outcome.output));
    read_back(errors, outcome.errors, sizeof(outcome.errors));
    (void)close(input);
}

/* A pipe with this text and then its end. */
static int
text_input(const char *text)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], text, strlen(text)), strlen(text));
    (void)close(ends[1]);
    return ends[0];
}

static void
stream_plugin_serves_standard_input(void **state)
{
    (void)state;
    run(FIXTURE("good_command"), text_input("echo one\nclient\nworker\n"), NULL, NULL);
    assert_int_equal(outcome.status, 0);
    assert_string_equal(outcome.output, "one\nclient standard input\nworker test-stdio\n");
    assert_string_equal(outcome.errors, "");
}

static void
file_and_nothing_are_fine_inputs(void **state)
{
    int file = memfd_create("input", MFD_CLOEXEC);

    (void)state;
    assert_int_equal(pwrite(file, "echo file\n", 10, 0), 10);
    run(FIXTURE("good_command"), file, NULL, NULL);
    assert_string_equal(outcome.output, "file\n");
    run(FIXTURE("good_command"), open("/dev/null", O_RDONLY | O_CLOEXEC), NULL, NULL);
    assert_int_equal(outcome.status, 0);
    assert_string_equal(outcome.output, "");
}

static void
datagram_plugin_gets_all_of_it_as_its_packet(void **state)
{
    (void)state;
    run(FIXTURE("bad_transport_datagram"), text_input("packet"), NULL, NULL);
    assert_int_equal(outcome.status, 0);
    assert_string_equal(outcome.output, "bad_transport_datagram\n");
}

static void
input_that_cannot_be_read_ends_it(void **state)
{
    static const char *const plugins[] = {FIXTURE("bad_transport_datagram"),
                                          FIXTURE("good_command")};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        run(plugins[i], open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), NULL, NULL);
        assert_int_equal(outcome.status, 1);
        assert_non_null(strstr(outcome.errors, "Is a directory"));
    }
}

static void
failed_handler_is_status_1(void **state)
{
    (void)state;
    run(FIXTURE("good_command"), text_input("fail 5\n"), NULL, NULL);
    assert_int_equal(outcome.status, 1);
    assert_non_null(strstr(outcome.errors, "Input/output error"));
}

static void
failed_activation_is_status_1_and_told(void **state)
{
    (void)state;
    run(FIXTURE("bad_activate"), text_input("x"), NULL, NULL);
    assert_int_equal(outcome.status, 1);
    assert_string_equal(outcome.output, "");
    assert_non_null(strstr(outcome.errors, "server_activate failed: Input/output error"));
}

static void
options_are_taken_and_checked(void **state)
{
    (void)state;
    run(FIXTURE("good_command"), text_input("options\n"), "count", "7");
    assert_int_equal(outcome.status, 0);
    assert_non_null(strstr(outcome.output, "count=7"));
    run(FIXTURE("good_command"), text_input("options\n"), "count", "many");
    assert_int_equal(outcome.status, 78);
    assert_string_equal(outcome.output, "");
    assert_non_null(strstr(outcome.errors, "-o count: found \"many\""));
}

static void
plugin_that_does_not_load_is_told(void **state)
{
    (void)state;
    run(FIXTURE("bad_no_handle"), text_input(""), NULL, NULL);
    assert_int_not_equal(outcome.status, 0);
    assert_non_null(strstr(outcome.errors, "it has no handle()"));
}

/* As inetd's "nowait" has it: one socket is input and output. */
static void
connected_socket_is_answered_and_half_closed(void **state)
{
    char bytes[64] = "";
    int pair[2], status;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(write(pair[1], "echo hello\nquit\n", 16), 16);
    pid_t child = fork();
    if (child == 0) {
        struct settings settings;
        (void)alarm(DEADLINE);
        (void)dup2(pair[0], STDIN_FILENO);
        (void)dup2(pair[0], STDOUT_FILENO);
        if (settings_init(&settings, "test") < 0 || settings_fill(&settings) < 0)
            leave(99);
        settings.plugin_file = strdup(FIXTURE("good_command"));
        leave(once_main(&settings, false));
    }
    (void)close(pair[0]);
    assert_int_equal(recv(pair[1], bytes, sizeof(bytes), MSG_WAITALL), 6);
    assert_string_equal(bytes, "hello\n");
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    (void)close(pair[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stream_plugin_serves_standard_input),
        cmocka_unit_test(file_and_nothing_are_fine_inputs),
        cmocka_unit_test(datagram_plugin_gets_all_of_it_as_its_packet),
        cmocka_unit_test(input_that_cannot_be_read_ends_it),
        cmocka_unit_test(failed_handler_is_status_1),
        cmocka_unit_test(failed_activation_is_status_1_and_told),
        cmocka_unit_test(options_are_taken_and_checked),
        cmocka_unit_test(plugin_that_does_not_load_is_told),
        cmocka_unit_test(connected_socket_is_answered_and_half_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
