/* SPDX-License-Identifier: MIT */
/*
 * fuzz_adopt.c - any LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES, with descriptors of any kind
 *
 * A libFuzzer target. The first byte says how many descriptors there are from 3
 * on, the next ones of which kind each is, and the text behind them is one
 * variable a line ("-": it is not set; "@" is this process's number). Then
 * listeners claim their sockets. A plain model says what each of them must get:
 * a socket of the right kind, with the right name, and no socket of our own
 * twice. At the end all that was passed is closed, and nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "expect.h"
#include "supervisor/socket/adopt.h"

#define LIMIT     2048
#define FIRST     3   /* of what is passed */
#define PASSED    7   /* so many at most */
#define PUT_ASIDE 100 /* the kinds' own descriptors stand from here on */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- what can be passed --------------------------------------------------------------------- */

enum kind {
    KIND_TCP,
    KIND_UDP,
    KIND_UNIX,
    KIND_UNIXGRAM,
    GOOD_KINDS,
    KIND_OWN_TCP = GOOD_KINDS, /* the same four, opened by an earlier process of the daemon */
    KIND_OWN_UDP,
    KIND_OWN_UNIX,
    KIND_OWN_UNIXGRAM,
    FIT_KINDS,
    KIND_NOT_LISTENING = FIT_KINDS,
    KIND_CONNECTION,
    KIND_PIPE,
    KIND_FILE,
    KIND_SEQPACKET,
    KIND_HOLE, /* no descriptor at all */
    KINDS
};

static int kinds[KINDS];
#define LISTENERS (GOOD_KINDS + 1)

static const struct settings *both[2][LISTENERS]; /* for foreign sockets, and for our own */
static const struct settings **listeners;         /* one of the two */

static int
put_aside(int fd)
{
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, PUT_ASIDE);

    expect(moved >= 0);
    (void)close(fd);
    return moved;
}

static int
bound(int family, int type, const void *address, size_t size, bool listens)
{
    int fd = socket(family, type | SOCK_CLOEXEC, 0);

    expect(fd >= 0 && bind(fd, address, (socklen_t)size) == 0);
    expect(!listens || listen(fd, 1) == 0);
    return put_aside(fd);
}

static int
bound_inet(int type, bool listens)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    return bound(AF_INET, type, &address, sizeof(address), listens);
}

/* With an abstract name, which leaves no file behind. */
static int
bound_unix(int type, const char *mark)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int size = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "fuzz-adopt-%d-%s",
                        (int)getpid(), mark);

    return bound(AF_UNIX, type, &address, offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)size,
                 type != SOCK_DGRAM);
}

/* The room for what is passed is cleared first: a runner of tests may have left something there. */
static void
make_kinds(void)
{
    int pair[2];

    for (int fd = FIRST; fd < PUT_ASIDE; fd++)
        (void)close(fd);
    kinds[KIND_TCP] = bound_inet(SOCK_STREAM, true);
    kinds[KIND_UDP] = bound_inet(SOCK_DGRAM, false);
    kinds[KIND_UNIX] = bound_unix(SOCK_STREAM, "stream");
    kinds[KIND_UNIXGRAM] = bound_unix(SOCK_DGRAM, "datagram");
    kinds[KIND_OWN_TCP] = bound_inet(SOCK_STREAM, true);
    kinds[KIND_OWN_UDP] = bound_inet(SOCK_DGRAM, false);
    kinds[KIND_OWN_UNIX] = bound_unix(SOCK_STREAM, "own-stream");
    kinds[KIND_OWN_UNIXGRAM] = bound_unix(SOCK_DGRAM, "own-datagram");
    for (int kind = GOOD_KINDS; kind < FIT_KINDS; kind++)
        adopt_mark(kinds[kind]);
    kinds[KIND_NOT_LISTENING] = bound_inet(SOCK_STREAM, false);
    kinds[KIND_SEQPACKET] = bound_unix(SOCK_SEQPACKET, "packets");
    kinds[KIND_FILE] = put_aside(memfd_create("fuzz", MFD_CLOEXEC));
    expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    kinds[KIND_CONNECTION] = put_aside(pair[0]);
    (void)put_aside(pair[1]);
    expect(pipe2(pair, O_CLOEXEC) == 0);
    kinds[KIND_PIPE] = put_aside(pair[0]);
    (void)put_aside(pair[1]);
    kinds[KIND_HOLE] = -1;
}

/* ---- who claims ----------------------------------------------------------------------------- */

static const char *const names[] = {"web", "dns", "local", "packets", "other"};

static const struct settings *
make_listener(const char *name, const char *address)
{
    struct settings settings;
    struct errors errors = {0};

    expect(settings_init(&settings, name) == 0);
    settings_set(&settings, "address", &(struct given){.text = address, .file = "f", .line = 1},
                 &errors);
    settings_set(&settings, "plugin", &(struct given){.text = "./echo.so", .file = "f", .line = 2},
                 &errors);
    settings_finish(&settings, "", &errors);
    expect(!errors_any(&errors));
    return settings_share(&settings);
}

/* Four listeners have the addresses of the first four kinds, one takes whatever is called so. */
static void
make_listeners(bool own)
{
    for (int i = 0; i < LISTENERS; i++) {
        struct sockaddr_storage address;
        socklen_t size = sizeof(address);
        char text[ADDRESS_TEXT_SIZE] = "systemd:other";
        int fd = i < GOOD_KINDS ? kinds[i + (own ? GOOD_KINDS : 0)] : -1;

        if (fd >= 0) {
            expect(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
            (void)address_format((struct sockaddr *)&address, size, i == KIND_TCP || i == KIND_UNIX,
                                 text);
        }
        both[own][i] = make_listener(names[i], text);
        expect(both[own][i] != NULL);
    }
}

/* ---- the model ------------------------------------------------------------------------------ */

static struct {
    int count; /* of what must be adopted; 0: nothing */
    enum kind kinds[PASSED];
    char *names[PASSED];
    bool gone[PASSED];
} model;

static bool
is_own(enum kind kind)
{
    return kind >= GOOD_KINDS && kind < FIT_KINDS;
}

/* Whether listener i takes the item, whose address is the listener's if its kind is `kind`. */
static bool
model_belongs(int item, int i, bool own)
{
    enum kind kind = model.kinds[item];
    char name[SOCKET_NAME_SIZE];

    if (model.gone[item] || kind >= FIT_KINDS)
        return false;
    if (i == GOOD_KINDS)
        return !is_own(kind) && strcmp(model.names[item], "other") == 0;
    if (kind != (enum kind)(i + (own ? GOOD_KINDS : 0)))
        return false;
    return own || strcmp(model.names[item], names[i]) == 0 ||
           strcmp(model.names[item], socket_name(listeners[i], name)) == 0;
}

static int
model_claims(int i, bool own)
{
    for (int item = 0; item < model.count; item++)
        if (model_belongs(item, i, own))
            return item;
    return -1;
}

/* ---- the variables -------------------------------------------------------------------------- */

/* Sets the variable to the next line of the text; returns its value, or NULL if it is not set. */
static char *
set_variable(const char *variable, char **text)
{
    char *line = strsep(text, "\n");
    char own[32];

    if (line == NULL || strcmp(line, "-") == 0) {
        expect(unsetenv(variable) == 0);
        return NULL;
    }
    (void)snprintf(own, sizeof(own), "%d", (int)getpid());
    expect(setenv(variable, strcmp(line, "@") == 0 ? own : line, 1) == 0);
    return line;
}

/* The names, as many as there are descriptors, or false. A backslash is the library's to explain.
 */
static bool
model_names(char *text, int count)
{
    bool named = text != NULL;

    for (int i = 0; i < count; i++) {
        model.names[i] = named ? strsep(&text, ":") : (char *)"unknown";
        if (model.names[i] == NULL)
            return false;
    }
    return text == NULL;
}

/* How many descriptors the variables announce, if they are what systemd writes; else -1. */
static int
announced(const char *pid, const char *count, int present)
{
    if (pid == NULL || (strcmp(pid, "@") == 0 && count == NULL))
        return 0;
    if (strcmp(pid, "@") != 0 || strlen(count) != 1 || *count < '1' || *count > '0' + present)
        return -1;
    return *count - '0';
}

/* ---- one input ------------------------------------------------------------------------------ */

static size_t
descriptors_from(int first)
{
    size_t count = 0;

    for (int fd = first; fd < PUT_ASIDE; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void
claim_all(bool own)
{
    for (int i = 0; i < LISTENERS; i++) {
        struct adopted adopted;
        struct stat found, wanted;
        int item = model_claims(i, own);

        expect(adopt_has(listeners[i]) == (item >= 0));
        expect(adopt_claim(listeners[i], NULL, &adopted) == (item >= 0 ? 1 : 0));
        if (item < 0)
            continue;
        expect(fstat(adopted.fd, &found) == 0 && fstat(kinds[model.kinds[item]], &wanted) == 0);
        expect(found.st_ino == wanted.st_ino && found.st_dev == wanted.st_dev);
        expect(adopted.own == is_own(model.kinds[item]) && adopted.path_fd == -1);
        expect((fcntl(adopted.fd, F_GETFD) & FD_CLOEXEC) != 0);
        model.gone[item] = adopted.own;
        (void)close(adopted.fd);
    }
}

static void
count_one(const char *name, int fd, void *userdata)
{
    expect(name != NULL && fd >= FIRST && fd < FIRST + PASSED);
    ++*(int *)userdata;
}

/* Each socket of a socket unit is complained about, unless it is fit and a listener takes it. */
static void
check_complaints(bool own)
{
    struct config config = {.listeners = listeners, .listener_count = LISTENERS};
    struct errors errors = {0};
    size_t complaints = 0;
    int passed_on = 0, foreign = 0;

    for (int item = 0; item < model.count; item++) {
        bool taken = false;
        for (int i = 0; i < LISTENERS; i++)
            taken = taken || model_belongs(item, i, own);
        complaints += !is_own(model.kinds[item]) && !taken;
        foreign += !is_own(model.kinds[item]);
    }
    adopt_check(&config, &errors);
    expect(errors.count == complaints);
    errors_done(&errors);
    adopt_each(count_one, &passed_on);
    expect(passed_on == foreign);
    _cleanup_free_ char *text = adopt_names();
    expect(text != NULL && (strcmp(text, "none") == 0 || foreign > 0));
}

static int
pass(const uint8_t *choices, int count)
{
    int present = 0;

    for (int i = 0; i < count; i++) {
        model.kinds[i] = choices[i] % KINDS;
        if (model.kinds[i] == KIND_HOLE)
            continue;
        expect(dup2(kinds[model.kinds[i]], FIRST + i) >= 0);
        present += present == i; /* those before the first hole */
    }
    return present;
}

static void
take_back(void)
{
    for (int i = 0; i < PASSED; i++)
        if (fcntl(FIRST + i, F_GETFD) >= 0)
            (void)close(FIRST + i);
}

static void
play(char *text, int present, bool own)
{
    const char *pid = set_variable("LISTEN_PID", &text);
    const char *count = set_variable("LISTEN_FDS", &text);
    char *fd_names = set_variable("LISTEN_FDNAMES", &text);
    int wanted = announced(pid, count, present);
    bool odd = fd_names != NULL && strchr(fd_names, '\\') != NULL;
    size_t before = descriptors_from(FIRST);

    if (wanted > 0 && !odd && !model_names(fd_names, wanted))
        wanted = -EINVAL;
    model.count = wanted > 0 && !odd ? wanted : 0;
    int r = adopt_begin();
    expect(getenv("LISTEN_PID") == NULL && getenv("LISTEN_FDS") == NULL &&
           getenv("LISTEN_FDNAMES") == NULL);
    expect(r <= 0);
    expect(wanted < 0 || odd || r == 0);
    expect(wanted != -EINVAL || r == -EINVAL);
    if (wanted >= 0 && !odd) {
        check_complaints(own);
        claim_all(own);
        adopt_discard(NULL);
    }
    adopt_end();
    if (wanted >= 0 && !odd)
        expect(descriptors_from(FIRST) == before - (size_t)model.count);
    for (int i = 0; i < model.count; i++)
        expect(fcntl(FIRST + i, F_GETFD) < 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int count = size > 0 ? data[0] % (PASSED + 1) : 0;
    bool own = size > 0 && data[0] >= 128;

    if (size < 1 + (size_t)count || size > LIMIT)
        return 0;
    if (kinds[KIND_TCP] == 0) {
        log_set_level(LOG_EMERG);
        expect(unsetenv("NOTIFY_SOCKET") == 0);
        make_kinds();
        make_listeners(false);
        make_listeners(true);
    }
    listeners = both[own];
    memset(&model, 0, sizeof(model));
    _cleanup_free_ char *text = strndup((const char *)data + 1 + count, size - 1 - (size_t)count);
    if (text == NULL || descriptors_from(FIRST) > 0)
        abort();
    play(text, pass(data + 1, count), own);
    take_back();
    return 0;
}
