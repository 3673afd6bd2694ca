/* SPDX-License-Identifier: MIT */
/*
 * test_lookup.c - the address behind a name, and the loop that goes on meanwhile
 */
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/array.h"
#include "common/child.h"
#include "common/cleanup.h"
#include "fds_fixture.h"
#include "names_fixture.h"
#include "supervisor/socket/lookup.h"

struct result {
    sd_event *event;
    unsigned calls;
    struct resolved found;
    char problem[600];
};

static void
on_done(const struct resolved *found, const char *problem, void *userdata)
{
    struct result *result = userdata;

    result->calls++;
    if (found != NULL)
        result->found = *found;
    else
        (void)snprintf(result->problem, sizeof(result->problem), "%s", problem);
    (void)sd_event_exit(result->event, 0);
}

static struct lookup *
begin(struct result *result, const char *text, uint64_t patience_usec)
{
    _cleanup_free_ char *problem = NULL;
    struct lookup *lookup = NULL;
    struct address address;

    *result = (struct result){0};
    assert_true(sd_event_new(&result->event) >= 0);
    assert_int_equal(address_parse(text, &address, &problem), 0);
    assert_true(address_is_name(&address));
    const struct lookup_setup setup = {
        .event = result->event,
        .address = &address,
        .patience_usec = patience_usec,
        .done = on_done,
        .userdata = result,
    };
    assert_int_equal(lookup_new(&setup, &lookup), 0);
    address_done(&address);
    return lookup;
}

/* Neither a child nor a descriptor is left. */
static void
end(struct result *result, struct lookup *lookup, size_t fds_before)
{
    lookup_free(lookup);
    (void)sd_event_unref(result->event);
    while (child_sweep() > 0)
        (void)usleep(1000);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(count_fds(), fds_before);
}

static void
look_up(const char *text, uint64_t patience_usec, struct result *ret)
{
    size_t fds = count_fds();
    struct lookup *lookup = begin(ret, text, patience_usec);

    assert_true(sd_event_loop(ret->event) >= 0);
    assert_int_equal(ret->calls, 1);
    end(ret, lookup, fds);
}

static void
a_known_name_has_an_address(void **state)
{
    struct result result;

    (void)state;
    look_up("tcp://known.test:7", LOOKUP_USEC, &result);
    const struct sockaddr_in *in = (const struct sockaddr_in *)&result.found.address;
    assert_int_equal(result.found.size, sizeof(*in));
    assert_int_equal(in->sin_family, AF_INET);
    assert_int_equal(ntohl(in->sin_addr.s_addr), INADDR_LOOPBACK);
    assert_int_equal(ntohs(in->sin_port), 7);
    assert_false(result.found.any);
}

static void
a_failure_names_the_name_and_the_reason(void **state)
{
    static const struct {
        const char *address, *problem;
        uint64_t patience_usec;
    } rows[] = {
        {"tcp://unknown.test:7", "cannot resolve \"unknown.test\" port \"7\": Name or service not",
         LOOKUP_USEC},
        {"udp://127.0.0.1:no-such-service",
         "cannot resolve \"127.0.0.1\" port \"no-such-service\": no such service; expected a port",
         LOOKUP_USEC},
        {"udp://silent.test:7",
         "cannot resolve \"silent.test\" port \"7\": no answer within 0.05 s", 50000},
        {"tcp://deadly.test:7",
         "cannot resolve \"deadly.test\" port \"7\": the process that was to look it up ended",
         LOOKUP_USEC},
    };
    struct result result;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        look_up(rows[i].address, rows[i].patience_usec, &result);
        assert_int_equal(result.found.size, 0);
        if (strncmp(result.problem, rows[i].problem, strlen(rows[i].problem)) != 0)
            fail_msg("\"%s\" does not begin with \"%s\"", result.problem, rows[i].problem);
    }
}

static void
one_that_is_given_up_leaves_nothing(void **state)
{
    struct result result;
    size_t fds = count_fds();

    (void)state;
    end(&result, begin(&result, "tcp://silent.test:7", LOOKUP_USEC), fds);
    assert_int_equal(result.calls, 0);
    lookup_free(NULL);
}

static void
numbers_and_paths_are_no_names(void **state)
{
    static const char *const rows[] = {
        "tcp://127.0.0.1:0", "udp://[::1]:53",  "tcp://*:80",   "tcp://0:1",
        "unix:///run/x",     "unixgram:@known", "systemd:name",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *problem = NULL;
        struct address address;
        assert_int_equal(address_parse(rows[i], &address, &problem), 0);
        if (address_is_name(&address))
            fail_msg("%s", rows[i]);
        address_done(&address);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_known_name_has_an_address),
        cmocka_unit_test(a_failure_names_the_name_and_the_reason),
        cmocka_unit_test(one_that_is_given_up_leaves_nothing),
        cmocka_unit_test(numbers_and_paths_are_no_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
