/* SPDX-License-Identifier: MIT */
/*
 * create.c - a folder with a new plugin: --new
 *
 * What it is made from are the files of a folder for each language, which are
 * installed with the daemon. In their names NAME, and in their text @NAME@,
 * become the plugin's name.
 *
 * Runs in:  the process of --new.
 * Owns:     what it has made, until all of it is there.
 * Failures: said on standard error; what was made is removed.
 */
#include "create/create.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "common/printable.h"
#include "common/suggest.h"
#include "common/write_all.h"

#define TEMPLATES    "/share/sockserverd/template" /* under the prefix, as all that follow */
#define PACKAGES     "/share/pkgconfig"
#define LONGEST_NAME 64
#define FILES_MOST   32
#define LARGEST_FILE 100000
#define USAGE        64

static const char *const languages[] = {"c", "c++", "python", NULL};

/* Python finds a script's own folder before its library: what the server needs from that would be
 * the plugin. */
static const char *const modules[] = {
    "io",        "os",   "socket", "socketserver", "ssl",    "struct",   "sys",
    "threading", "time", "types",  "signal",       "select", "unittest", NULL};

struct file {
    char *from, *to; /* names in the two folders */
    bool made;
};

struct creation {
    const char *name, *language, *folder;
    char *templates; /* the folder of the language */
    struct file files[FILES_MOST];
    size_t count;
    bool made_folder;
};

static int __attribute__((format(printf, 1, 2))) complain(const char *format, ...)
{
    _cleanup_free_ char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    (void)fputs("sockserverd: --new: ", stderr);
    printable_put(stderr, text == NULL ? "out of memory" : text);
    (void)fputc('\n', stderr);
    return EXIT_FAILURE;
}

/* ---- what is wanted -------------------------------------------------------------------------- */

static bool
is_identifier(const char *name)
{
    if (isdigit((unsigned char)name[0]) || strlen(name) > LONGEST_NAME || name[0] == '\0')
        return false;
    for (const char *c = name; *c != '\0'; c++)
        if (!isalnum((unsigned char)*c) && *c != '_')
            return false;
    return true;
}

static bool
is_one_of(const char *word, const char *const *words)
{
    for (size_t i = 0; words[i] != NULL; i++)
        if (strcmp(words[i], word) == 0)
            return true;
    return false;
}

/* Returns 0 or an exit status. */
static int
judge(const struct creation *creation)
{
    if (!is_one_of(creation->language, languages)) {
        _cleanup_free_ char *phrase = suggest_phrase(creation->language, languages);
        (void)complain("unknown language \"%s\"%s; expected c, c++ or python", creation->language,
                       phrase == NULL ? "" : phrase);
        return USAGE;
    }
    if (!is_identifier(creation->name)) {
        (void)complain("\"%s\" cannot be a plugin's name; expected letters, digits and "
                       "underscores, at most %d and no digit first, such as my_echo",
                       creation->name, LONGEST_NAME);
        return USAGE;
    }
    if (strcmp(creation->language, "python") == 0 && is_one_of(creation->name, modules)) {
        (void)complain("\"%s\" is a module of Python's own, which the server would no longer "
                       "find; choose another name",
                       creation->name);
        return USAGE;
    }
    return 0;
}

/* ---- what it is made from -------------------------------------------------------------------- */

/* The folder that the program's own folder, bin, lies in; "" if it is the root, or not known. */
static void
find_prefix(char prefix[PATH_MAX])
{
    ssize_t size = readlink("/proc/self/exe", prefix, PATH_MAX - 1);

    prefix[size < 0 ? 0 : size] = '\0';
    for (int i = 0; i < 2; i++) {
        char *slash = strrchr(prefix, '/');
        if (slash != NULL)
            *slash = '\0';
    }
}

/* Finds the folder of the language: beside the program, or where the build would install it. */
static int
find_templates(struct creation *creation)
{
    char path[PATH_MAX + sizeof(TEMPLATES)];

    find_prefix(path);
    (void)strcat(path, TEMPLATES);
    const char *places[] = {path, SOCKSERVERD_TEMPLATE_DIR};
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        if (asprintf(&creation->templates, "%s/%s", places[i], creation->language) < 0) {
            creation->templates = NULL;
            return complain("out of memory");
        }
        if (access(creation->templates, F_OK) == 0)
            return 0;
        free(creation->templates);
        creation->templates = NULL;
    }
    return complain("what a plugin is made from is not installed: neither %s nor %s is there; "
                    "install Debian's sockserverd-dev, or the whole of what was built "
                    "(cmake --install)",
                    path, SOCKSERVERD_TEMPLATE_DIR);
}

/* Returns the text with each `what` in it replaced, to free; NULL without memory. */
static char *
replace(const char *text, const char *what, const char *with)
{
    char *result = NULL;
    size_t size;
    FILE *stream = open_memstream(&result, &size);
    const char *found;

    if (stream == NULL)
        return NULL;
    for (; (found = strstr(text, what)) != NULL; text = found + strlen(what)) {
        (void)fwrite(text, 1, (size_t)(found - text), stream);
        (void)fputs(with, stream);
    }
    (void)fputs(text, stream);
    if (fclose(stream) == 0)
        return result;
    free(result);
    return NULL;
}

static int
list_files(struct creation *creation)
{
    DIR *folder = opendir(creation->templates);
    const struct dirent *entry;

    if (folder == NULL)
        return complain("%s: %s", creation->templates, strerror(errno));
    while ((entry = readdir(folder)) != NULL && creation->count < FILES_MOST) {
        struct file *file = &creation->files[creation->count];
        if (entry->d_name[0] == '.')
            continue;
        file->from = strdup(entry->d_name);
        file->to = replace(entry->d_name, "NAME", creation->name);
        creation->count++;
    }
    (void)closedir(folder);
    for (size_t i = 0; i < creation->count; i++)
        if (creation->files[i].from == NULL || creation->files[i].to == NULL)
            return complain("out of memory");
    return creation->count > 0 ? 0 : complain("%s is empty; install it again", creation->templates);
}

/* ---- the folder ------------------------------------------------------------------------------ */

/* Returns "FOLDER/NAME", to free; NULL without memory. */
static char *
join(const char *folder, const char *name)
{
    char *path = NULL;

    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

/* An empty folder, or one with other files, is fine. */
static int
make_folder(struct creation *creation)
{
    struct stat status;

    creation->made_folder = mkdir(creation->folder, 0777) == 0;
    if (creation->made_folder)
        return 0;
    if (errno != EEXIST)
        return complain("cannot make the folder %s: %s", creation->folder, strerror(errno));
    if (stat(creation->folder, &status) < 0 || !S_ISDIR(status.st_mode))
        return complain("%s is there and is no folder; give another name, or the folder behind it",
                        creation->folder);
    for (size_t i = 0; i < creation->count; i++) {
        _cleanup_free_ char *path = join(creation->folder, creation->files[i].to);
        if (path == NULL || lstat(path, &status) == 0)
            return complain("%s is there already, and is not overwritten; give another name or "
                            "folder, or remove it",
                            path == NULL ? creation->folder : path);
    }
    return 0;
}

/* Reads the file, and closes fd. Returns its text, to free, or NULL and errno. */
static char *
read_text(int fd)
{
    _cleanup_close_ int file = fd;
    char *text = malloc(LARGEST_FILE + 1);
    size_t used = 0;
    ssize_t got = 1;

    while (text != NULL && got > 0 && used < LARGEST_FILE) {
        got = read(file, text + used, LARGEST_FILE - used);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            used += (size_t)got;
    }
    if (text == NULL || got < 0) {
        free(text);
        return NULL;
    }
    text[used] = '\0';
    return text;
}

static int
make_file(struct creation *creation, struct file *file)
{
    _cleanup_free_ char *from = join(creation->templates, file->from);
    _cleanup_free_ char *to = join(creation->folder, file->to);
    struct stat status;

    if (from == NULL || to == NULL)
        return complain("out of memory");
    int source = open(from, O_RDONLY | O_CLOEXEC);
    if (source < 0 || fstat(source, &status) < 0)
        return complain("%s: %s", from, strerror(errno));
    _cleanup_free_ char *text = read_text(source);
    _cleanup_free_ char *own = text == NULL ? NULL : replace(text, "@NAME@", creation->name);
    if (own == NULL)
        return complain("%s: %s", from, strerror(errno));
    _cleanup_close_ int fd =
        open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (status.st_mode & 0111) | 0666);
    file->made = fd >= 0;
    int r = fd < 0 ? -errno : write_all(fd, own, strlen(own));
    return r < 0 ? complain("%s: %s", to, strerror(-r)) : 0;
}

static void
remove_all(struct creation *creation)
{
    for (size_t i = 0; i < creation->count; i++) {
        _cleanup_free_ char *path = join(creation->folder, creation->files[i].to);
        if (creation->files[i].made && path != NULL)
            (void)unlink(path);
    }
    if (creation->made_folder)
        (void)rmdir(creation->folder);
}

static int
make_all(struct creation *creation)
{
    int status = make_folder(creation);

    for (size_t i = 0; i < creation->count && status == 0; i++)
        status = make_file(creation, &creation->files[i]);
    if (status != 0)
        remove_all(creation);
    return status;
}

static int
by_name(const void *one, const void *other)
{
    return strcmp(((const struct file *)one)->to, ((const struct file *)other)->to);
}

/*
 * Where pkg-config finds what a plugin is built with, if it does not look there
 * by itself: in an installation under a prefix of its own, or in the build
 * folder. False: it does, or there is nothing.
 */
static bool
find_packages(char path[PATH_MAX])
{
    static const char *const files[] = {PACKAGES "/sockserver.pc", "/sockserver-uninstalled.pc"};
    const char *known = getenv("PKG_CONFIG_PATH");
    char prefix[PATH_MAX];

    find_prefix(prefix);
    if (is_one_of(prefix, (const char *const[]){"", "/usr", "/usr/local", NULL}))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        if (snprintf(path, PATH_MAX, "%s%s", prefix, files[i]) >= PATH_MAX ||
            access(path, F_OK) < 0)
            continue;
        *strrchr(path, '/') = '\0';
        return known == NULL || strstr(known, path) == NULL;
    }
    return false;
}

static void
say_what_is_next(struct creation *creation)
{
    char packages[PATH_MAX];

    qsort(creation->files, creation->count, sizeof(creation->files[0]), by_name);
    printable_put(stdout, creation->folder);
    (void)puts(" has a new plugin:");
    for (size_t i = 0; i < creation->count; i++)
        (void)printf("    %s\n", creation->files[i].to);
    (void)fputs("next: ", stdout);
    if (find_packages(packages)) {
        (void)fputs("export PKG_CONFIG_PATH=", stdout);
        printable_put(stdout, packages);
        (void)fputs("; ", stdout);
    }
    (void)fputs("cd ", stdout);
    printable_put(stdout, creation->folder);
    (void)puts(" && make test");
}

int
create_plugin(const char *name, const char *language, const char *folder)
{
    struct creation creation = {
        .name = name,
        .language = language == NULL ? languages[0] : language,
        .folder = folder == NULL ? name : folder,
    };
    int status = judge(&creation);

    if (status == 0)
        status = find_templates(&creation);
    if (status == 0)
        status = list_files(&creation);
    if (status == 0)
        status = make_all(&creation);
    if (status == 0)
        say_what_is_next(&creation);
    for (size_t i = 0; i < creation.count; i++) {
        free(creation.files[i].from);
        free(creation.files[i].to);
    }
    free(creation.templates);
    return status;
}
