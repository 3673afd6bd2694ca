/* SPDX-License-Identifier: MIT */
/*
 * test_socket_name.c - the stable names of listening sockets
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "supervisor/socket/socket_name.h"

static void
make_settings(struct settings *settings, const char *address)
{
    char *problem = NULL;

    assert_int_equal(settings_init(settings, "web"), 0);
    assert_int_equal(settings_fill(settings), 0);
    address_done(&settings->address);
    assert_int_equal(address_parse(address, &settings->address, &problem), 0);
}

static void
names_are_made_of_scheme_and_address(void **state)
{
    static const struct {
        const char *address, *name;
    } cases[] = {
        {"tcp://127.0.0.1:9999", "tcp-127.0.0.1-9999"},
        {"udp://*:53", "udp-*-53"},
        {"tcp://[::1]:80", "tcp-[--1]-80"},
        {"tcp://localhost:http", "tcp-localhost-http"},
        {"unix:///run/x.sock", "unix-/run/x.sock"},
        {"unixgram:///run/x.sock", "unixgram-/run/x.sock"},
        {"unix:@name", "unix-@name"},
        {"unix:///run/a:b%c d", "unix-/run/a%3Ab%25c%20d"},
        {"systemd:web", "systemd-web"},
        {"tcp://127.0.0.1:0", "tcp-127.0.0.1-0-web"},
    };
    char name[SOCKET_NAME_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct settings settings;
        make_settings(&settings, cases[i].address);
        assert_string_equal(socket_name(&settings, name), cases[i].name);
        settings_done(&settings);
    }
}

static void
a_shared_address_has_the_listener_in_its_name(void **state)
{
    struct settings settings;
    char name[SOCKET_NAME_SIZE];

    (void)state;
    make_settings(&settings, "tcp://127.0.0.1:9999");
    assert_false(socket_shares_address(&settings));
    settings.reuse_port = true;
    assert_true(socket_shares_address(&settings));
    assert_string_equal(socket_name(&settings, name), "tcp-127.0.0.1-9999-web");
    settings_done(&settings);
}

static bool
is_descriptor_name(const char *name)
{
    for (const char *c = name; *c != '\0'; c++)
        if (*c < ' ' || *c >= 127 || *c == ':')
            return false;
    return strlen(name) < SOCKET_NAME_SIZE;
}

static void
a_long_name_is_cut_and_still_its_own(void **state)
{
    char address[128] = "unix:///", one[SOCKET_NAME_SIZE], other[SOCKET_NAME_SIZE];
    struct settings settings;

    (void)state;
    memset(address + 8, '\xff', 100);
    make_settings(&settings, address);
    assert_true(is_descriptor_name(socket_name(&settings, one)));
    settings_done(&settings);
    address[107] = '\xfe';
    make_settings(&settings, address);
    assert_true(is_descriptor_name(socket_name(&settings, other)));
    assert_string_not_equal(one, other);
    assert_string_equal(socket_name(&settings, one), other);
    settings_done(&settings);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_made_of_scheme_and_address),
        cmocka_unit_test(a_shared_address_has_the_listener_in_its_name),
        cmocka_unit_test(a_long_name_is_cut_and_still_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
