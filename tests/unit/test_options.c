/* SPDX-License-Identifier: MIT */
/*
 * test_options.c - a plugin's options: values of every type, and all mistakes at once
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "worker_fixture.h"

#include "worker/plugin/options.h"

static struct ss_option table[] = {
    {"text", SS_STRING, .fallback = "hello", .min = 2, .max = 8},
    {"flag", SS_BOOLEAN, .fallback = "true"},
    {"count", SS_INTEGER, .min = -10, .max = 10},
    {"ratio", SS_NUMBER, .fallback = "0.5", .max = 1},
    {"limit", SS_SIZE, .fallback = "64K", .min = 1, .max = 1 << 30},
    {"pause", SS_DURATION, .fallback = "250ms", .max = 3600},
    {.name = "any", .type = SS_INTEGER},
    {"names", SS_LIST, .fallback = "a\nb c", .max = 3},
    {.name = "empty", .type = SS_LIST},
    {"word", SS_CHOICE, .fallback = "inetd", .choices = "inetd ucspi none"},
    {"file", SS_PATH, .max = 20},
    {"place", SS_PATH, .fallback = "/tmp"},
    {"target", SS_ADDRESS, .fallback = NULL},
    {"least", SS_INTEGER, .fallback = "1", .min = 1, .max = INFINITY},
    {"most", SS_SIZE, .min = -INFINITY, .max = 1024},
};
#define ROWS (sizeof(table) / sizeof(table[0]))
enum {
    TEXT,
    FLAG,
    COUNT,
    RATIO,
    LIMIT,
    PAUSE,
    ANY,
    NAMES,
    EMPTY,
    WORD,
    FILE_,
    PLACE,
    TARGET,
    LEAST,
    MOST
};

static struct plugin plugin = {
    .file = (char *)"/x/fake.so",
    .record = {.name = "fake"},
    .options = table,
    .option_count = ROWS,
};

static struct settings settings;
static struct errors errors;
static struct option_value *values;

static int
no_settings(void **state)
{
    (void)state;
    settings = (struct settings){.name = (char *)"test", .file = (char *)"x.conf", .line = 3};
    errors = (struct errors){0};
    values = NULL;
    return 0;
}

static int
release(void **state)
{
    (void)state;
    for (size_t i = 0; i < settings.option_count; i++) {
        free(settings.options[i].name);
        given_done(&settings.options[i].given);
    }
    free(settings.options);
    options_free(values, ROWS);
    errors_done(&errors);
    return 0;
}

static void
give(const char *name, const char *text, enum value_form form)
{
    assert_int_equal(
        settings_add_option(&settings, name,
                            &(struct given){.text = text,
                                            .form = form,
                                            .file = "x.conf",
                                            .line = 10 + (unsigned)settings.option_count}),
        0);
}

static void
resolve(void)
{
    assert_int_equal(options_resolve(&plugin, &settings, &values, &errors), 0);
}

static void
expect_mistakes(size_t count, const char *const *messages)
{
    for (size_t i = 0; i < count && i < errors.count; i++)
        assert_string_equal(errors.texts[i], messages[i]);
    assert_int_equal(errors.count, count);
}
#define EXPECT_MISTAKES(...)                                                                       \
    expect_mistakes(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),                        \
                    (const char *const[]){__VA_ARGS__})

/* A list at this place of the file, its items in the lines below it. */
static void
give_list(const char *name, struct given *items, size_t count)
{
    const struct given list = {.text = "",
                               .form = VALUE_LIST,
                               .file = "x.conf",
                               .line = 10,
                               .items = items,
                               .item_count = count};

    for (size_t i = 0; i < count; i++) {
        items[i].file = "x.conf";
        items[i].line = 11 + (unsigned)i;
    }
    assert_int_equal(settings_add_option(&settings, name, &list), 0);
}
#define GIVE_LIST(name, ...)                                                                       \
    give_list(name, (struct given[]){__VA_ARGS__},                                                 \
              sizeof((struct given[]){__VA_ARGS__}) / sizeof(struct given))
#define ITEM(string)                                                                               \
    {                                                                                              \
        .text = string, .form = VALUE_STRING                                                       \
    }

/* Ends with a NULL, as the list does. */
static void
expect_list(const struct option_value *value, const char *const *items)
{
    size_t count = 0;

    for (; items[count] != NULL; count++)
        assert_string_equal(value->list[count], items[count]);
    assert_null(value->list[count]);
    assert_int_equal(value->count, count);
}
#define EXPECT_LIST(value, ...) expect_list(value, (const char *const[]){__VA_ARGS__})

static void
unset_options_have_their_fallbacks(void **state)
{
    (void)state;
    resolve();
    assert_int_equal(errors.count, 0);
    assert_string_equal(values[TEXT].string, "hello");
    assert_true(values[FLAG].boolean);
    assert_int_equal(values[COUNT].integer, 0);
    assert_true(values[RATIO].number == 0.5);
    assert_int_equal(values[LIMIT].size, 65536);
    assert_true(values[PAUSE].number == 0.25);
    EXPECT_LIST(&values[NAMES], "a", "b c", NULL);
    EXPECT_LIST(&values[EMPTY], NULL);
}

static void
list_is_taken_item_by_item(void **state)
{
    (void)state;
    GIVE_LIST("names", ITEM("z"), ITEM(""), ITEM("x, y\n"));
    give_list("empty", NULL, 0);
    resolve();
    assert_int_equal(errors.count, 0);
    EXPECT_LIST(&values[NAMES], "z", "", "x, y\n", NULL);
    EXPECT_LIST(&values[EMPTY], NULL);
}

static void
empty_list_is_not_the_fallback(void **state)
{
    (void)state;
    give_list("names", NULL, 0);
    resolve();
    assert_int_equal(errors.count, 0);
    EXPECT_LIST(&values[NAMES], NULL);
}

static void
one_string_is_a_list_of_one(void **state)
{
    (void)state;
    give("names", "only, this", VALUE_STRING);
    resolve();
    assert_int_equal(errors.count, 0);
    EXPECT_LIST(&values[NAMES], "only, this", NULL);
}

static void
type_on_the_command_line(const char *name, const char *text)
{
    assert_int_equal(settings_add_option(&settings, name, &(struct given){.text = text}), 0);
}

static void
each_value_on_the_command_line_is_an_item_more(void **state)
{
    (void)state;
    table[NAMES].min = 2; /* only the whole is counted */
    type_on_the_command_line("names", "first");
    type_on_the_command_line("count", "1");
    type_on_the_command_line("names", "");
    type_on_the_command_line("count", "2");
    type_on_the_command_line("names", "a=b,c");
    resolve();
    table[NAMES].min = 0;
    assert_int_equal(errors.count, 0);
    EXPECT_LIST(&values[NAMES], "first", "", "a=b,c", NULL);
    assert_int_equal(values[COUNT].integer, 2);
}

static void
too_long_a_list_on_the_command_line_is_one_mistake(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        type_on_the_command_line("names", "x");
    resolve();
    EXPECT_MISTAKES(
        "-o names: found 4 items; expected a list of strings, such as [ \"a\", \"b\" ], "
        "with a number of items from 0 to 3");
}

static void
items_of_a_wrong_type_are_refused_where_they_stand(void **state)
{
    (void)state;
    GIVE_LIST("names", ITEM("a"), {.text = "5000000000", .form = VALUE_INTEGER},
              {.text = "true", .form = VALUE_BOOLEAN}, {.text = "", .form = VALUE_LIST},
              {.text = "", .form = VALUE_GROUP});
    resolve();
    EXPECT_MISTAKES("x.conf:12: listeners.test.options.names: found 5000000000 in the list; "
                    "expected a string in quotes",
                    "x.conf:13: listeners.test.options.names: found true in the list; expected a "
                    "string in quotes",
                    "x.conf:14: listeners.test.options.names: found a list in the list; expected a "
                    "string in quotes",
                    "x.conf:15: listeners.test.options.names: found a group in the list; expected "
                    "a string in quotes");
}

static void
number_of_items_is_in_range(void **state)
{
    (void)state;
    GIVE_LIST("names", ITEM("1"), ITEM("2"), ITEM("3"), ITEM("4"));
    resolve();
    EXPECT_MISTAKES("x.conf:10: listeners.test.options.names: found 4 items; expected a list of "
                    "strings, such as [ \"a\", \"b\" ], with a number of items from 0 to 3");
}

static void
given_values_are_taken_with_their_type(void **state)
{
    (void)state;
    give("text", "bye", VALUE_STRING);
    give("flag", "false", VALUE_BOOLEAN);
    give("count", "-10", VALUE_INTEGER);
    give("ratio", "1", VALUE_INTEGER);
    give("limit", "1G", VALUE_STRING);
    give("pause", "1h", VALUE_STRING);
    give("any", "-9223372036854775808", VALUE_INTEGER);
    resolve();
    assert_int_equal(errors.count, 0);
    assert_string_equal(values[TEXT].string, "bye");
    assert_false(values[FLAG].boolean);
    assert_int_equal(values[COUNT].integer, -10);
    assert_true(values[RATIO].number == 1);
    assert_int_equal(values[LIMIT].size, 1 << 30);
    assert_true(values[PAUSE].number == 3600);
    assert_true(values[ANY].integer == INT64_MIN);
}

static void
values_of_a_command_line_are_plain_text(void **state)
{
    (void)state;
    give("text", "12", VALUE_PLAIN);
    give("flag", "false", VALUE_PLAIN);
    give("count", "7", VALUE_PLAIN);
    resolve();
    assert_int_equal(errors.count, 0);
    assert_string_equal(values[TEXT].string, "12");
    assert_false(values[FLAG].boolean);
    assert_int_equal(values[COUNT].integer, 7);
}

static void
last_of_two_values_counts(void **state)
{
    (void)state;
    give("text", "first", VALUE_STRING);
    give("text", "second", VALUE_STRING);
    resolve();
    assert_int_equal(errors.count, 0);
    assert_string_equal(values[TEXT].string, "second");
}

#define AN_ADDRESS                                                                                 \
    "expected an address to connect to, such as \"tcp://HOST:PORT\" or \"unix:///PATH\""
#define NAMED "x.conf:10: listeners.test.options."

static const struct mistake {
    const char *name, *text;
    enum value_form form;
    const char *message;
} mistakes[] = {
    {"text", "x", VALUE_STRING,
     NAMED "text: found \"x\"; expected a string with a length in bytes, from 2 to 8"},
    {"text", "123456789", VALUE_STRING,
     NAMED "text: found \"123456789\"; expected a string with a length in bytes, from 2 to 8"},
    {"text", "12", VALUE_INTEGER,
     NAMED "text: found 12; expected a string with a length in bytes, from 2 to 8"},
    {"flag", "yes", VALUE_STRING, NAMED "flag: found \"yes\"; expected true or false"},
    {"flag", "1", VALUE_INTEGER, NAMED "flag: found 1; expected true or false"},
    {"count", "11", VALUE_INTEGER, NAMED "count: found 11; expected an integer, from -10 to 10"},
    {"count", "-11", VALUE_INTEGER, NAMED "count: found -11; expected an integer, from -10 to 10"},
    {"count", "1.5", VALUE_FLOAT, NAMED "count: found 1.5; expected an integer, from -10 to 10"},
    {"any", "9223372036854775808", VALUE_INTEGER,
     NAMED "any: found 9223372036854775808; expected an integer"},
    {"ratio", "1.001", VALUE_FLOAT, NAMED "ratio: found 1.001; expected a number, from 0 to 1"},
    {"ratio", "true", VALUE_BOOLEAN, NAMED "ratio: found true; expected a number, from 0 to 1"},
    {"limit", "0", VALUE_INTEGER,
     NAMED "limit: found 0; expected a size in bytes, such as 512 or \"64K\", from 1 to 1G"},
    {"limit", "2G", VALUE_STRING,
     NAMED "limit: found \"2G\"; expected a size in bytes, such as 512 or \"64K\", from 1 to 1G"},
    {"pause", "soon", VALUE_STRING,
     NAMED "pause: found \"soon\"; expected a duration, such as \"250ms\" or \"30s\", from 0 to "
           "1h"},
    {"pause", "61m", VALUE_STRING,
     NAMED "pause: found \"61m\"; expected a duration, such as \"250ms\" or \"30s\", from 0 to "
           "1h"},
    {"cuont", "1", VALUE_INTEGER,
     NAMED "cuont: plugin fake has no such option; did you mean \"count\"?"},
    {"zebra", "1", VALUE_INTEGER, NAMED "zebra: plugin fake has no such option"},
    {"text", "", VALUE_LIST,
     NAMED "text: found a list; expected a string with a length in bytes, from 2 to 8"},
    {"names", "3", VALUE_INTEGER,
     NAMED "names: found 3; expected a list of strings, such as [ \"a\", \"b\" ], with a number of "
           "items from 0 to 3"},
    {"word", "ucpsi", VALUE_STRING,
     NAMED "word: found \"ucpsi\"; expected \"inetd\", \"ucspi\" or \"none\"; did you mean "
           "\"ucspi\"?"},
    {"word", "", VALUE_STRING, NAMED "word: found \"\"; expected \"inetd\", \"ucspi\" or \"none\""},
    {"word", "inetd ucspi", VALUE_STRING,
     NAMED "word: found \"inetd ucspi\"; expected \"inetd\", \"ucspi\" or \"none\"; did you mean "
           "\"inetd\"?"},
    {"word", "1", VALUE_INTEGER, NAMED "word: found 1; expected \"inetd\", \"ucspi\" or \"none\""},
    {"file", "etc/passwd", VALUE_STRING,
     NAMED
     "file: found \"etc/passwd\"; expected an absolute path with a length in bytes, from 0 to "
     "20"},
    {"file", "/a/path/that/is/long/", VALUE_STRING,
     NAMED
     "file: found \"/a/path/that/is/long/\"; expected an absolute path with a length in bytes, "
     "from 0 to 20"},
    {"place", "", VALUE_STRING, NAMED "place: found \"\"; expected an absolute path"},
    {"target", "tcp://nobody", VALUE_STRING, NAMED "target: found \"tcp://nobody\"; " AN_ADDRESS},
    {"target", "tcp://*:80", VALUE_STRING, NAMED "target: found \"tcp://*:80\"; " AN_ADDRESS},
    {"target", "systemd:x", VALUE_STRING, NAMED "target: found \"systemd:x\"; " AN_ADDRESS},
    {"target", "tpc://a:80", VALUE_STRING,
     NAMED "target: found \"tpc://a:80\"; " AN_ADDRESS "; did you mean \"tcp\"?"},
    {"target", "tc://a:80", VALUE_STRING,
     NAMED "target: found \"tc://a:80\"; " AN_ADDRESS "; did you mean \"tcp\"?"},
    {"target", "7", VALUE_INTEGER, NAMED "target: found 7; " AN_ADDRESS},
    {"least", "0", VALUE_INTEGER, NAMED "least: found 0; expected an integer, at least 1"},
    {"most", "2K", VALUE_STRING,
     NAMED "most: found \"2K\"; expected a size in bytes, such as 512 or \"64K\", at most 1K"},
    {"empty", "", VALUE_GROUP,
     NAMED "empty: found a group; expected a list of strings, such as [ \"a\", \"b\" ]"},
};

static void
words_paths_and_addresses_are_texts(void **state)
{
    static const char *const targets[] = {"tcp://example.org:80", "udp://[::1]:53",
                                          "unix:///run/x",        "unix:@x",
                                          "unixgram:///run/x",    "tcp://10.0.0.1:http"};
    struct ss_server server = {.plugin = plugin};

    (void)state;
    resolve();
    server.options = values;
    assert_string_equal(ss_option_string(&server, "word"), "inetd");
    assert_string_equal(ss_option_string(&server, "file"), "");
    assert_string_equal(ss_option_string(&server, "place"), "/tmp");
    assert_string_equal(ss_option_string(&server, "target"), "");
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
        give("target", targets[i], VALUE_STRING);
    give("target", "", VALUE_STRING); /* the default is none, so it may be said */
    give("file", "", VALUE_STRING);
    give("word", "none", VALUE_STRING);
    give("least", "9223372036854775807", VALUE_INTEGER);
    options_free(values, ROWS);
    resolve();
    assert_int_equal(errors.count, 0);
    server.options = values;
    assert_string_equal(ss_option_string(&server, "word"), "none");
    assert_string_equal(ss_option_string(&server, "target"), "");
    assert_true(ss_option_integer(&server, "least") == INT64_MAX);
}

static void
mistakes_say_what_was_found_and_expected(void **state)
{
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        (void)no_settings(state);
        give(mistakes[i].name, mistakes[i].text, mistakes[i].form);
        resolve();
        EXPECT_MISTAKES(mistakes[i].message);
        (void)release(state);
    }
    (void)no_settings(state);
}

static void
mistake_on_the_command_line_is_named_as_it_was_typed(void **state)
{
    (void)state;
    assert_int_equal(settings_add_option(&settings, "count", &(struct given){.text = "many"}), 0);
    resolve();
    EXPECT_MISTAKES("-o count: found \"many\"; expected an integer, from -10 to 10");
}

static void
all_mistakes_are_found_at_once(void **state)
{
    (void)state;
    table[ANY].required = true;
    give("count", "11", VALUE_INTEGER);
    give("colour", "red", VALUE_STRING);
    give("flag", "1", VALUE_INTEGER);
    resolve();
    EXPECT_MISTAKES(
        "x.conf:10: listeners.test.options.count: found 11; expected an integer, from -10 to 10",
        "x.conf:11: listeners.test.options.colour: plugin fake has no such option",
        "x.conf:12: listeners.test.options.flag: found 1; expected true or false",
        "x.conf:3: listeners.test.options.any: missing; plugin fake needs it: an integer");
    table[ANY].required = false;
}

/* One mistake about it is enough. */
static void
required_option_given_wrongly_is_not_missing(void **state)
{
    (void)state;
    table[COUNT].required = true;
    give("count", "many", VALUE_STRING);
    resolve();
    EXPECT_MISTAKES("x.conf:10: listeners.test.options.count: found \"many\"; expected an "
                    "integer, from -10 to 10");
    table[COUNT].required = false;
}

static void
plugin_without_options_takes_none(void **state)
{
    static const struct plugin without = {.file = (char *)"/x/none.so", .record = {.name = "none"}};

    (void)state;
    assert_int_equal(options_resolve(&without, &settings, &values, &errors), 0);
    assert_null(values);
    give("text", "x", VALUE_STRING);
    assert_int_equal(options_resolve(&without, &settings, &values, &errors), 0);
    assert_null(values);
    EXPECT_MISTAKES("x.conf:10: listeners.test.options.text: plugin none takes no options");
}

static void
default_without_a_fallback_is_its_types(void **state)
{
    static const struct {
        enum ss_type type;
        const char *fallback;
    } rows[] = {{SS_STRING, ""}, {SS_BOOLEAN, "false"}, {SS_INTEGER, "0"}, {SS_NUMBER, "0"},
                {SS_SIZE, "0"},  {SS_DURATION, "0"},    {SS_LIST, ""}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ss_option option = {.name = "x", .type = rows[i].type};
        assert_string_equal(option_fallback(&option), rows[i].fallback);
        option.fallback = "17";
        assert_string_equal(option_fallback(&option), "17");
    }
}

static void
types_have_names(void **state)
{
    (void)state;
    assert_string_equal(option_type_name(SS_STRING), "string");
    assert_string_equal(option_type_name(SS_DURATION), "duration");
    assert_string_equal(option_type_name(SS_LIST), "list");
    assert_string_equal(option_type_name(SS_ADDRESS), "address");
    assert_string_equal(option_type_name((enum ss_type)0), "unknown");
    assert_string_equal(option_type_name((enum ss_type)99), "unknown");
}

/* The calls a plugin makes. */
static void
plugin_asks_by_name_and_type(void **state)
{
    struct ss_server server = {.plugin = plugin};
    size_t count = 99;

    (void)state;
    log_set_level(LOG_EMERG);
    give("count", "-3", VALUE_INTEGER);
    resolve();
    server.options = values;
    assert_string_equal(ss_option_string(&server, "text"), "hello");
    assert_true(ss_option_boolean(&server, "flag"));
    assert_int_equal(ss_option_integer(&server, "count"), -3);
    assert_true(ss_option_number(&server, "ratio") == 0.5);
    assert_int_equal(ss_option_size(&server, "limit"), 65536);
    assert_true(ss_option_duration(&server, "pause") == 0.25);
    assert_ptr_equal(ss_option_list(&server, "names", &count), values[NAMES].list);
    assert_int_equal(count, 2);
    assert_ptr_equal(ss_option_list(&server, "names", NULL), values[NAMES].list);
    assert_null(*ss_option_list(&server, "empty", &count));
    assert_int_equal(count, 0);
    count = 99;
    assert_null(ss_option_list(&server, "text", &count));
    assert_int_equal(count, 0);
    assert_null(ss_option_list(&server, "zebra", NULL));
    assert_null(ss_option_string(&server, "names"));
    assert_null(ss_option_string(&server, "count"));
    assert_int_equal(ss_option_integer(&server, "text"), 0);
    assert_int_equal(ss_option_integer(&server, "zebra"), 0);
    assert_int_equal(ss_option_size(&server, "count"), 0);
    assert_true(ss_option_number(&server, "pause") == 0);
    assert_true(ss_option_duration(&server, "ratio") == 0);
    assert_false(ss_option_boolean(&server, "count"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, no_settings, release)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(unset_options_have_their_fallbacks),
        TEST(list_is_taken_item_by_item),
        TEST(empty_list_is_not_the_fallback),
        TEST(one_string_is_a_list_of_one),
        TEST(each_value_on_the_command_line_is_an_item_more),
        TEST(too_long_a_list_on_the_command_line_is_one_mistake),
        TEST(items_of_a_wrong_type_are_refused_where_they_stand),
        TEST(number_of_items_is_in_range),
        TEST(given_values_are_taken_with_their_type),
        TEST(values_of_a_command_line_are_plain_text),
        TEST(last_of_two_values_counts),
        TEST(words_paths_and_addresses_are_texts),
        TEST(mistakes_say_what_was_found_and_expected),
        TEST(mistake_on_the_command_line_is_named_as_it_was_typed),
        TEST(all_mistakes_are_found_at_once),
        TEST(required_option_given_wrongly_is_not_missing),
        TEST(plugin_without_options_takes_none),
        TEST(default_without_a_fallback_is_its_types),
        TEST(types_have_names),
        TEST(plugin_asks_by_name_and_type),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
