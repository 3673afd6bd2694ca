/* SPDX-License-Identifier: MIT */
/*
 * test_plugin.c - which files are plugins, and what is said of those that are not
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/plugin/plugin.h"

#define FIXTURES BUILD_DIR "/tests/plugins/"
#define CANNOT   "cannot load plugin @: "
#define NO_NAME  "plugin @: no file could set the option "
#define A_NAME   "expected a name of a letter, and then letters, digits, '_' and '-'"

/* @ stands for the file. Found, wanted, what to do. */
static const struct refusal {
    const char *fixture;
    const char *messages[12];
} refusals[] = {
    {"bad_no_handle",
     {CANNOT "it has no handle(); define int handle(struct ss_request *) and include "
             "<sockserver/plugin.h>"}},
    {"bad_hook_elsewhere",
     {CANNOT "it has no handle(); define int handle(struct ss_request *) and include "
             "<sockserver/plugin.h>"}},
    {"bad_no_record", {CANNOT "it has no record; add SS_PLUGIN(.name = ..., ...) to it"}},
    {"bad_future_abi",
     {CANNOT "it was built for plugin ABI 99, this daemon (" SOCKSERVERD_VERSION
             ") knows 1 to 2; update the daemon, or rebuild the plugin against its header"}},
    {"bad_small_record",
     {CANNOT "its record is damaged (size 8 and 64, expected at least 48 and 49); define it with "
             "SS_PLUGIN() only"}},
    {"bad_unresolved",
     {CANNOT "@: undefined symbol: ss_does_not_exist; it was built for a newer sockserverd: "
             "update the daemon, or rebuild the plugin against its header"}},
    {"bad_options",
     {"plugin @: option \"twice\" stands twice in its table",
      "plugin @: option \"pause\" has the fallback \"soon\"; expected a duration, such as "
      "\"250ms\" or \"30s\"",
      "plugin @: option \"size\" has min above max"}},
    {"bad_options_duplicate", {"plugin @: option \"twice\" stands twice in its table"}},
    {"bad_options_fallback",
     {"plugin @: option \"pause\" has the fallback \"soon\"; expected a duration, such as "
      "\"250ms\" or \"30s\""}},
    {"bad_options_outside",
     {"plugin @: option \"count\" has the fallback \"11\"; expected an integer, from 1 to 10"}},
    {"bad_options_list",
     {"plugin @: option \"names\" has the fallback \"one\\ntwo\\nthree\"; expected a list of "
      "strings, "
      "such as [ \"a\", \"b\" ], with a number of items from 0 to 2"}},
    {"bad_options_range", {"plugin @: option \"size\" has min above max"}},
    {"bad_options_new_types",
     {NO_NAME "\"with space\"; " A_NAME, NO_NAME "\"1st\"; " A_NAME,
      "plugin @: option \"none\" has no good .choices; expected its words, with one space between",
      "plugin @: option \"two\" has no good .choices; expected its words, with one space between",
      "plugin @: option \"open\" is a choice without a fallback; give it one, or make it required",
      "plugin @: option \"other\" has the fallback \"c\"; expected \"a\" or \"b\"",
      "plugin @: option \"path\" has the fallback \"tmp\"; expected an absolute path",
      "plugin @: option \"address\" has the fallback \"nowhere\"; expected an address to connect "
      "to, "
      "such as \"tcp://HOST:PORT\" or \"unix:///PATH\"",
      "plugin @: option \"nan\" has min above max", NO_NAME "\"-\"; " A_NAME}},
    {"bad_options_type", {"plugin @: option \"colour\" has the unknown type 99"}},
};

/* The message with the file in place of each @; lives until the next call. */
static const char *
with_file(const char *message, const char *file)
{
    static char text[4096];
    size_t size = 0;

    for (; *message != '\0'; message++)
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%.*s",
                                 *message == '@' ? (int)strlen(file) : 1,
                                 *message == '@' ? file : message);
    return text;
}

static void
expect_refusal(const char *file, const char *const *messages)
{
    struct errors errors = {0};
    struct plugin plugin;
    size_t count = 0;

    assert_int_equal(plugin_load(file, &plugin, &errors), -EINVAL);
    while (messages[count] != NULL) {
        assert_true(count < errors.count);
        assert_string_equal(errors.texts[count], with_file(messages[count], file));
        count++;
    }
    assert_int_equal(errors.count, count);
    errors_done(&errors);
    plugin_done(&plugin);
}

static void
load_refuses_the_fixture(void **state)
{
    const struct refusal *refusal = *state;
    char file[4096];

    (void)snprintf(file, sizeof(file), FIXTURES "%s.so", refusal->fixture);
    expect_refusal(file, refusal->messages);
}

static char folder[] = "/tmp/sockserverd-unit-XXXXXX";

static int
make_folder(void **state)
{
    (void)state;
    (void)memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
    return mkdtemp(folder) == NULL || chdir(folder) < 0 ? -1 : 0;
}

static int
remove_folder(void **state)
{
    (void)state;
    (void)unlink("text.so");
    (void)unlink("empty.so");
    (void)unlink("pipe.so");
    return chdir("/") < 0 || rmdir(folder) < 0 ? -1 : 0;
}

static void
write_file(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}

static void
load_refuses_what_is_no_shared_object(void **state)
{
    static const struct {
        const char *file, *message;
    } rows[] = {
        {"./none.so", CANNOT "No such file or directory; is it installed, and plugin_path right?"},
        {"/tmp", CANNOT "it is not a file; expected a shared object (.so)"},
        {"./pipe.so", CANNOT "it is not a file; expected a shared object (.so)"},
        {"./text.so", CANNOT "@: invalid ELF header; expected a shared object, built with cc "
                             "-shared -fPIC"},
        {"./empty.so",
         CANNOT "@: file too short; expected a shared object, built with cc -shared -fPIC"},
        {"./text.so/below", CANNOT "Not a directory"},
    };

    (void)state;
    write_file("text.so",
               "this is no shared object, but long enough to have a header of one......");
    write_file("empty.so", "");
    assert_int_equal(mkfifo("pipe.so", 0600), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect_refusal(rows[i].file, (const char *const[]){rows[i].message, NULL});
}

/* dlopen() would look in the system's folders. */
static void
name_without_slash_is_a_file_here(void **state)
{
    struct errors errors = {0};
    struct plugin plugin;

    (void)state;
    assert_int_equal(plugin_load("libm.so.6", &plugin, &errors), -EINVAL);
    assert_non_null(strstr(errors.texts[0], "No such file or directory"));
    errors_done(&errors);
    plugin_done(&plugin);
    assert_int_equal(chdir(FIXTURES), 0);
    assert_int_equal(plugin_load("good_abi1.so", &plugin, &errors), 0);
    assert_string_equal(plugin_base_name(&plugin), "good_abi1.so");
    plugin_done(&plugin);
}

static void
load(const char *name, struct plugin *ret)
{
    struct errors errors = {0};
    char file[4096];

    (void)snprintf(file, sizeof(file), FIXTURES "%s.so", name);
    assert_int_equal(plugin_load(file, ret, &errors), 0);
    assert_int_equal(errors.count, 0);
    assert_string_equal(ret->file, file);
}

static void
plugin_of_the_first_abi_loads(void **state)
{
    struct plugin plugin;

    (void)state;
    load("good_abi1", &plugin);
    assert_int_equal(plugin.record.abi, 1);
    assert_string_equal(plugin.record.name, "good_abi1");
    assert_int_equal(plugin.record.transports, SS_STREAM | SS_DATAGRAM);
    assert_int_equal(plugin.record.mixins, SS_THREADING | SS_COROUTINE);
    assert_int_equal(plugin.option_count, 2);
    assert_string_equal(plugin.options[1].name, "limit");
    assert_int_equal(plugin.options[1].type, SS_SIZE);
    assert_non_null(plugin.hooks.server_activate);
    assert_non_null(plugin.hooks.setup);
    assert_non_null(plugin.hooks.handle);
    assert_non_null(plugin.hooks.finish);
    assert_null(plugin.hooks.verify_request);
    assert_null(plugin.hooks.handle_error);
    assert_null(plugin.hooks.server_close);
    assert_null(plugin.hooks.service_actions);
    assert_null(plugin.hooks.handle_timeout);
    plugin_done(&plugin);
    plugin_done(&plugin); /* nothing is left to release */
}

static void
hooks_of_a_library_are_not_the_plugins(void **state)
{
    struct plugin plugin;

    (void)state;
    load("good_hook_elsewhere", &plugin);
    assert_non_null(plugin.hooks.handle);
    assert_null(plugin.hooks.setup);
    assert_null(plugin.hooks.finish);
    plugin_done(&plugin);
}

/* What the listener asks of a fixture; "" if it may. */
static const struct use {
    const char *fixture;
    enum mixin_kind mixin;
    bool stream;
    const char *message;
} uses[] = {
    {"good_abi1", MIXIN_NONE, true, ""},
    {"good_abi1", MIXIN_THREADING, false, ""},
    {"good_abi1", MIXIN_FORKING, true, ""},
    {"good_abi1", MIXIN_COROUTINE, true, ""},
    {"good_control", MIXIN_NONE, true,
     "x.conf:7: listeners.test: plugin good_control asks the daemon how its listeners are; let it, "
     "with control_access = \"read\""},
    {"bad_mixin", MIXIN_NONE, true, ""},
    {"bad_mixin", MIXIN_FORKING, true, ""},
    {"bad_mixin", MIXIN_THREADING, true,
     "x.conf:7: listeners.test.mixin: plugin bad_mixin does not state that it is safe under "
     "\"threading\"; use \"forking\" or \"none\", or add SS_THREADING to its .mixins if it is"},
    {"bad_mixin", MIXIN_COROUTINE, true,
     "x.conf:7: listeners.test.mixin: plugin bad_mixin does not state that it is safe under "
     "\"coroutine\"; use \"forking\" or \"none\", or add SS_COROUTINE to its .mixins if it is"},
    {"good_one_process", MIXIN_THREADING, true, ""},
    {"good_one_process", MIXIN_COROUTINE, true, ""},
    {"good_one_process", MIXIN_FORKING, true,
     "x.conf:7: listeners.test.mixin: plugin good_one_process keeps its state in the memory of one "
     "process, and \"forking\" has one for each request; use \"threading\""},
    {"bad_transport_stream", MIXIN_NONE, true, ""},
    {"bad_transport_stream", MIXIN_NONE, false,
     "x.conf:7: listeners.test.address: plugin bad_transport_stream serves streams only, not "
     "here"},
    {"bad_transport_datagram", MIXIN_NONE, false, ""},
    {"bad_transport_datagram", MIXIN_NONE, true,
     "x.conf:7: listeners.test.address: plugin bad_transport_datagram serves datagrams only, not "
     "here"},
};

static void
check_use_asks_for_mixin_and_transport(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
        struct settings settings = {.name = (char *)"test",
                                    .file = (char *)"x.conf",
                                    .line = 7,
                                    .mixin = uses[i].mixin,
                                    .address = {.text = (char *)"here"}};
        struct errors errors = {0};
        struct plugin plugin;

        load(uses[i].fixture, &plugin);
        plugin_check_use(&plugin, &settings, uses[i].stream, &errors);
        assert_int_equal(errors.count, uses[i].message[0] != '\0');
        if (errors.count > 0)
            assert_string_equal(errors.texts[0], uses[i].message);
        errors_done(&errors);
        plugin_done(&plugin);
    }
}

static void
one_process_is_not_several(void **state)
{
    static const struct {
        enum mixin_kind mixin;
        const char *why;
    } rows[] = {
        {MIXIN_NONE, "several workers do not share"},
        {MIXIN_COROUTINE, "several threads would change at once"},
        {MIXIN_THREADING, NULL}, /* it has no such key, which somebody else says */
    };
    struct plugin plugin;

    (void)state;
    load("good_one_process", &plugin);
    for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
        struct settings settings = {
            .name = (char *)"test", .mixin = rows[i / 2].mixin, .cpus = 1 + (uint32_t)i % 2};
        struct errors errors = {0};
        char text[200];

        plugin_check_use(&plugin, &settings, true, &errors);
        assert_int_equal(errors.count, rows[i / 2].why == NULL ? 0 : i % 2);
        if (errors.count > 0) {
            (void)snprintf(text, sizeof(text),
                           "listeners.test.cpus: plugin good_one_process keeps its state in the "
                           "memory of one process, which %s; found 2, expected 1",
                           rows[i / 2].why);
            assert_string_equal(errors.texts[0], text);
        }
        errors_done(&errors);
    }
    plugin_done(&plugin);
}

static const struct CMUnitTest other_tests[] = {
    cmocka_unit_test_setup_teardown(load_refuses_what_is_no_shared_object, make_folder,
                                    remove_folder),
    cmocka_unit_test_setup_teardown(name_without_slash_is_a_file_here, make_folder, remove_folder),
    cmocka_unit_test(plugin_of_the_first_abi_loads),
    cmocka_unit_test(hooks_of_a_library_are_not_the_plugins),
    cmocka_unit_test(check_use_asks_for_mixin_and_transport),
    cmocka_unit_test(one_process_is_not_several),
};

#define REFUSALS (sizeof(refusals) / sizeof(refusals[0]))

int
main(void)
{
    struct CMUnitTest tests[REFUSALS + sizeof(other_tests) / sizeof(other_tests[0])];

    for (size_t i = 0; i < REFUSALS; i++)
        tests[i] = (struct CMUnitTest){refusals[i].fixture, load_refuses_the_fixture, NULL, NULL,
                                       (void *)(uintptr_t)&refusals[i]};
    memcpy(tests + REFUSALS, other_tests, sizeof(other_tests));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
