/* SPDX-License-Identifier: MIT */
/*
 * test_failing_config.c - reading a configuration while memory is short: nothing is lost in silence
 *
 * libconfig and the user database do not look at what malloc() returns, or
 * keep what they have begun. Their calls go through here, and nothing fails
 * within them; a process of its own reads the file, as they may end it.
 */
#include "failing_libraries.h"

#include "config_fixture.h"

#include <grp.h>
#include <libconfig.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/brief.h"
#include "common/leave.h"
#include "common/tls_module.h"
#include "common/varlink.h"
#include "config/commandline.h"
#include "config/config_pack.h"
#include "config/identity.h"

/* ---- whole files ----------------------------------------------------------------------------- */

/* A file, and what it has come to when nothing failed. */
struct file {
    const char *name;
    int result;
    size_t mistakes, listeners;
    bool known;
};

static bool
same_listeners(const struct config *one, const struct config *other)
{
    if (one->listener_count != other->listener_count)
        return false;
    for (size_t i = 0; i < one->listener_count; i++)
        if (!settings_equal(one->listeners[i], other->listeners[i]))
            return false;
    return true;
}

/* To the process that serves it. */
static int
hand_over(int result, const struct config *config, const struct errors *errors)
{
    _cleanup_free_ char *bytes = NULL;
    struct config back = {0};
    struct errors back_errors = {0};
    size_t size = 0;
    int back_result = 0, r = config_pack(result, config, errors, &bytes, &size);

    if (r == 0)
        r = config_unpack(bytes, size, &back_result, &back, &back_errors);
    if (r < 0)
        return r;
    assert_int_equal(back_result, result);
    assert_int_equal(back_errors.count, errors->count);
    assert_true(same_listeners(config, &back));
    config_done(&back);
    errors_done(&back_errors);
    return 0;
}

/* Every mistake is told, or memory was short. */
static int
load_file(void *userdata)
{
    struct file *file = userdata;
    struct errors errors = {0};
    struct config config;
    int r = config_load(&config, file->name, "/plugins", &errors);

    if (!file->known)
        *file = (struct file){file->name, r, errors.count, config.listener_count, true};
    if (r != -ENOMEM) {
        assert_int_equal(r, file->result);
        assert_int_equal(errors.count, file->mistakes);
        assert_int_equal(config.listener_count, file->listeners);
        r = hand_over(r, &config, &errors);
    }
    config_done(&config);
    errors_done(&errors);
    return r;
}

static void
fail_in(const char *name)
{
    struct file file = {.name = name};
    const struct failing_plan plan = {.work = load_file, .userdata = &file, .memory_alone = true};

    print_message("%s: ", name);
    print_message("%u failures\n", each_call_fails(&plan));
}

static void
good_files_are_read_whole_or_not_at_all(void **state)
{
    static const char *const files[] = {"everything.conf", "defaults.conf", "include.conf",
                                        "drop_ins.conf", "loose_style.conf"};

    (void)state;
    enter("good");
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        fail_in(files[i]);
}

#define TLS "listeners = { x = { address = \"unix:@x\"; plugin = \"echo\"; tls = {\n"

/* Files of certificates, which the process that reads the configuration reads, too. */
static void
tls_is_read_whole_or_not_at_all(void **state)
{
    static const char *const files[][2] = {
        {"pem", "A CERTIFICATE"},
        {"key", "A KEY"},
        {"good.conf",
         TLS "certificate = [ \"pem\", \"key\" ]; key = ( \"key\", \"key\" ); ocsp = \"pem\";\n"
             "client = \"optional\"; client_ca = \"pem\"; crl = \"key\"; alpn = \"h2\";\n"
             "names = ( { name = \"a\"; certificate = \"pem\"; key = \"key\"; } ); }; }; };"},
        {"bad.conf",
         TLS "certificate = [ \"pem\", \"none\" ]; key = ( \"key\", \"none\" );\n"
             "names = ( { name = \"*\"; certificate = \"pem\"; key = \"key\"; } ); }; }; };"},
        {"worse.conf",
         TLS "certificate = \"pem\"; client_ca = \"pem\";\n"
             "names = ( 7, { nam = \"*\"; certificate = \"pem\"; key = 7; } ); }; }; };"},
    };
    char folder[] = "/tmp/sockserverd-test-XXXXXX";

    (void)state;
    assert_int_equal(tls_module_use("/dev/null"), 0);
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        FILE *file = fopen(files[i][0], "we");
        assert_non_null(file);
        assert_true(fputs(files[i][1], file) >= 0 && fclose(file) == 0);
    }
    for (size_t i = 2; i < ARRAY_SIZE(files); i++)
        fail_in(files[i][0]);
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        assert_int_equal(unlink(files[i][0]), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void
no_mistake_is_lost_for_want_of_memory(void **state)
{
    static const char *const files[] = {
        "control.conf",
        "listener_names.conf",
        "listeners_is_list.conf",
        "defaults_is_text.conf",
        "drop_in.conf",
        "duplicate_key.conf",
        "include_missing.conf",
        "include_nested.conf",
        "log.conf",
        "missing_required.conf",
        "not_for_tcp.conf",
        "socket_users.conf",
        "syntax_in_include.conf",
        "syntax_open_brace.conf",
        "syntax_comma.conf",
        "syntax_quote.conf",
        "lists.conf",
    };

    (void)state;
    enter("bad");
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        fail_in(files[i]);
}

/* ---- one value -------------------------------------------------------------------------- */

struct one_value {
    const char *key;
    struct given given;
};

/* It is wrong, and that is told once, or memory was short. */
static int
set_wrong_value(void *userdata)
{
    const struct one_value *value = userdata;
    struct errors errors = {0};
    struct settings settings;
    int r = settings_init(&settings, "test");

    if (r == 0)
        settings_set(&settings, value->key, &value->given, &errors);
    if (r == 0 && errors.exhausted)
        r = -ENOMEM;
    else if (r == 0)
        assert_int_equal(errors.count, 1);
    settings_done(&settings);
    errors_done(&errors);
    return r;
}

static void
a_wrong_value_is_told_or_memory_was_short(void **state)
{
    struct given odd = {.text = "true", .form = VALUE_BOOLEAN, .file = "x.conf", .line = 3};
    struct given empty = {.text = "", .form = VALUE_STRING, .file = "x.conf", .line = 4};
    struct one_value rows[] = {
        {"address", {.text = "tcp://[::1"}},
        {"address", {.text = "tcp://[1::2::3]:80"}},
        {"address", {.text = "tcp//127.0.0.1:80"}},
        {"address", {.text = "tpc://127.0.0.1:80"}},
        {"address", {.text = "7", .form = VALUE_INTEGER}},
        {"plugin", {.text = ""}},
        {"nodelay", {.text = "maybe"}},
        {"cpus", {.text = "-1"}},
        {"stack_size", {.text = "1"}},
        {"timeout", {.text = "soon"}},
        {"mixin", {.text = "thread"}},
        {"mixin", {.text = "zzzzzzzz"}},
        {"mixin", {.text = "7", .form = VALUE_INTEGER}},
        {"socket_mode", {.text = "999"}},
        {"limits.nofile", {.text = "-1"}},
        {"limits.core", {.text = "much"}},
        {"limits.cpu", {.text = "0.5s"}},
        {"limits", {.text = "7"}},
        {"limits", {.text = "7", .form = VALUE_STRING, .file = "x.conf", .line = 1}},
        {"limits.nofil", {.text = "7"}},
        {"limits.zzzzzzzz", {.text = "7"}},
        {"adress", {.text = "tcp://127.0.0.1:80"}},
        {"zzzzzzzz", {.text = "7"}},
        {"groups", {.form = VALUE_LIST, .text = "", .items = &odd, .item_count = 1}},
        {"capabilities", {.form = VALUE_LIST, .text = "", .items = &empty, .item_count = 1}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct failing_plan plan = {set_wrong_value, &rows[i], NULL, true};
        print_message("%s\n", rows[i].key);
        assert_in_range(each_call_fails(&plan), 3, 200);
    }
}

/* The one capability that there is not is told, or memory was short. */
static int
finish_listener(void *userdata)
{
    static const struct given address = {.text = "tcp://127.0.0.1:7"};
    struct errors errors = {0};
    struct settings settings, heir = {0};
    int r = settings_init(&settings, "test");

    (void)userdata;
    if (r == 0 && (r = settings_fill(&settings)) == 0) {
        settings_set(&settings, "address", &address, &errors);
        settings_set(&settings, "plugin", &(struct given){.text = "echo"}, &errors);
        settings_set(&settings, "capabilities", &(struct given){.text = "nosuch"}, &errors);
        settings_finish(&settings, "", &errors);
        r = errors.exhausted ? -ENOMEM : settings_init(&heir, "heir");
    }
    if (r == 0) {
        assert_int_equal(errors.count, 1);
        r = settings_inherit(&heir, setting_find("address"), &settings);
    }
    settings_done(&heir);
    settings_done(&settings);
    errors_done(&errors);
    return r;
}

static void
a_listener_is_finished_or_memory_was_short(void **state)
{
    const struct failing_plan plan = {finish_listener, NULL, NULL, true};

    (void)state;
    assert_in_range(each_call_fails(&plan), 20, 200);
}

/* ---- the control socket ----------------------------------------------------------------- */

static int
feed_message(void *userdata)
{
    static const char text[70000];
    struct varlink_input input;

    (void)userdata;
    varlink_input_init(&input, 1 << 20);
    int r = varlink_input_feed(&input, text, sizeof(text));
    if (r == 0)
        assert_int_equal(input.size, sizeof(text));
    varlink_input_done(&input);
    return r;
}

static void
a_message_is_taken_whole_or_refused(void **state)
{
    const struct failing_plan plan = {feed_message, NULL, NULL, true};

    (void)state;
    assert_in_range(each_call_fails(&plan), 2, 20);
}

/* ---- the command line ------------------------------------------------------------------- */

/* Says the same about the same words, or that memory was short. */
struct words {
    char *arguments[16];
    int result;
    char *problem; /* of the first time */
};

static int
read_words(void *userdata)
{
    struct words *words = userdata;
    struct commandline commandline;
    char *problem = NULL;
    int count = 0;

    while (words->arguments[count] != NULL)
        count++;
    int r = commandline_parse(count, words->arguments, &commandline, &problem);
    commandline_done(&commandline);
    if (r == -ENOMEM)
        assert_null(problem);
    else if (words->problem == NULL && problem != NULL)
        words->problem = take_pointer(problem);
    else if (problem != NULL && !failing.fired) /* a hint may be missing */
        assert_string_equal(problem, words->problem);
    free(problem);
    return r == words->result ? 0 : r;
}

#define WORDS(...)                                                                                 \
    {                                                                                              \
        (char *)"sockserverd", __VA_ARGS__, NULL                                                   \
    }

static void
words_are_understood_or_memory_was_short(void **state)
{
    struct words rows[] = {
        {WORDS((char *)"--listen", (char *)"tcp://*:7", (char *)"-o", (char *)"a=b",
               (char *)"--set=cpus=2", (char *)"upper"),
         0, NULL},
        {WORDS((char *)"--listen", (char *)"unix:@a", (char *)"--listen", (char *)"unix:@b",
               (char *)"--set", (char *)"cpus=2", (char *)"--log-level=debug", (char *)"upper"),
         0, NULL},
        {WORDS((char *)"-"), -EINVAL, NULL},
        {WORDS((char *)"--nosuch"), -EINVAL, NULL},
        {WORDS((char *)"--lisen=x"), -EINVAL, NULL},
        {WORDS((char *)"-Z"), -EINVAL, NULL},
        {WORDS((char *)"--log-level=inof"), -EINVAL, NULL},
        {WORDS((char *)"--log-level=zzzzzz"), -EINVAL, NULL},
        {WORDS((char *)"-o", (char *)"=b"), -EINVAL, NULL},
        {WORDS((char *)"--listen", (char *)"tcp://*:7"), -EINVAL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct failing_plan plan = {read_words, &rows[i], NULL, true};
        print_message("%s\n", rows[i].arguments[1]);
        assert_in_range(each_call_fails(&plan), 1, 100);
        free(rows[i].problem);
    }
}

static int
make_listener(void *userdata)
{
    struct errors errors = {0};
    struct settings settings;
    int r = commandline_settings(userdata, "/plugins", &settings, &errors);

    if (r == 0 && errors.exhausted)
        r = -ENOMEM;
    else if (r == 0)
        assert_int_equal(errors.count, 0);
    settings_done(&settings);
    errors_done(&errors);
    return r;
}

static void
a_listener_of_words_is_made_whole_or_not_at_all(void **state)
{
    char *arguments[] = {(char *)"sockserverd", (char *)"--listen", (char *)"tcp://127.0.0.1:7",
                         (char *)"-o",          (char *)"a=b",      (char *)"--set",
                         (char *)"groups=0",    (char *)"upper",    NULL};
    struct commandline commandline;
    const struct failing_plan plan = {make_listener, &commandline, NULL, true};
    char *problem;

    (void)state;
    assert_int_equal(commandline_parse(8, arguments, &commandline, &problem), 0);
    assert_in_range(each_call_fails(&plan), 20, 200);
    commandline_done(&commandline);
}

/* ---- to a worker ----------------------------------------------------------------------------- */

static int
brief_worker(void *userdata)
{
    const struct brief brief = {.address = (char *)"tcp://127.0.0.1:9", .level = LOG_INFO};
    _cleanup_close_ int fd = brief_to_fd(&brief, userdata);
    struct settings settings;
    struct brief back;

    if (fd < 0)
        return fd;
    int r = brief_from_fd(fd, &back, &settings);
    if (r < 0)
        return r == -EBADMSG && failing.call == FAILING_pread ? -EIO : r;
    assert_true(settings_equal(&settings, userdata));
    assert_string_equal(back.address, brief.address);
    brief_done(&back);
    settings_done(&settings);
    return 0;
}

/* Its seals (fcntl) keep a program from changing what it has been told; it may do without. */
static void
a_brief_arrives_whole_or_not_at_all(void **state)
{
    static const char *const tolerated[] = {"fcntl", NULL};
    struct errors errors = {0};
    struct config config;

    (void)state;
    enter("good");
    assert_int_equal(config_load(&config, "lists.conf", NULL, &errors), 0);
    for (size_t i = 0; i < config.listener_count; i++) {
        const struct failing_plan plan = {brief_worker, (void *)(uintptr_t)config.listeners[i],
                                          tolerated, false};
        assert_in_range(each_call_fails(&plan), 10, 1000);
    }
    config_done(&config);
}

static void
what_is_no_brief_is_refused(void **state)
{
    struct settings settings;
    struct brief brief;
    int ends[2];

    (void)state;
    assert_int_equal(brief_from_fd(-1, &brief, &settings), -EBADF);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(brief_from_fd(ends[0], &brief, &settings), -EBADMSG); /* it has no size */
    (void)close(ends[0]);
    (void)close(ends[1]);
    _cleanup_close_ int fd = memfd_create("large", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, (16 << 20) + 1), 0);
    assert_int_equal(brief_from_fd(fd, &brief, &settings), -EBADMSG);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_files_are_read_whole_or_not_at_all),
        cmocka_unit_test(tls_is_read_whole_or_not_at_all),
        cmocka_unit_test(no_mistake_is_lost_for_want_of_memory),
        cmocka_unit_test(a_wrong_value_is_told_or_memory_was_short),
        cmocka_unit_test(a_listener_is_finished_or_memory_was_short),
        cmocka_unit_test(a_message_is_taken_whole_or_refused),
        cmocka_unit_test(words_are_understood_or_memory_was_short),
        cmocka_unit_test(a_listener_of_words_is_made_whole_or_not_at_all),
        cmocka_unit_test(a_brief_arrives_whole_or_not_at_all),
        cmocka_unit_test(what_is_no_brief_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
