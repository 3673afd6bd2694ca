/* SPDX-License-Identifier: MIT */
/*
 * test_commandline.c - reading the command line
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include <cmocka.h>

#include "common/array.h"
#include "common/cleanup.h"
#include "config/commandline.h"

#define ARGUMENTS_MAX 12

struct parsed {
    struct commandline commandline;
    char *problem;
    int result;
};

/* "a b c" -> argv; the copy lives until the process ends, as argv does. */
static struct parsed
parse(const char *line)
{
    struct parsed parsed;
    char *argv[ARGUMENTS_MAX + 1] = {(char *)"sockserverd"};
    char *copy = strdup(line), *rest = NULL;
    int argc = 1;

    assert_non_null(copy);
    for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        assert_true(argc < ARGUMENTS_MAX);
        argv[argc++] = strcmp(word, "''") == 0 ? word + 2 : word;
    }
    static char *copies[256] __attribute__((used));
    static size_t count;
    copies[count++] = copy; /* reachable: not a leak */
    parsed.result = commandline_parse(argc, argv, &parsed.commandline, &parsed.problem);
    return parsed;
}

static void
done(struct parsed *parsed)
{
    commandline_done(&parsed->commandline);
    free(parsed->problem);
}

static void
chooses_the_role(void **state)
{
    static const struct {
        const char *line;
        enum role role;
    } rows[] = {
        {"", ROLE_SERVE_FILE},
        {"-c x.conf", ROLE_SERVE_FILE},
        {"--check", ROLE_SERVE_FILE},
        {"--listen tcp://*:1 p", ROLE_LISTEN},
        {"p --listen tcp://*:1", ROLE_LISTEN},
        {"--listen=tcp://*:1 --check p", ROLE_LISTEN},
        {"--stdio p", ROLE_STDIO},
        {"--describe p", ROLE_DESCRIBE},
        {"p --describe --json", ROLE_DESCRIBE},
        {"--help", ROLE_HELP},
        {"-h", ROLE_HELP},
        {"--version", ROLE_VERSION},
        {"--stdio --help", ROLE_HELP},
        {"--help --stdio", ROLE_HELP},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct parsed parsed = parse(rows[i].line);
        if (parsed.result != 0 || parsed.commandline.role != rows[i].role)
            fail_msg("\"%s\": role %d, %s", rows[i].line, (int)parsed.commandline.role,
                     parsed.problem == NULL ? "no problem" : parsed.problem);
        done(&parsed);
    }
}

static void
mistakes_are_explained(void **state)
{
    static const struct {
        const char *line, *problem;
    } rows[] = {
        {"--chekc", "unknown option --chekc; did you mean --check?"},
        {"--zzzzzzzz", "unknown option --zzzzzzzz"},
        {"--lisen=x p", "unknown option --lisen; did you mean --listen?"},
        {"-x", "unknown option -x"},
        {"-hx", "unknown option -hx"},
        {"--check=yes", "--check takes no value"},
        {"-c", "--config needs a value: FILE"},
        {"--listen", "--listen needs a value: ADDRESS"},
        {"--listen tcp://*:1", "--listen needs a plugin: a path such as ./upper.so, or a name"},
        {"--stdio", "--stdio needs a plugin: a path such as ./upper.so, or a name"},
        {"--stdio ''", "the plugin's name is empty"},
        {"--stdio a b", "unexpected argument \"b\" behind the plugin \"a\""},
        {"upper", "unexpected argument \"upper\"; a plugin is served without a file by: "
                  "sockserverd --listen ADDRESS upper"},
        {"--stdio --listen tcp://*:1 p", "--stdio and --listen exclude each other"},
        {"-c f --describe p", "--config and --describe exclude each other"},
        {"-c f --listen tcp://*:1 p", "--config and --listen exclude each other"},
        {"--stdio --once p", "--once does not go with --stdio"},
        {"--stdio --check p", "--check does not go with --stdio"},
        {"--stdio --mixin none p", "--mixin does not go with --stdio"},
        {"--describe -o a=b p", "--option does not go with --describe"},
        {"--json", "--json works only with --describe"},
        {"--mixin none", "--mixin works only with --listen"},
        {"-o a=b", "--option works only with --listen or --stdio"},
        {"--set a=b", "--set works only with --listen or --stdio"},
        {"--stdio -o a p", "-o \"a\": expected NAME=VALUE"},
        {"--stdio -o =a p", "-o \"=a\": expected NAME=VALUE"},
        {"--stdio --set a p", "--set \"a\": expected KEY=VALUE"},
        {"--log-level 9",
         "--log-level: unknown level \"9\"; expected one from emerg to debug, such as "
         "info"},
        {"--log-level inof", "--log-level: unknown level \"inof\"; did you mean \"info\"?"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct parsed parsed = parse(rows[i].line);
        assert_int_equal(parsed.result, -EINVAL);
        assert_string_equal(parsed.problem, rows[i].problem);
        done(&parsed);
    }
}

static void
reads_all_spellings_of_values(void **state)
{
    static const char *const lines[] = {"-c f", "-cf", "--config f", "--config=f"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct parsed parsed = parse(lines[i]);
        assert_int_equal(parsed.result, 0);
        assert_string_equal(parsed.commandline.config_file, "f");
        done(&parsed);
    }
}

static void
without_arguments_serves_the_usual_file(void **state)
{
    struct parsed parsed = parse("");

    (void)state;
    assert_int_equal(parsed.result, 0);
    assert_string_equal(parsed.commandline.config_file, SOCKSERVERD_CONFIG_FILE);
    assert_false(parsed.commandline.check || parsed.commandline.once || parsed.commandline.strict);
    assert_int_equal(parsed.commandline.log_level, -1);
    done(&parsed);
}

static void
keeps_assignments_in_order(void **state)
{
    struct parsed parsed = parse("--listen tcp://*:1 -o a=1 --set cpus=2 -oa=x=y --option b= p");
    static const struct assignment expected[] = {
        {false, (char *)"a", "1"},
        {true, (char *)"cpus", "2"},
        {false, (char *)"a", "x=y"},
        {false, (char *)"b", ""},
    };

    (void)state;
    assert_int_equal(parsed.result, 0);
    assert_int_equal(parsed.commandline.assignment_count, ARRAY_SIZE(expected));
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        const struct assignment *found = &parsed.commandline.assignments[i];
        assert_int_equal(found->setting, expected[i].setting);
        assert_string_equal(found->name, expected[i].name);
        assert_string_equal(found->value, expected[i].value);
    }
    done(&parsed);
}

static void
takes_a_plugin_that_looks_like_an_option_behind_two_dashes(void **state)
{
    struct parsed parsed = parse("--stdio -- --p.so");

    (void)state;
    assert_int_equal(parsed.result, 0);
    assert_string_equal(parsed.commandline.plugin, "--p.so");
    done(&parsed);
}

static void
names_the_listener_after_the_plugin(void **state)
{
    static const char *const rows[][2] = {
        {"--stdio upper", "upper"},        {"--stdio ./upper.so", "upper"},
        {"--stdio /a/b.c/d.so", "d"},      {"--listen tcp://127.0.0.1:0 ./x.so", "x"},
        {"--listen unix:/ --stdio", NULL}, {"--stdio .so", ".so"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct parsed parsed = parse(rows[i][0]);
        struct settings settings = {0};
        struct errors errors = {0};
        if (rows[i][1] == NULL) {
            assert_int_equal(parsed.result, -EINVAL);
        } else {
            assert_int_equal(parsed.result, 0);
            assert_int_equal(
                commandline_settings(&parsed.commandline, "/nowhere", &settings, &errors), 0);
            assert_string_equal(settings.name, rows[i][1]);
        }
        settings_done(&settings);
        errors_done(&errors);
        done(&parsed);
    }
}

static void
settings_and_options_arrive(void **state)
{
    struct parsed parsed =
        parse("--listen udp://127.0.0.1:7 --mixin forking --set max_connections=3 -o a=b ./p.so");
    struct settings settings;
    struct errors errors = {0};

    (void)state;
    assert_int_equal(parsed.result, 0);
    assert_int_equal(commandline_settings(&parsed.commandline, "/nowhere", &settings, &errors), 0);
    assert_false(errors_any(&errors));
    assert_int_equal(settings.mixin, MIXIN_FORKING);
    assert_int_equal(settings.max_connections, 3);
    assert_int_equal(settings.address.scheme, ADDRESS_UDP);
    assert_int_equal(settings.option_count, 1);
    assert_string_equal(settings.options[0].name, "a");
    assert_string_equal(settings.options[0].given.text, "b");
    settings_done(&settings);
    done(&parsed);
}

static void
wrong_settings_are_all_reported(void **state)
{
    struct parsed parsed =
        parse("--listen bogus --mixin threads --set max_conections=3 --set mixin=forks ./p.so");
    static const char *const words[] = {
        "--listen: found \"bogus\"; expected an address",
        "--mixin: unknown mixin \"threads\"; did you mean \"threading\"?",
        "--set: unknown key \"max_conections\"; did you mean \"max_connections\"?",
        "--set mixin: unknown mixin \"forks\"; did you mean \"forking\"?",
    };
    struct settings settings;
    struct errors errors = {0};

    (void)state;
    assert_int_equal(commandline_settings(&parsed.commandline, "/nowhere", &settings, &errors), 0);
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        assert_int_equal(strncmp(errors.texts[i], words[i], strlen(words[i])), 0);
    settings_done(&settings);
    errors_done(&errors);
    done(&parsed);
}

/* ---- the three places that list options agree ------------------------------------------- */

static char *
read_file(const char *path)
{
    char *text = NULL;
    size_t size = 0;
    _cleanup_fclose_ FILE *file = fopen(path, "re");

    assert_non_null(file);
    ssize_t length = getdelim(&text, &size, '\0', file);
    assert_true(length > 0);
    return text;
}

static char *
help_text(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    commandline_help(out);
    assert_int_equal(fclose(out), 0);
    return text;
}

/* ".Fl -name" in the manual's list of options is "--name". */
static size_t
count_manual_options(const char *manual)
{
    size_t count = 0;

    for (const char *item = strstr(manual, ".It Fl "); item != NULL;
         item = strstr(item + 1, ".It Fl "))
        count++;
    return count;
}

static void
help_and_manual_name_the_same_options(void **state)
{
    _cleanup_free_ char *manual = read_file(SOURCE_DIR "/daemon/supervisor/sockserverd.8");
    _cleanup_free_ char *help = help_text();
    size_t count = 0;

    (void)state;
    for (; commandline_option_names[count] != NULL; count++) {
        char item[64], line[64];
        (void)snprintf(item, sizeof(item), "Fl -%s", commandline_option_names[count]);
        (void)snprintf(line, sizeof(line), " --%s", commandline_option_names[count]);
        if (strstr(manual, item) == NULL)
            fail_msg("--%s is not in the manual", commandline_option_names[count]);
        if (strstr(help, line) == NULL)
            fail_msg("--%s is not in --help", commandline_option_names[count]);
    }
    assert_int_equal(count_manual_options(manual), count);
    size_t lines = 0;
    for (const char *at = strstr(help, "\n  "); at != NULL; at = strstr(at + 1, "\n  "))
        lines++;
    /* Five lines of the synopsis are indented too. */
    assert_int_equal(lines - 5, count);
}

static void
help_fits_the_terminal(void **state)
{
    _cleanup_free_ char *help = help_text();
    char *rest = NULL;

    (void)state;
    size_t lines = 0;
    for (char *line = strtok_r(help, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest), lines++)
        assert_true(strlen(line) < 80);
    assert_true(lines > 10);
}

static void
version_is_the_projects(void **state)
{
    _cleanup_free_ char *project = read_file(SOURCE_DIR "/CMakeLists.txt");

    (void)state;
    assert_non_null(strstr(project, "project(sockserverd VERSION " SOCKSERVERD_VERSION " "));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chooses_the_role),
        cmocka_unit_test(mistakes_are_explained),
        cmocka_unit_test(reads_all_spellings_of_values),
        cmocka_unit_test(without_arguments_serves_the_usual_file),
        cmocka_unit_test(keeps_assignments_in_order),
        cmocka_unit_test(takes_a_plugin_that_looks_like_an_option_behind_two_dashes),
        cmocka_unit_test(names_the_listener_after_the_plugin),
        cmocka_unit_test(settings_and_options_arrive),
        cmocka_unit_test(wrong_settings_are_all_reported),
        cmocka_unit_test(help_and_manual_name_the_same_options),
        cmocka_unit_test(help_fits_the_terminal),
        cmocka_unit_test(version_is_the_projects),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
