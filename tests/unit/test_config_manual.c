/* SPDX-License-Identifier: MIT */
/*
 * test_config_manual.c - sockserverd.conf(5) says what the tables say
 *
 * Every key has an entry (.It Ic KEY) in its section, and no other name has
 * one; the line below it states type, range and default.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "config/config.h"
#include "config/global.h"
#include "config/source.h"

#define MANUAL SOURCE_DIR "/daemon/config/sockserverd.conf.5"

static char *manual;

static int
read_manual(void **state)
{
    size_t size;

    (void)state;
    return source_read(MANUAL, &manual, &size);
}

static int
free_manual(void **state)
{
    (void)state;
    free(manual);
    return 0;
}

/* The part of the manual between this heading and the next, to free. */
static char *
section(const char *heading)
{
    const char *start = strstr(manual, heading), *end;

    assert_non_null(start);
    start += strlen(heading);
    for (end = start; *end != '\0'; end++)
        if (strncmp(end, "\n.Ss ", 5) == 0 || strncmp(end, "\n.Sh ", 5) == 0)
            break;
    return strndup(start, (size_t)(end - start));
}

/* The line below the entry of key, to free; NULL if there is none. */
static char *
statement(const char *text, const char *key)
{
    _cleanup_free_ char *entry = NULL;
    const char *at;

    assert_true(asprintf(&entry, "\n.It Ic %s\n", key) > 0);
    at = strstr(text, entry);
    if (at == NULL)
        return NULL;
    at += strlen(entry);
    return strndup(at, strcspn(at, "\n"));
}

static size_t
count_entries(const char *text)
{
    size_t count = 0;

    for (const char *at = text; (at = strstr(at, "\n.It Ic ")) != NULL; at++)
        count++;
    return count;
}

/* "Size from 512 to 16M" */
static void
describe_type(const struct setting *setting, char *text, size_t size)
{
    char low[32], high[32];
    size_t used;

    switch (setting->type) {
    case SETTING_TEXT:
        (void)snprintf(text, size, "Text");
        break;
    case SETTING_ADDRESS:
        (void)snprintf(text, size, "Address");
        break;
    case SETTING_BOOLEAN:
        (void)snprintf(text, size, "Boolean");
        break;
    case SETTING_INTEGER:
    case SETTING_SIGNED:
        (void)snprintf(text, size, "Integer from %.0f to %.0f%s", setting->min, setting->max,
                       setting->zero ? " or none" : "");
        break;
    case SETTING_SIZE:
        (void)snprintf(text, size, "Size %sfrom %s to %s", setting->zero ? "0 or " : "",
                       value_format_size((uint64_t)setting->min, low),
                       value_format_size((uint64_t)setting->max, high));
        break;
    case SETTING_DURATION:
        (void)snprintf(text, size, "Duration from %s to %s%s",
                       value_format_duration(setting->min, low),
                       value_format_duration(setting->max, high), setting->zero ? " or none" : "");
        break;
    case SETTING_RATE:
        (void)snprintf(text, size, "Rate of at most %.0f, or none", setting->max);
        break;
    case SETTING_MODE:
        (void)snprintf(text, size, "Mode up to %04o", (unsigned)setting->max);
        break;
    case SETTING_NUMBER_LIMIT:
        (void)snprintf(text, size, "Integer from %.0f to %.0f, or unlimited", setting->min,
                       setting->max);
        break;
    case SETTING_SIZE_LIMIT:
        (void)snprintf(text, size, "Size from %s to %s, or unlimited",
                       value_format_size((uint64_t)setting->min, low),
                       value_format_size((uint64_t)setting->max, high));
        break;
    case SETTING_TIME_LIMIT:
        (void)snprintf(text, size, "Duration from %s to %s, or unlimited",
                       value_format_duration(setting->min, low),
                       value_format_duration(setting->max, high));
        break;
    case SETTING_LIST:
        if (setting->min > 0)
            (void)snprintf(text, size, "List of %.0f to %.0f items", setting->min, setting->max);
        else
            (void)snprintf(text, size, "List of at most %.0f items", setting->max);
        break;
    case SETTING_GROUPS:
        (void)snprintf(text, size, "List of at most %.0f groups", setting->max);
        break;
    case SETTING_GROUP:
        (void)snprintf(text, size, "Group");
        break;
    case SETTING_CHOICE:
        used = (size_t)snprintf(text, size, "One of %s", setting->choices[0]);
        for (size_t i = 1; setting->choices[i] != NULL; i++)
            used += (size_t)snprintf(text + used, size - used, ", %s", setting->choices[i]);
    }
}

/* A list or group that is not given is empty; of other keys the text below says more. */
static const char *
describe_default(const struct setting *setting)
{
    if (setting->fallback != NULL)
        return setting->fallback;
    return setting->type == SETTING_LIST || setting->type == SETTING_GROUPS ||
                   setting->type == SETTING_GROUP
               ? "none"
               : "see below";
}

static void
every_listener_key_is_described_as_it_is(void **state)
{
    _cleanup_free_ char *text = section("\n.Ss Keys of a listener");

    (void)state;
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *setting = &settings_table[i];
        _cleanup_free_ char *found = statement(text, setting->key);
        char expected[256], type[200];

        describe_type(setting, type, sizeof(type));
        if (setting_is_required(setting))
            (void)snprintf(expected, sizeof(expected), "%s, required.", type);
        else
            (void)snprintf(expected, sizeof(expected), "%s; default %s.", type,
                           describe_default(setting));
        print_message("%s\n", setting->key);
        assert_non_null(found);
        assert_string_equal(found, expected);
    }
    assert_non_null(strstr(text, "\n.It Ic options\n"));
    assert_int_equal(count_entries(text), settings_count + 1); /* no key that is none */
}

static void
every_other_key_is_described_as_it_is(void **state)
{
    _cleanup_free_ char *text = section("\n.Ss Keys outside listeners");

    (void)state;
    for (size_t i = 0; i < globals_count; i++) {
        const struct global *global = &globals_table[i];
        _cleanup_free_ char *found = NULL;
        char key[64], expected[256];

        (void)snprintf(key, sizeof(key), "%s%s%s", global->group == NULL ? "" : global->group,
                       global->group == NULL ? "" : ".", global->key);
        (void)snprintf(expected, sizeof(expected), "Default %s.",
                       global->fallback == NULL ? "none" : global->fallback);
        if (strcmp(key, "plugin_path") == 0) /* chosen when the daemon is built */
            strcpy(expected, "Default: the folder plugins are installed in.");
        print_message("%s\n", key);
        assert_non_null(found = statement(text, key));
        assert_string_equal(found, expected);
    }
    assert_non_null(strstr(text, "\n.It Ic defaults\n"));
    assert_non_null(strstr(text, "\n.It Ic listeners\n"));
    assert_int_equal(count_entries(text), globals_count + 2);
}

/* Each example that names listeners is a whole file: it is read as one. */
static void
every_example_is_a_good_file(void **state)
{
    const char *at = manual;
    unsigned examples = 0;

    (void)state;
    while ((at = strstr(at, ".Bd -literal -offset indent\n")) != NULL) {
        const char *start = at + strlen(".Bd -literal -offset indent\n"),
                   *end = strstr(start, ".Ed");
        char path[] = "/tmp/sockserverd-test-XXXXXX";
        struct errors errors = {0};
        struct config config;
        int fd;

        assert_non_null(end);
        at = end;
        if (memmem(start, (size_t)(end - start), "listeners = {", 13) == NULL)
            continue;
        fd = mkstemp(path);
        assert_int_equal(write(fd, start, (size_t)(end - start)), end - start);
        (void)close(fd);
        (void)config_load(&config, path, NULL, &errors);
        (void)unlink(path);
        for (size_t i = 0; i < errors.count; i++)
            print_error("%s\n", errors.texts[i]);
        assert_false(errors_any(&errors));
        assert_true(config.listener_count > 0);
        config_done(&config);
        examples++;
    }
    assert_int_equal(examples, 2);
}

static void
installed_files_are_good(void **state)
{
    static const char *const files[] = {SOURCE_DIR "/conf/sockserverd.conf",
                                        SOURCE_DIR "/conf/demo.conf"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        struct errors errors = {0};
        struct config config;

        (void)config_load(&config, files[i], NULL, &errors);
        for (size_t j = 0; j < errors.count; j++)
            print_error("%s\n", errors.texts[j]);
        assert_false(errors_any(&errors));
        assert_true(config.listener_count > 0);
        config_done(&config);
    }
}

/* What mandoc has against the file: prints it, and returns how many lines it is. */
static size_t
count_complaints(const char *file)
{
    _cleanup_free_ char *command = NULL, *line = NULL;
    size_t room = 0, count = 0;

    assert_true(asprintf(&command, "mandoc -T lint -W style %s 2>&1", file) > 0);
    FILE *said = popen(command, "re");
    assert_non_null(said);
    while (getline(&line, &room, said) > 0) {
        /* The other manuals of the project are found only where it is installed. */
        if (strstr(line, "referenced manual not found") != NULL ||
            strstr(line, "outdated mandoc.db") != NULL)
            continue;
        print_message("%s", line);
        count++;
    }
    int status = pclose(said);
    assert_true(WIFEXITED(status));
    assert_in_range(WEXITSTATUS(status), 0, 4); /* above: it could not do its work */
    return count;
}

/* A manual with a mistake shows that the other would be told of one. */
static void
manual_passes_lint(void **state)
{
    static const char mistake[] = ".Dd January 1, 2026\n.Dt X 5\n.Os\n.Sh NAME\n.Nm x\n.Nd y\n"
                                  ".Nosuchmacro\n";
    char path[] = "/tmp/sockserverd-test-XXXXXX";

    (void)state;
    if (system("command -v mandoc > /dev/null") != 0) {
        print_message("mandoc is not installed: the manual is not checked\n");
        skip();
    }
    _cleanup_close_ int fd = mkstemp(path);
    assert_int_equal(write(fd, mistake, strlen(mistake)), strlen(mistake));
    size_t found = count_complaints(path);
    (void)unlink(path);
    assert_true(found > 0);
    assert_int_equal(count_complaints(MANUAL), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_listener_key_is_described_as_it_is),
        cmocka_unit_test(every_other_key_is_described_as_it_is),
        cmocka_unit_test(every_example_is_a_good_file),
        cmocka_unit_test(installed_files_are_good),
        cmocka_unit_test(manual_passes_lint),
    };

    return cmocka_run_group_tests(tests, read_manual, free_manual);
}
