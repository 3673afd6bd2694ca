/* SPDX-License-Identifier: MIT */
/*
 * test_config.c - the configuration file and its drop-ins
 *
 * tests/conf/bad/NAME.conf must give exactly the mistakes in NAME.expected,
 * tests/conf/good/NAME.conf none at all.
 */
#include "config_fixture.h"

/* ---- the files ---------------------------------------------------------- */

static void
compare(const char *file)
{
    _cleanup_free_ char *found = mistakes_in(file), *expected = NULL, *beside = NULL;
    size_t size;

    print_message("%s\n", file);
    assert_true(asprintf(&beside, "%.*s.expected", (int)strlen(file) - 5, file) > 0);
    assert_int_equal(source_read(beside, &expected, &size), 0);
    assert_true(size > 0);
    assert_string_equal(found, expected);
}

static void
bad_files_give_exactly_the_expected_mistakes(void **state)
{
    (void)state;
    enter("bad");
    for_each_file(60, compare);
}

static void
find_nothing(const char *file)
{
    _cleanup_free_ char *found = mistakes_in(file);

    print_message("%s\n", file);
    assert_string_equal(found, "");
}

static void
good_files_give_none(void **state)
{
    (void)state;
    enter("good");
    for_each_file(7, find_nothing);
}

/* ---- what comes of them ------------------------------------------------- */

static void
values_arrive(void **state)
{
    struct config config;
    const struct settings *tcp;

    (void)state;
    enter("good");
    config = load("everything.conf");
    assert_string_equal(config.file, "everything.conf");
    assert_string_equal(config.plugin_path, "plugins:/usr/lib/sockserverd/plugins");
    assert_string_equal(config.control.path, "/run/sockserverd/other");
    assert_int_equal(config.control.mode, 0600);
    assert_string_equal(config.control.group, "root");
    assert_string_equal(config.log.target, "/var/log/sockserverd.log");
    assert_int_equal(config.log.level, LOG_DEBUG);
    assert_false(config.log.access);
    assert_int_equal(config.listener_count, 4);

    tcp = config_find(&config, "tcp");
    assert_ptr_equal(tcp, config.listeners[0]);
    assert_null(config_find(&config, "nobody"));
    assert_string_equal(tcp->file, "everything.conf");
    assert_int_equal(tcp->line, 7);
    assert_int_equal(tcp->mixin, MIXIN_THREADING);
    assert_false(tcp->enabled);
    assert_int_equal(tcp->max_connections, 16);
    assert_true(tcp->read_timeout == 2.5);
    assert_true(tcp->write_timeout == 0);
    assert_true(tcp->timeout == 30);
    assert_int_equal(tcp->read_buffer, 4096);
    assert_int_equal(tcp->umask, 027);
    config_done(&config);
}

static void
options_arrive_as_written(void **state)
{
    static const struct {
        const char *name, *text;
        enum value_form form;
        unsigned line;
    } rows[] = {
        {"text", "a \"quoted\" word", VALUE_STRING, 44},
        {"whole", "5000000000", VALUE_INTEGER, 45}, /* libconfig 1.5 says 705032704 */
        {"fraction", "0.1", VALUE_FLOAT, 46},
        {"truth", "true", VALUE_BOOLEAN, 47},
        {"list", "", VALUE_LIST, 48},
    };
    struct config config;

    (void)state;
    enter("good");
    config = load("everything.conf");
    assert_int_equal(config.listeners[0]->option_count, ARRAY_SIZE(rows));
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct option_setting *option = &config.listeners[0]->options[i];

        assert_string_equal(option->name, rows[i].name);
        assert_string_equal(option->given.text, rows[i].text);
        assert_int_equal(option->given.form, rows[i].form);
        assert_string_equal(option->given.file, "everything.conf");
        assert_int_equal(option->given.line, rows[i].line);
    }
    config_done(&config);
}

static void
lists_arrive_item_by_item(void **state)
{
    static const struct item {
        const char *list, *text;
        enum value_form form;
        unsigned line;
    } rows[] = {
        {"array", "first", VALUE_STRING, 8},
        {"array", "second", VALUE_STRING, 9}, /* not 10, where libconfig sees its end */
        {"array", "a, ] b", VALUE_STRING, 12},
        {"mixed", "text", VALUE_STRING, 15},
        {"mixed", "5000000000", VALUE_INTEGER, 16},
        {"mixed", "-1", VALUE_INTEGER, 16},
        {"mixed", "0.10", VALUE_FLOAT, 16},
        {"mixed", "true", VALUE_BOOLEAN, 17},
        {"mixed", "", VALUE_LIST, 17},
        {"mixed", "", VALUE_LIST, 18},
        {"mixed", "", VALUE_GROUP, 19},
        {"mixed", "included", VALUE_STRING, 2},
        {"mixed", "last", VALUE_STRING, 22},
    };
    const struct item *row = rows;
    struct config config;

    (void)state;
    enter("good");
    config = load("lists.conf");
    assert_int_equal(config.listeners[0]->option_count, 5);
    for (size_t i = 0; i < 5; i++) {
        const struct option_setting *option = &config.listeners[0]->options[i];

        assert_int_equal(option->given.form, i == 4 ? VALUE_STRING : VALUE_LIST);
        for (size_t j = 0; j < option->given.item_count; j++, row++) {
            const struct given *item = &option->given.items[j];

            print_message("%s[%zu]\n", option->name, j);
            assert_true(row < rows + ARRAY_SIZE(rows));
            assert_string_equal(option->name, row->list);
            assert_string_equal(item->text, row->text);
            assert_int_equal(item->form, row->form);
            assert_string_equal(item->file, row->line == 2 ? "parts/item.inc" : "lists.conf");
            assert_int_equal(item->line, row->line);
        }
    }
    assert_ptr_equal(row, rows + ARRAY_SIZE(rows));
    config_done(&config);
}

static void
what_is_not_said_is_the_default(void **state)
{
    struct config config, empty;

    (void)state;
    enter("good");
    config = load("minimal.conf");
    assert_int_equal(config_load_nothing(&empty, NULL), 0);
    assert_string_equal(config.plugin_path, empty.plugin_path);
    assert_string_equal(config.control.path, "/run/sockserverd/control");
    assert_int_equal(config.control.mode, 0660);
    assert_null(config.control.group);
    assert_string_equal(config.log.target, "auto");
    assert_int_equal(config.log.level, LOG_INFO);
    assert_true(config.log.access);
    assert_null(empty.file);
    assert_int_equal(empty.listener_count, 0);
    config_done(&empty);
    config_done(&config);
}

static void
defaults_are_for_whom_they_fit(void **state)
{
    struct config config;
    const struct settings *none, *threading, *forking, *abstract;

    (void)state;
    enter("good");
    config = load("defaults.conf");
    none = config_find(&config, "none");
    threading = config_find(&config, "threading");
    forking = config_find(&config, "forking");
    abstract = config_find(&config, "abstract");

    assert_int_equal(none->mixin, MIXIN_NONE);
    assert_int_equal(none->max_connections, 1);
    assert_int_equal(none->max_packet_size, 512);
    assert_int_equal(none->reply, REPLY_NEVER);
    assert_int_equal(none->cpus, 2);
    assert_true(none->nodelay); /* no business of udp: untouched */

    assert_int_equal(threading->max_connections, 100);
    assert_false(threading->nodelay);
    assert_true(threading->daemon_threads);
    assert_int_equal(threading->recycle_after, 0);
    assert_true(threading->read_timeout == 0);           /* its own word wins */
    assert_int_equal(texts_count(threading->groups), 1); /* a list is replaced */
    assert_string_equal(threading->groups[0], "27");
    assert_int_equal(threading->limits.nofile, 100); /* a group is not: key by key */
    assert_int_equal(threading->limits.core, 0);
    assert_true(threading->limits.cpu == LIMIT_UNCHANGED);

    assert_int_equal(forking->mixin, MIXIN_FORKING);
    assert_int_equal(forking->socket_mode, 0666);
    assert_int_equal(forking->recycle_after, 10);
    assert_false(forking->reuse_port);
    assert_true(forking->read_timeout == 5);
    assert_int_equal(texts_count(forking->groups), 2);
    assert_int_equal(forking->gid_count, 2);
    assert_int_equal(forking->limits.nofile, 64);
    assert_int_equal(forking->limits.core, 0);
    assert_int_equal(texts_count(abstract->groups), 0);
    assert_int_equal(abstract->limits.nofile, 64);
    assert_int_equal(abstract->limits.core, 1 << 20);

    assert_int_equal(abstract->socket_mode, 0600);
    assert_int_equal(abstract->max_connections, 3);
    config_done(&config);
}

static void
drop_ins_come_in_the_order_of_their_names(void **state)
{
    struct config config;

    (void)state;
    enter("good");
    config = load("drop_ins.conf");
    assert_int_equal(config.listener_count, 2);
    assert_string_equal(config.listeners[0]->name, "first");
    assert_string_equal(config.listeners[0]->file, "drop_ins.conf.d/10-first.conf");
    assert_string_equal(config.listeners[1]->name, "second");
    assert_true(config.listeners[1]->read_timeout == 7); /* the main file's default */
    config_done(&config);
}

static void
includes_are_relative_to_the_main_file(void **state)
{
    struct config config;

    (void)state;
    assert_int_equal(chdir("/"), 0);
    config = load(SOURCE_DIR "/tests/conf/good/include.conf");
    assert_int_equal(config.listener_count, 2);
    assert_string_equal(config.listeners[0]->file, SOURCE_DIR "/tests/conf/good/parts/echo.inc");
    assert_int_equal(config.listeners[0]->line, 1);
    assert_string_equal(config.listeners[1]->file, SOURCE_DIR "/tests/conf/good/parts/daytime.inc");
    config_done(&config);
}

/* The path, to free, of a file with this text in the folder. */
static char *
write_file(const char *folder, const char *name, const char *text)
{
    char *path;

    assert_true(asprintf(&path, "%s/%s", folder, name) > 0);
    _cleanup_fclose_ FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    return path;
}

static void
absolute_and_nested_includes_are_read(void **state)
{
    char folder[] = "/tmp/sockserverd-test-XXXXXX";
    struct config config;

    (void)state;
    assert_non_null(mkdtemp(folder));
    _cleanup_free_ char *inner = write_file(
        folder, "inner.inc", "a = { address = \"unix:@a\"; plugin = \"echo\"; cpus = 99999; };");
    _cleanup_free_ char *outer = write_file(folder, "outer.inc",
                                            "# first\n\n@include \"inner.inc\" # behind it\n"
                                            "b = { address = \"unix:@b\"; plugin = \"echo\"; };");
    _cleanup_free_ char *text = NULL;
    assert_true(asprintf(&text,
                         "listeners = {\n  @include \"%s\"\n"
                         "c = { address = \"unix:@c\"; plugin = \"echo\"; };\n};\n",
                         outer) > 0);
    _cleanup_free_ char *main_file = write_file(folder, "main.conf", text);
    _cleanup_free_ char *found = mistakes_in(main_file), *expected = NULL;
    assert_true(asprintf(&expected,
                         "%s:1: listeners.a.cpus: found 99999; expected a whole number from 1 to "
                         "1024\n",
                         inner) > 0);
    assert_string_equal(found, expected);
    free(write_file(folder, "inner.inc", "a = { address = \"unix:@a\"; plugin = \"echo\"; };"));
    config = load(main_file);
    assert_int_equal(config.listener_count, 3);
    assert_string_equal(config.listeners[0]->file, inner);
    assert_int_equal(config.listeners[0]->line, 1);
    assert_string_equal(config.listeners[1]->file, outer);
    assert_int_equal(config.listeners[1]->line, 4);
    assert_string_equal(config.listeners[2]->file, main_file);
    assert_int_equal(config.listeners[2]->line, 3);
    config_done(&config);
    assert_int_equal(unlink(inner) + unlink(outer) + unlink(main_file) + rmdir(folder), 0);
}

static void
unreadable_files_are_named(void **state)
{
    static const char *const rows[][2] = {
        {"/nonexistent/x.conf",
         "/nonexistent/x.conf: cannot read the configuration: No such file or directory\n"},
        {"/tmp", "/tmp: cannot read the configuration: Is a directory\n"},
        {"/dev/zero", "/dev/zero: cannot read the configuration: it is not a regular file\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *found = mistakes_in(rows[i][0]);

        assert_string_equal(found, rows[i][1]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_files_give_exactly_the_expected_mistakes),
        cmocka_unit_test(good_files_give_none),
        cmocka_unit_test(values_arrive),
        cmocka_unit_test(options_arrive_as_written),
        cmocka_unit_test(lists_arrive_item_by_item),
        cmocka_unit_test(what_is_not_said_is_the_default),
        cmocka_unit_test(defaults_are_for_whom_they_fit),
        cmocka_unit_test(drop_ins_come_in_the_order_of_their_names),
        cmocka_unit_test(includes_are_relative_to_the_main_file),
        cmocka_unit_test(absolute_and_nested_includes_are_read),
        cmocka_unit_test(unreadable_files_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
