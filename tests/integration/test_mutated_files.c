/* SPDX-License-Identifier: MIT */
/*
 * test_mutated_files.c - spoilt configurations, through the program
 *
 * Files of tests/conf with changes in bytes, tokens, lines and values go
 * through --check. No file ends the program by a signal or holds it up; a
 * refusal names FILE:LINE in each line; what --check accepts, a start accepts,
 * too; and a running daemon survives the reload. SEED=NUMBER chooses the files,
 * and the first of them with FIRST=NUMBER; TORTURE=1 takes 10,000, not 500.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "support/client.h"
#include "support/command.h"
#include "support/daemon.h"
#include "support/mutate.h"
#include "support/proc.h"
#include "support/test.h"

#define PLUGIN_PATH SHIPPED_PLUGINS ":" FIXTURES
#define MOST        200 /* originals */
#define FULL        90  /* of them are one that is full of settings and fine */
#define EACH_RELOAD 5   /* one of so many is for the running daemon, too */

static struct text originals[MOST];
static size_t original_count;

/* ---- the originals -------------------------------------------------------------------------- */

static const char *
replaced(const char *text, const char *from, const char *to)
{
    const char *found, *done = "";

    for (; (found = strstr(text, from)) != NULL; text = found + strlen(from))
        done = text_of("%s%.*s%s", done, (int)(found - text), text, to);
    return text_of("%s%s", done, text);
}

/* What a start may touch lies in the test's folder, and no port is anybody else's. */
static const char *
tamed(const char *text)
{
    static const char *const ports[] = {":9999\"", ":9998\"", ":1337\"", ":1\"", ":http\""};

    text = replaced(text, "/var/log/", text_of("%s/", test_folder()));
    text = replaced(text, "/run/sockserverd/", text_of("%s/", test_folder()));
    text = replaced(text, "/run/", text_of("%s/", test_folder()));
    for (size_t i = 0; i < ARRAY_SIZE(ports); i++)
        text = replaced(text, ports[i], ":0\"");
    return text;
}

/* Without this line no daemon is started: its socket and its log would be anywhere. */
static const char *
first_line(void)
{
    return text_of("control = { path = \"%s\"; }; log = { target = \"stderr\"; };\n",
                   test_path("control"));
}

static int
is_conf(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');

    return dot != NULL && strcmp(dot, ".conf") == 0 && entry->d_type == DT_REG;
}

static void
add_original(const char *text)
{
    bool global = strstr(text, "control") != NULL || strstr(text, "log") != NULL;

    if (strlen(text) > 4000 || original_count == MOST) /* the changes shall not be lost in it */
        return;
    text = text_of("%s%s", global ? "" : first_line(), text);
    originals[original_count++] = (struct text){(char *)(uintptr_t)text, strlen(text)};
}

/* Often, so that some of what is made of it is fine. */
static void
add_full_original(void)
{
    static const char text[] =
        "defaults = { drain_timeout = \"2s\"; max_line = \"8K\"; };\n"
        "listeners = {\n"
        "    tcp = {\n"
        "        address = \"tcp://127.0.0.1:0\";\n"
        "        plugin = \"good_command\";\n"
        "        mixin = \"threading\";\n"
        "        max_connections = 16; spare = 2; stack_size = \"256K\";\n"
        "        read_timeout = \"2.5s\"; write_timeout = \"none\"; timeout = 30;\n"
        "        nodelay = false; reuse_port = true; daemon_threads = true;\n"
        "        options = { text = \"a \\\"b\\\"\"; flag = true; count = 3; ratio = 0.25; };\n"
        "    };\n"
        "    udp = {\n"
        "        address = \"udp://[::1]:0\"; plugin = \"upper\"; mixin = \"coroutine\";\n"
        "        cpus = 2; max_packet_size = 512; reply = \"always\";\n"
        "    };\n"
        "    abstract = {\n"
        "        address = \"unix:@%s/abstract\"; plugin = \"echo\"; mixin = \"forking\";\n"
        "        recycle_after = 10; request_queue_size = 5; umask = \"0077\"; /* why not */\n"
        "    };\n"
        "    path = {\n"
        "        address = \"unixgram://%s/path.sock\"; plugin = \"daytime\"; enabled = true;\n"
        "        socket_mode = \"0660\"; socket_user = \"root\"; # whoever that is\n"
        "    };\n"
        "};\n";

    for (int i = 0; i < FULL; i++)
        add_original(text_of(text, test_folder(), test_folder()));
}

static void
read_originals(const char *folder)
{
    const char *path = text_of("%s/tests/conf/%s", SOURCE_DIR, folder);
    _cleanup_free_ struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_conf, alphasort);

    assert_true(count > 5);
    for (int i = 0; i < count; i++) {
        add_original(tamed(file_text(text_of("%s/%s", path, entries[i]->d_name))));
        free(entries[i]);
    }
    if (system(text_of("cp -r %s/. %s", path, test_folder())) != 0)
        fail_msg("cannot copy %s", path);
}

/* The corpus, and in its folder what it includes. */
static void
enter_corpus(void)
{
    assert_return_code(chdir("/"), errno); /* the test before this one has taken its folder away */
    original_count = 0;
    read_originals("good");
    read_originals("bad");
    add_full_original();
    assert_return_code(chdir(test_folder()), errno);
}

static void
write_text(const char *name, const struct text *text)
{
    _cleanup_fclose_ FILE *file = fopen(name, "we");

    assert_non_null(file);
    assert_int_equal(fwrite(text->bytes, 1, text->size, file), text->size);
}

/* ---- what is found -------------------------------------------------------------------------- */

static const struct text *current; /* the file that is being judged */
static unsigned current_seed;

/* Fails, and leaves the file where it can be looked at. */
#define FOUND(...)                                                                                 \
    do {                                                                                           \
        write_text(BUILD_DIR "/tests/mutated.conf", current);                                      \
        print_error("the file of seed %u is now " BUILD_DIR "/tests/mutated.conf\n",               \
                    current_seed);                                                                 \
        fail_msg(__VA_ARGS__);                                                                     \
    } while (0)

static bool
has_place(const char *line)
{
    const char *colon = strchr(line, ':');

    if (colon == NULL || colon == line)
        return false;
    size_t digits = strspn(colon + 1, "0123456789");
    return digits > 0 && strncmp(colon + 1 + digits, ": ", 2) == 0;
}

/* Whether --check accepts it. */
static bool
check(const char *name)
{
    struct outcome outcome = COMMAND("", "--plugin-path", PLUGIN_PATH, "--check", "-c", name);

    if (outcome.status == 0 && strcmp(outcome.errors, "") == 0)
        return true;
    if (outcome.status != 78)
        FOUND("--check ended with %d and said: %s", outcome.status, outcome.errors);
    if (*outcome.errors == '\0')
        FOUND("--check refused the file without a word");
    for (const char *line = outcome.errors; *line != '\0'; line += strcspn(line, "\n") + 1)
        if (!has_place(line))
            FOUND("this line has no FILE:LINE: %.*s", (int)strcspn(line, "\n"), line);
    return false;
}

/* Whether nothing that it names lies outside the test's folder. */
static bool
is_harmless(const struct text *text)
{
    const char *at = text->bytes;

    if (strlen(at) != text->size || strstr(at, first_line()) == NULL)
        return false;
    for (; (at = strchr(at, '/')) != NULL; at += strcspn(at, "\"\n"))
        if (at[1] != '/' && at[1] != '*' && strncmp(at, test_folder(), strlen(test_folder())) != 0)
            return false;
        else if (strncmp(at, "///", 3) == 0 &&
                 strncmp(at + 2, test_folder(), strlen(test_folder())) != 0)
            return false;
    return true;
}

/* ---- a start ---------------------------------------------------------------------------- */

static int
manager_socket(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", test_path("notify"));
    (void)unlink(address.sun_path);
    assert_return_code(bind(fd, (const struct sockaddr *)&address, sizeof(address)), errno);
    return fd;
}

static bool
says_ready(int manager)
{
    char buffer[4096] = "";

    return recv(manager, buffer, sizeof(buffer) - 1, MSG_DONTWAIT) > 0 &&
           strstr(buffer, "READY=1") != NULL;
}

static void
expect_start(const char *name)
{
    int manager = manager_socket();

    assert_return_code(setenv("NOTIFY_SOCKET", test_path("notify"), 1), errno);
    struct daemon *daemon = DAEMON_RUN("--plugin-path", PLUGIN_PATH, "-c", name);
    assert_return_code(unsetenv("NOTIFY_SOCKET"), errno);
    WAIT_UNTIL(says_ready(manager) || !proc_alive(daemon_pid(daemon)));
    if (!proc_alive(daemon_pid(daemon)))
        FOUND("--check accepts it, a start does not: %s", daemon_log(daemon));
    int status = daemon_stop(daemon);
    if (status != 0 || strstr(daemon_log(daemon), "Sanitizer") != NULL)
        FOUND("the daemon ended with %d: %s", status, daemon_log(daemon));
    (void)close(manager);
}

/* ---- cases ---------------------------------------------------------------------------------- */

static unsigned
number_from(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);

    return text == NULL ? otherwise : (unsigned)strtoul(text, NULL, 10);
}

/* Each in its turn: the file of that seed, and its number. */
static void
each_file(unsigned part, void (*judge)(const struct text *text, void *userdata), void *userdata)
{
    unsigned seed = number_from("SEED", LONG_FORM ? (unsigned)time(NULL) : 1);
    unsigned count = (LONG_FORM ? 10000 : SANITIZED ? 150 : 500) / part;

    print_message("SEED=%u, %u files\n", seed, count);
    for (unsigned i = number_from("FIRST", 0); i < count; i++) {
        current_seed = seed + i * part;
        struct text text = mutate(originals, original_count, current_seed);
        current = &text;
        if (!SANITIZED || strstr(text.bytes, "as = ") == NULL)
            judge(&text, userdata); /* a sanitizer needs more than limits.as allows */
        free(text.bytes);
    }
}

struct counts {
    unsigned accepted, started, reloaded;
};

static void
judge_file(const struct text *text, void *userdata)
{
    struct counts *counts = userdata;

    write_text("mutated.conf", text);
    if (!check("mutated.conf"))
        return;
    counts->accepted++;
    if (!is_harmless(text))
        return;
    counts->started++;
    expect_start("mutated.conf");
}

static void
mutated_files_are_refused_or_serve(void **state)
{
    struct counts counts = {0};

    (void)state;
    enter_corpus();
    each_file(1, judge_file, &counts);
    print_message("%u accepted, %u of them started\n", counts.accepted, counts.started);
    assert_true(counts.started > 0 || getenv("SEED") != NULL);
}

#define CONTROL(...)                                                                               \
    command_run(CTL_PROGRAM, "",                                                                   \
                (const char *const[]){"--socket", test_path("control"), __VA_ARGS__, NULL})

struct running {
    struct daemon *daemon;
    const char *good;
    unsigned reloaded;
};

static void
judge_reload(const struct text *text, void *userdata)
{
    struct running *running = userdata;
    struct outcome outcome;

    if (!is_harmless(text))
        return;
    write_text("running.conf", text);
    bool accepted = check("running.conf");
    outcome = CONTROL("reload");
    if (outcome.status != 0 && outcome.status != 1)
        FOUND("reload: status %d, %s%s", outcome.status, outcome.errors,
              daemon_log(running->daemon));
    if (outcome.status == 0 && !accepted)
        FOUND("--check refuses it, a reload does not");
    running->reloaded += outcome.status == 0;
    (void)test_file("running.conf", running->good);
    outcome = CONTROL("reload");
    if (outcome.status != 0)
        FOUND("the good file is not taken back: %s", outcome.errors);
    assert_string_equal(client_ask(text_of("unix://%s", test_path("good.sock")), "hi\n"), "HI\n");
}

static void
a_running_daemon_survives_mutated_files(void **state)
{
    struct running running = {0};

    (void)state;
    enter_corpus();
    running.good = text_of("%slisteners = {\n%s};\n", first_line(),
                           listener_text("good", "unix", "threading", "upper", ""));
    (void)test_file("running.conf", running.good);
    running.daemon = DAEMON_RUN("--plugin-path", PLUGIN_PATH, "-c", "running.conf");
    (void)daemon_address(running.daemon, "good");
    WAIT_UNTIL(CONTROL("status").status == 0);
    each_file(EACH_RELOAD, judge_reload, &running);
    print_message("%u were accepted\n", running.reloaded);
    daemon_expect_stop(running.daemon);
}

RUN_TESTS(TEST(mutated_files_are_refused_or_serve), TEST(a_running_daemon_survives_mutated_files))
