/* SPDX-License-Identifier: MIT */
/*
 * tls.c - the same tests once more, over TLS
 *
 * Owns:     the tunnel's process and the certificate, until the end of the program.
 * Failures: fail the running test.
 */
#include "support/tls.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "support/test.h"

#define ADDRESSES_MAX 256

static const char *addresses[ADDRESSES_MAX]; /* of listeners that speak TLS */
static size_t address_count;
static bool added;      /* `tls`, in this test */
static char folder[64]; /* of the certificate; "": not made yet */
static const char name[] = "/own";
static pid_t tunnel;
static int control = -1;

bool
tests_over_tls(void)
{
    return getenv("TESTS_OVER_TLS") != NULL;
}

static void
wait_for_success(pid_t pid, const char *what)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status != 0)
        fail_msg("%s has failed", what);
}

void
tls_make(const char *const *arguments)
{
    pid_t pid = fork();

    assert_return_code(pid, errno);
    if (pid == 0) {
        (void)execv(arguments[0], (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    wait_for_success(pid, arguments[0]);
}

static const char *
own_certificate(void)
{
    const char *path;

    if (folder[0] != '\0')
        return text_of("%s%s", folder, name);
    (void)snprintf(folder, sizeof folder, "/tmp/sockserverd-tls-XXXXXX");
    if (mkdtemp(folder) == NULL)
        fail_msg("cannot make a folder: %m");
    path = text_of("%s%s", folder, name);
    TLS_MAKE(path, "ec", "localhost", "-1", "30", "-", "DNS:localhost");
    return path;
}

/* ---- the daemon's side ------------------------------------------------------------- */

/* The next address of a stream in the text, or NULL. */
static const char *
find_address(const char *text)
{
    const char *tcp = strstr(text, "address = \"tcp:"), *local = strstr(text, "address = \"unix:");

    if (tcp == NULL || local == NULL)
        return tcp == NULL ? local : tcp;
    return tcp < local ? tcp : local;
}

const char *
tls_add(const char *configuration)
{
    const char *next, *all = "";

    if (!tests_over_tls() || strstr(configuration, "tls = ") != NULL)
        return configuration;
    added = true;
    for (; (next = find_address(configuration)) != NULL; configuration = next + 1)
        all = text_of("%s%.*stls = { certificate = \"%s.pem\"; key = \"%s.key\"; }; a", all,
                      (int)(next - configuration), configuration, own_certificate(),
                      own_certificate());
    return text_of("%s%s", all, configuration);
}

void
tls_note_address(const char *address)
{
    if (!added || (strncmp(address, "tcp:", 4) != 0 && strncmp(address, "unix:", 5) != 0))
        return;
    assert_true(address_count < ADDRESSES_MAX);
    addresses[address_count++] = text_of("%s", address);
}

/* ---- the clients' side ------------------------------------------------------------- */

static void
start_tunnel(void)
{
    int ends[2];

    assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), errno);
    const char *file = text_of("%s.pem", own_certificate());
    tunnel = fork();
    assert_return_code(tunnel, errno);
    if (tunnel == 0) {
        const char *number = text_of("%d", dup(ends[1])); /* which execve(2) leaves open */
        (void)execl(TUNNEL_PROGRAM, TUNNEL_PROGRAM, number, file, NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    control = ends[0];
}

static void
hand_over(int plain, int wire)
{
    int fds[] = {plain, wire};
    char memory[CMSG_SPACE(sizeof fds)] = {0};
    struct iovec part = {.iov_base = (char[1]){0}, .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = memory, .msg_controllen = sizeof memory};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fds);
    memcpy(CMSG_DATA(header), fds, sizeof fds);
    assert_return_code(sendmsg(control, &message, MSG_NOSIGNAL), errno);
}

static bool
speaks_tls(const char *address)
{
    for (size_t i = 0; i < address_count; i++)
        if (strcmp(addresses[i], address) == 0)
            return true;
    return false;
}

int
tls_client(const char *address, int fd)
{
    int ends[2];

    if (!speaks_tls(address))
        return fd;
    if (control < 0)
        start_tunnel();
    assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), errno);
    hand_over(ends[1], fd);
    (void)close(ends[1]);
    (void)close(fd);
    return ends[0];
}

/* ---- which tests ------------------------------------------------------------------- */

/* A line of the file is PROGRAM TEST WHY...; TEST may end with "*". */
const char *
tls_skips(const char *test)
{
    char program[64], pattern[128], why[256], line[512];

    if (!tests_over_tls())
        return NULL;
    _cleanup_fclose_ FILE *file = fopen(SOURCE_DIR "/tests/tls/skipped", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (line[0] == '#' || sscanf(line, "%63s %127s %255[^\n]", program, pattern, why) != 3 ||
            strcmp(text_of("integration_%s", program), program_invocation_short_name) != 0)
            continue;
        size_t size = strcspn(pattern, "*");
        if (strncmp(test, pattern, size) == 0 &&
            (pattern[size] == '*' || test[size] == '\0' || test[size] == ' '))
            return text_of("%s", why);
    }
    return NULL;
}

void
tls_end(void)
{
    address_count = 0;
    added = false;
}

void
tls_done(void)
{
    char path[128];

    if (control >= 0) {
        (void)close(control);
        (void)waitpid(tunnel, NULL, 0);
        control = -1;
    }
    if (folder[0] == '\0')
        return;
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s%s.%s", folder, name, i == 0 ? "pem" : "key");
        (void)unlink(path);
    }
    (void)rmdir(folder);
    folder[0] = '\0';
}
