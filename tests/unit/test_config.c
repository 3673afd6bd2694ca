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
    assert_int_equal(config.log.format, LOG_AS_TEXT);
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
         "/nonexistent/x.conf: cannot read the configuration: No such file or directory; -c FILE "
         "names another\n"},
        {"/tmp", "/tmp: cannot read the configuration: Is a directory\n"},
        {"/dev/zero", "/dev/zero: cannot read the configuration: it is not a regular file\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *found = mistakes_in(rows[i][0]);

        assert_string_equal(found, rows[i][1]);
    }
}

/* ---- what is too much ------------------------------------------------------------------------ */

/* The mistakes in text, which stands in main.conf in a folder of its own together with part.inc. */
static char *
mistakes_in_text(const char *text, const char *part)
{
    char folder[] = "/tmp/sockserverd-test-XXXXXX";

    assert_non_null(mkdtemp(folder));
    _cleanup_free_ char *included = write_file(folder, "part.inc", part);
    _cleanup_free_ char *file = write_file(folder, "main.conf", text);
    char *found = mistakes_in(file);
    assert_int_equal(unlink(included) + unlink(file) + rmdir(folder), 0);
    return found;
}

static void
expect_mistake(const char *text, const char *part, const char *words)
{
    _cleanup_free_ char *found = mistakes_in_text(text, part);

    if (strstr(found, words) == NULL)
        fail_msg("\"%.300s\" does not say \"%s\"", found, words);
}

static char *
repeated(const char *line, size_t count)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    while (count-- > 0)
        (void)fputs(line, stream);
    assert_int_equal(fclose(stream), 0);
    return text;
}

static void
includes_have_their_bounds(void **state)
{
    _cleanup_free_ char *many = repeated("@include \"part.inc\"\n", 1001);
    _cleanup_free_ char *few = repeated("@include \"part.inc\"\n", 4);
    _cleanup_free_ char *large = repeated("# only a remark that has some length\n", 10000);

    (void)state;
    expect_mistake(many, "# nothing\n", "main.conf:1001: @include \"part.inc\": cannot read ");
    expect_mistake(many, "# nothing\n", "more than 1000 files are included");
    expect_mistake(few, large, "all included files together are larger than 1 MiB");
}

static void
files_are_included_ten_deep_and_no_deeper(void **state)
{
    char folder[] = "/tmp/sockserverd-test-XXXXXX", name[16], text[64];
    char *files[13];

    (void)state;
    assert_non_null(mkdtemp(folder));
    for (int i = 0; i < 13; i++) {
        (void)snprintf(name, sizeof(name), "%d.conf", i);
        (void)snprintf(text, sizeof(text), "@include \"%d.conf\"\n", i + 1);
        files[i] = write_file(folder, name, i == 12 ? "log = { level = \"info\"; };\n" : text);
    }
    _cleanup_free_ char *found = mistakes_in(files[1]);
    assert_non_null(strstr(found, "the files are included more than 10 deep"));
    _cleanup_free_ char *good = mistakes_in(files[2]);
    assert_null(strstr(good, "deep"));
    for (int i = 0; i < 13; i++) {
        assert_int_equal(unlink(files[i]), 0);
        free(files[i]);
    }
    assert_int_equal(rmdir(folder), 0);
}

#define LISTENER "listeners = { a = { address = \"unix:@a\"; plugin = \"echo\"; }; };\n"

/* Where libconfig's own idea of a number or name is not enough, nothing is silently another one. */
static void
odd_words_are_read_as_they_stand(void **state)
{
    _cleanup_free_ char *digits = repeated("9", 400), *letters = repeated("n", 400);
    _cleanup_free_ char *items = repeated("1,", 100001);
    _cleanup_free_ char *number = NULL, *name = NULL, *named_group = NULL, *list = NULL;

    (void)state;
    assert_true(asprintf(&number, "%slisteners = { a = { cpus = %sL; }; };\n", "", digits) > 0);
    expect_mistake(number, "", "listeners.a.cpus: found 99999");
    assert_true(asprintf(&name, LISTENER "%s = 1;\n", letters) > 0);
    expect_mistake(name, "", "nnnnnnnn");
    assert_true(asprintf(&named_group, LISTENER "%s = { a = [ 1, 2 ]; };\n", letters) > 0);
    expect_mistake(named_group, "", "nnnnnnnn");
    assert_true(asprintf(&list,
                         "listeners = { a = { address = \"unix:@a\"; plugin = \"echo\"; groups = "
                         "( %s1 ); }; };\n",
                         items) > 0);
    expect_mistake(list, "", "listeners.a.groups: found 100002 items");
    expect_mistake("listeners = { a = { address = \"unix:@a\"; plugin = \"echo\"; cpus = "
                   "-3000000000; }; };\n",
                   "", "listeners.a.cpus: found -3000000000; expected a whole number");
    expect_mistake("listeners = { a = { address = \"unix:@a\"; plugin = \"echo\"; timeout = "
                   "1e-99; cpus = 1e+2; }; };\n",
                   "", "listeners.a.cpus: found 1e+2; expected a whole number");
    expect_mistake(LISTENER "log = { target = \"x\\", "", "main.conf:2: syntax error");
    expect_mistake(LISTENER "log = { target = \"\\\"\\\\x\"; };\n", "", "log.target: found");
}

static void
values_outside_listeners_have_their_form(void **state)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"plugin_path = \":::\";\n", "plugin_path: found \":::\"; expected folders in quotes"},
        {"plugin_path = 7;\n", "plugin_path: found 7; expected folders in quotes"},
        {"log = { target = 7; };\n", "log.target: found 7; expected"},
        {"log = { target = { a = 1; }; };\n", "log.target: found a group; expected"},
        {"log = { level = 7; };\n", "log.level: found 7; expected"},
        {"log = { level = \"loud\"; };\n", "log.level: found \"loud\"; expected"},
        {"pre_stop_delay = \"2h\";\n", "pre_stop_delay: found \"2h\"; expected a duration"},
        {"reload = \"yes\";\n", "reload: found \"yes\"; expected \"manual\" or \"auto\""},
        {"reload = true;\n", "reload: found true; expected \"manual\" or \"auto\""},
        {"pre_stop_delay = \"-1s\";\n", "pre_stop_delay: found \"-1s\"; expected a duration"},
        {"log = { format = 1; };\n", "log.format: found 1; expected \"text\" or \"json\""},
        {"log = { format = \"jsn\"; };\n", "did you mean \"json\"?"},
        {"log = { access = 1; };\n", "log.access: found 1; expected true or false"},
        {"control = { path = 7; };\n", "control.path: found 7; expected an absolute path"},
        {"control = { path = \"x\"; };\n", "control.path: found \"x\"; expected an absolute path"},
        {"control = { path = \"/%s\"; };\n", "expected an absolute path in quotes, of at most 107"},
        {"control = { group = 7; };\n", "control.group: found 7; expected a group that exists"},
        {"control = { group = \"\"; };\n", "control.group: found \"\"; expected a group that"},
    };
    _cleanup_free_ char *letters = repeated("x", 107);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        _cleanup_free_ char *text = NULL;
        const char *hole = strstr(rows[i].text, "%s");
        int size = hole == NULL ? (int)strlen(rows[i].text) : (int)(hole - rows[i].text);
        assert_true(asprintf(&text, LISTENER "%.*s%s%s", size, rows[i].text,
                             hole == NULL ? "" : letters, hole == NULL ? "" : hole + 2) > 0);
        expect_mistake(text, "", rows[i].words);
    }
}

/* What editors and package managers leave behind is no drop-in. */
static void
only_whole_conf_files_are_drop_ins(void **state)
{
    static const char *const others[] = {".a.conf", "#a.conf", "a.conf~", "a.conf.bak",
                                         ".conf",   "conf",    "a",       "a.con"};
    char folder[] = "/tmp/sockserverd-test-XXXXXX", drop_ins[64];
    char *files[ARRAY_SIZE(others)];

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(drop_ins, sizeof(drop_ins), "%s/main.conf.d", folder);
    assert_int_equal(mkdir(drop_ins, 0700), 0);
    _cleanup_free_ char *file = write_file(folder, "main.conf", LISTENER);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        files[i] = write_file(drop_ins, others[i], "nonsense");
    struct config config = load(file);
    assert_int_equal(config.listener_count, 1);
    config_done(&config);
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        assert_int_equal(unlink(files[i]), 0);
        free(files[i]);
    }
    assert_int_equal(rmdir(drop_ins) + unlink(file), 0);

    /* A folder that is none is a mistake, and not a missing one. */
    free(write_file(folder, "main.conf", LISTENER));
    free(write_file(folder, "main.conf.d", "x"));
    _cleanup_free_ char *found = mistakes_in(file);
    assert_non_null(strstr(found, "main.conf.d: cannot read the drop-in folder: Not a directory"));
    assert_int_equal(unlink(file) + unlink(drop_ins) + rmdir(folder), 0);
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
        cmocka_unit_test(includes_have_their_bounds),
        cmocka_unit_test(files_are_included_ten_deep_and_no_deeper),
        cmocka_unit_test(odd_words_are_read_as_they_stand),
        cmocka_unit_test(values_outside_listeners_have_their_form),
        cmocka_unit_test(only_whole_conf_files_are_drop_ins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
