/* SPDX-License-Identifier: MIT */
/*
 * test_connect.c - ss_connect(): names that are slow, addresses that do not answer
 *
 * The names that end in ".test" are this file's: getaddrinfo() is replaced.
 */
#include "request_fixture.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>

/* ---- name servers --------------------------------------------------------------------------- */

int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **ret);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **ret);
void __real_freeaddrinfo(struct addrinfo *list);
void __wrap_freeaddrinfo(struct addrinfo *list);

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool slow;          /* it answers when it is told to */
    unsigned asked;     /* so many have asked for names */
    const char *answer; /* "192.0.2.1 ::1 127.0.0.1"; NULL: no such name */
} names = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static struct addrinfo *
numbers(const char *host, const char *port, const struct addrinfo *hints)
{
    struct addrinfo *info = NULL,
                    with = {.ai_socktype = hints->ai_socktype, .ai_flags = AI_NUMERICHOST};

    assert_int_equal(__real_getaddrinfo(host, port, &with, &info), 0);
    return info;
}

int
__wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                   struct addrinfo **ret)
{
    char text[128], *rest = text, *word;
    struct addrinfo **end = ret;

    if (strstr(host, ".test") == NULL || (hints->ai_flags & AI_NUMERICHOST))
        return __real_getaddrinfo(host, port, hints, ret);
    (void)pthread_mutex_lock(&names.lock);
    names.asked++;
    while (names.slow)
        (void)pthread_cond_wait(&names.changed, &names.lock);
    (void)snprintf(text, sizeof(text), "%s", names.answer == NULL ? "" : names.answer);
    (void)pthread_mutex_unlock(&names.lock);
    *ret = NULL;
    while ((word = strsep(&rest, " ")) != NULL && *word != '\0') {
        *end = numbers(word, port, hints);
        end = &(*end)->ai_next;
    }
    return *ret == NULL ? EAI_NONAME : 0;
}

void
__wrap_freeaddrinfo(struct addrinfo *list)
{
    while (list != NULL) {
        struct addrinfo *next = list->ai_next;
        list->ai_next = NULL;
        __real_freeaddrinfo(list);
        list = next;
    }
}

static void
set_names(const char *answer, bool slow)
{
    (void)pthread_mutex_lock(&names.lock);
    names.answer = answer;
    names.slow = slow;
    names.asked = 0;
    (void)pthread_cond_broadcast(&names.changed);
    (void)pthread_mutex_unlock(&names.lock);
}

static unsigned
times_asked(void)
{
    (void)pthread_mutex_lock(&names.lock);
    unsigned asked = names.asked;
    (void)pthread_mutex_unlock(&names.lock);
    return asked;
}

/* ---- targets -------------------------------------------------------------------------------- */

static char address[64]; /* tcp://NAME:PORT of the target */

/* Listens on 127.0.0.1, and writes the address with this host. */
static int
open_target(const char *host, int backlog)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(own);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&own, size), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &size), 0);
    (void)snprintf(address, sizeof(address), "tcp://%s:%u", host, ntohs(own.sin_port));
    return fd;
}

static void
expect_connected(int fd)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof(peer);

    if (fd < 0)
        fail_msg("cannot connect to %s: %s", address, strerror(-fd));
    assert_int_equal(getpeername(fd, (struct sockaddr *)&peer, &size), 0);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(close(fd), 0);
}

/* ---- the tests ------------------------------------------------------------------------------ */

static void
a_number_asks_nobody(void **state)
{
    int target = open_target("127.0.0.1", 8);

    (void)state;
    set_names(NULL, false);
    expect_connected(ss_connect(request, address, 10));
    assert_int_equal(times_asked(), 0);
    (void)close(target);
}

static void
a_slow_name_ends_with_the_time_and_holds_up_nobody(void **state)
{
    int target = open_target("127.0.0.1", 8);

    (void)state;
    set_names("127.0.0.1", true);
    assert_int_equal(ss_connect(request, "tcp://slow.test:7", 0.05), -ETIMEDOUT);
    expect_connected(ss_connect(request, address, 10)); /* meanwhile */
    set_names("127.0.0.1", false);
    (void)close(target);
}

static void
a_cut_ends_the_wait_for_a_name(void **state)
{
    (void)state;
    set_names("127.0.0.1", true);
    counter_set(fixture.server.counters->phase, PHASE_CUT);
    assert_int_equal(ss_connect(request, "tcp://cut.test:7", 10), -ECANCELED);
    counter_set(fixture.server.counters->phase, PHASE_SERVING);
    set_names("127.0.0.1", false);
}

static void
the_deadline_of_the_request_counts(void **state)
{
    (void)state;
    set_names("127.0.0.1", true);
    request->overtime = FOREVER;
    assert_int_equal(ss_set_deadline(request, 0.05), 0);
    assert_int_equal(ss_connect(request, "tcp://late.test:7", -1), -ETIMEDOUT);
    assert_int_equal(ss_set_deadline(request, 0), 0);
    set_names("127.0.0.1", false);
}

static void
an_answer_is_good_for_a_second(void **state)
{
    int target = open_target("fresh.test", 8);

    (void)state;
    set_names("127.0.0.1", false);
    for (int i = 0; i < 3; i++)
        expect_connected(ss_connect(request, address, 10));
    assert_in_range(times_asked(), 1, 2); /* 2, if this machine is slow */
    (void)close(target);
}

static void
a_name_that_does_not_exist_is_asked_again(void **state)
{
    (void)state;
    set_names(NULL, false);
    assert_int_equal(ss_connect(request, "tcp://none.test:7", 10), -EADDRNOTAVAIL);
    assert_int_equal(ss_connect(request, "tcp://none.test:7", 10), -EADDRNOTAVAIL);
    assert_int_equal(times_asked(), 2);
}

/* Nobody listens at the first two: the third is connected. */
static void
addresses_are_tried_in_turn(void **state)
{
    int target = open_target("many.test", 8);

    (void)state;
    set_names("127.0.0.2 ::1 127.0.0.1", false);
    expect_connected(ss_connect(request, address, 10));
    (void)close(target);
}

/* The queue at 127.0.0.3 is full, so it is silent: the next one is tried soon. */
static void
a_silent_address_is_not_waited_for_alone(void **state)
{
    struct sockaddr_in silent = {.sin_family = AF_INET};
    int target = open_target("mixed.test", 8), full[4];
    int held = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    silent.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
    (void)inet_pton(AF_INET, "127.0.0.3", &silent.sin_addr);
    assert_int_equal(bind(held, (struct sockaddr *)&silent, sizeof(silent)), 0);
    assert_int_equal(listen(held, 0), 0);
    for (size_t i = 0; i < 4; i++) {
        full[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(full[i], (struct sockaddr *)&silent, sizeof(silent));
    }
    set_names("127.0.0.3 127.0.0.1", false);
    int before = open_descriptors();
    expect_connected(ss_connect(request, address, 60));
    assert_in_range(open_descriptors(), before, before + 1); /* the look-up's own may be kept */
    for (size_t i = 0; i < 4; i++)
        (void)close(full[i]);
    (void)close(held);
    (void)close(target);
}

static void
what_is_no_address_is_refused(void **state)
{
    static const char *const texts[] = {"tcp://*:7", "systemd:web", "127.0.0.1:7", "http://a/"};

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(ss_connect(request, texts[i], 10), -EINVAL);
    assert_int_equal(ss_connect(request, "unix:///no/such/socket", 10), -ENOENT);
}

/* More names than there are threads, all of them slow: each waits for its own time only. */
static void
many_slow_names_end_in_time(void **state)
{
    char text[64];

    (void)state;
    set_names("127.0.0.1", true);
    for (unsigned i = 0; i < 8; i++) {
        (void)snprintf(text, sizeof(text), "tcp://slow%u.test:7", i);
        assert_int_equal(ss_connect(request, text, 0.01), -ETIMEDOUT);
    }
    assert_in_range(times_asked(), 0, 4);
    set_names("127.0.0.1", false);
}

#define ROW(function) cmocka_unit_test_setup_teardown(function, open_request, close_it)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_number_asks_nobody),
        ROW(a_slow_name_ends_with_the_time_and_holds_up_nobody),
        ROW(a_cut_ends_the_wait_for_a_name),
        ROW(the_deadline_of_the_request_counts),
        ROW(an_answer_is_good_for_a_second),
        ROW(a_name_that_does_not_exist_is_asked_again),
        ROW(addresses_are_tried_in_turn),
        ROW(a_silent_address_is_not_waited_for_alone),
        ROW(what_is_no_address_is_refused),
        ROW(many_slow_names_end_in_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
