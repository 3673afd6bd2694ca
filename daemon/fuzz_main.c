/* SPDX-License-Identifier: MIT */
/*
 * fuzz_main.c - sockserverd-fuzz: libFuzzer for any plugin
 *
 * libFuzzer brings main(). It calls us with its command line once, before it reads it itself: we
 * take out what is ours and start the plugin. It calls us again for each input.
 *
 * Runs in:  a process of its own; no part of the daemon.
 * Owns:     the one test.
 * Failures: what is wrong with the command line or the plugin is printed; the exit status is that
 *           of sockserverd --check. A finding ends the process, and libFuzzer writes the input
 * down.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sockserver/test.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define USAGE_STATUS         64
#define CONFIGURATION_STATUS 78

/* Where a process that libFuzzer starts itself (-jobs, -fork, -minimize_crash) finds our part of
 * the command line, which libFuzzer does not know: one argument in each line. */
#define VARIABLE "SOCKSERVERD_FUZZ"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static struct ss_test *test;

static const char usage[] =
    "usage: sockserverd-fuzz [-o NAME=VALUE]... [--set KEY=VALUE]... [--datagram] [--whole]\n"
    "                        PLUGIN.so [CORPUS | FILE]... [libFuzzer's options]\n"
    "\n"
    "Compile the plugin for it:\n"
    "  clang -g -O1 -shared -fPIC -fsanitize=fuzzer-no-link,address \\\n"
    "        $(pkg-config --cflags sockserver) -o PLUGIN.so PLUGIN.c\n"
    "A finding is replayed by the same command with the file instead of CORPUS, or by\n"
    "  sockserverd --stdio PLUGIN.so <FILE\n"
    "libFuzzer's options: -help=1 lists them; -max_total_time=SECONDS is the first to know.\n";

static _Noreturn void
refuse(const char *what, const char *argument)
{
    (void)fprintf(stderr, "sockserverd-fuzz: %s%s\n\n%s", what, argument, usage);
    exit(USAGE_STATUS);
}

/* ---- the plugin ------------------------------------------------------------------- */

/* Whether the name stands in the file: then the plugin has it, as clang puts it in. */
static bool
file_has(const char *path, const char *name)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    bool found = false;

    if (fd < 0 || fstat(fd, &status) < 0 || status.st_size == 0) {
        (void)fprintf(stderr, "sockserverd-fuzz: cannot read plugin %s: %s\n", path,
                      fd < 0 ? strerror(errno) : "it is empty");
        exit(1);
    }
    size_t size = (size_t)status.st_size;
    void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    (void)close(fd);
    if (bytes != MAP_FAILED) {
        found = memmem(bytes, size, name, strlen(name)) != NULL;
        (void)munmap(bytes, size);
    }
    return found;
}

static void
look_at(const char *plugin)
{
    if (!file_has(plugin, "__sanitizer_cov_8bit_counters_init"))
        (void)fprintf(stderr,
                      "sockserverd-fuzz: %s was not compiled with -fsanitize=fuzzer-no-link: it is "
                      "fuzzed without knowing which of its code an input reaches, which finds "
                      "little\n",
                      plugin);
    if (!file_has(plugin, "__asan_"))
        (void)fprintf(stderr,
                      "sockserverd-fuzz: %s was not compiled with -fsanitize=address: only what "
                      "crashes by itself is found\n",
                      plugin);
}

static void
fail_start(const char *message)
{
    (void)fputs(message, stderr);
    exit(CONFIGURATION_STATUS);
}

/* ---- the command line ------------------------------------------------------------- */

typedef void set_function(struct ss_test *test, const char *name, const char *value);

static void
set_option(struct ss_test *on, const char *name, const char *value)
{
    (ss_test_option)(on, name, value); /* not at a place in this file */
}

static void
set_key(struct ss_test *on, const char *key, const char *value)
{
    (ss_test_set)(on, key, value);
}

static void
take_pair(set_function *set, char *pair)
{
    char *value = strchr(pair, '=');

    if (value == NULL)
        refuse("expected NAME=VALUE, found ", pair);
    *value = '\0';
    set(test, pair, value + 1);
    *value = '=';
}

/* Our arguments: the plugin, and what stands before it. */
static void
take_arguments(char **arguments, int count)
{
    const char *plugin = arguments[count - 1];

    look_at(plugin);
    test = (ss_test_load)(plugin);
    for (int i = 0; i < count - 1; i++) {
        if (strcmp(arguments[i], "--datagram") == 0)
            (ss_test_set)(test, "address", "unixgram:@fuzz");
        else if (strcmp(arguments[i], "--whole") == 0)
            ss_test_pieces(test, SIZE_MAX);
        else
            take_pair(strcmp(arguments[i], "-o") == 0 ? set_option : set_key, arguments[i + 1]),
                i++;
    }
    ss_test_on_failure(fail_start);
    (ss_test_start)(test);
    ss_test_on_failure(NULL);
}

/* How many arguments an option of ours is; 0: it is none. */
static int
width(const char *argument)
{
    if (strcmp(argument, "--datagram") == 0 || strcmp(argument, "--whole") == 0)
        return 1;
    return strcmp(argument, "-o") == 0 || strcmp(argument, "--set") == 0 ? 2 : 0;
}

/* How many of the arguments are ours. */
static int
count_ours(char **arguments, int count)
{
    int i = 0;

    while (i < count && width(arguments[i]) > 0)
        i += width(arguments[i]);
    if (i >= count)
        refuse("no plugin is given", "");
    if (arguments[i][0] == '-')
        refuse("expected PLUGIN.so, found ", arguments[i]);
    return i + 1;
}

static void
remember(char **arguments, int count)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    for (int i = 0; out != NULL && i < count; i++)
        (void)fprintf(out, "%s\n", arguments[i]);
    if (out == NULL || fclose(out) != 0 || setenv(VARIABLE, text, 1) < 0)
        refuse("out of memory", "");
    free(text);
}

static void
recall(const char *remembered)
{
    static char *arguments[1000];
    char *text = strdup(remembered);
    int count = 0;

    for (char *line = strtok(text, "\n"); line != NULL && count < 1000; line = strtok(NULL, "\n"))
        arguments[count++] = line;
    take_arguments(arguments, count);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *remembered = getenv(VARIABLE);

    (void)setenv("SS_TEST_PATIENCE", "0.5", 0); /* for what a plugin waits for outside */
    if (remembered != NULL) {
        recall(remembered);
        return 0;
    }
    if (*argc > 1 && (strcmp((*argv)[1], "--help") == 0 || strcmp((*argv)[1], "-h") == 0)) {
        (void)fputs(usage, stdout);
        exit(0);
    }
    int count = count_ours(*argv + 1, *argc - 1);
    remember(*argv + 1, count);
    take_arguments(*argv + 1, count);
    (*argv)[count] = (*argv)[0];
    *argv += count;
    *argc -= count;
    return 0;
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    (ss_test_fuzz)(test, data, size);
    return 0;
}
