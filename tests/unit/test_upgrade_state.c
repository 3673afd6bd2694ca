/* SPDX-License-Identifier: MIT */
/*
 * test_upgrade_state.c - what one process of the daemon tells the next
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "supervisor/change/upgrade_state.h"

static const struct settings *
make_settings(const char *name)
{
    struct settings settings;
    char *problem = NULL;

    assert_int_equal(settings_init(&settings, name), 0);
    assert_int_equal(settings_fill(&settings), 0);
    assert_int_equal(address_parse("tcp://127.0.0.1:9999", &settings.address, &problem), 0);
    settings.plugin = strdup("echo");
    settings.plugin_file = strdup("/plugins/echo.so");
    return settings_share(&settings);
}

/* Two listeners: one with two generations of two workers, one with nothing. */
static void
fill(struct upgrade_state *state)
{
    *state = (struct upgrade_state){.listeners = calloc(2, sizeof(*state->listeners)),
                                    .listener_count = 2};
    struct upgrade_listener *listener = &state->listeners[0];
    listener->settings = make_settings("one");
    state->listeners[1].settings = make_settings("two");
    state->listeners[1].removed = true;
    listener->goal = 2;
    listener->number = 7;
    listener->restarts = 3;
    listener->totals.accepted = 1000000;
    listener->generations = calloc(2, sizeof(*listener->generations));
    listener->generation_count = 2;
    for (size_t i = 0; i < 2; i++) {
        struct upgrade_generation *generation = &listener->generations[i];
        generation->number = 6 + (uint32_t)i;
        generation->present = i == 1;
        generation->settings = settings_ref(listener->settings);
        generation->workers = calloc(2, sizeof(*generation->workers));
        generation->worker_count = 2;
        for (size_t j = 0; j < 2; j++)
            generation->workers[j] = (struct upgrade_worker){
                .pid = 100 + (pid_t)(2 * i + j),
                .channel = 10,
                .counters = 11,
                .slots = 5,
                .state = 2,
                .deadline = UINT64_MAX,
                .serving_since = 42,
                .pings = 9,
                .stopped = j == 1,
            };
    }
}

static void
pack(char **ret_bytes, size_t *ret_size)
{
    struct upgrade_state state;

    fill(&state);
    assert_int_equal(upgrade_state_pack(&state, ret_bytes, ret_size), 0);
    upgrade_state_done(&state);
}

static void
everything_comes_back(void **state)
{
    _cleanup_free_ char *bytes = NULL;
    struct upgrade_state back;
    size_t size;

    (void)state;
    pack(&bytes, &size);
    assert_int_equal(upgrade_state_unpack(bytes, size, &back), 0);
    assert_int_equal(back.listener_count, 2);
    const struct upgrade_listener *listener = &back.listeners[0];
    assert_string_equal(listener->settings->name, "one");
    assert_string_equal(listener->settings->address.text, "tcp://127.0.0.1:9999");
    assert_int_equal(listener->goal, 2);
    assert_int_equal(listener->number, 7);
    assert_int_equal(listener->restarts, 3);
    assert_int_equal(listener->totals.accepted, 1000000);
    assert_int_equal(listener->generation_count, 2);
    assert_false(listener->generations[0].present);
    assert_true(listener->generations[1].present);
    assert_int_equal(listener->generations[1].number, 7);
    const struct upgrade_worker *worker = &listener->generations[1].workers[1];
    assert_int_equal(worker->pid, 103);
    assert_int_equal(worker->slots, 5);
    assert_true(worker->deadline == UINT64_MAX);
    assert_true(worker->stopped);
    assert_true(back.listeners[1].removed);
    assert_int_equal(back.listeners[1].generation_count, 0);
    upgrade_state_done(&back);
}

/*
 * What a listener has counted keeps the places that it had when the struct
 * itself was written: the header of those bytes is the same, so they are read.
 */
static void
counters_come_back_from_the_places_they_always_had(void **state)
{
    struct upgrade_listener listener = {0};
    struct upgrade_state counted = {.listeners = &listener, .listener_count = 1}, back;
    struct {
        uint64_t active, idle, accepted, refused, failed, vanished, cut, truncated, bytes_in,
            bytes_out, busy_ns, idle_ended, unsent;
        struct histogram handling;
    } places = {0, 0, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, {.buckets = {[3] = 7}}};
    _cleanup_free_ char *bytes = NULL;
    size_t size;

    (void)state;
    listener.settings = make_settings("one");
    memcpy(&listener.totals, &places, sizeof(places));
    assert_int_equal(sizeof(places), offsetof(struct counter_sums, denied));
    assert_int_equal(listener.totals.accepted, 11);
    assert_int_equal(listener.totals.busy_ns, 19);
    assert_int_equal(upgrade_state_pack(&counted, &bytes, &size), 0);
    assert_non_null(memmem(bytes, size, &places, sizeof(places)));
    assert_int_equal(upgrade_state_unpack(bytes, size, &back), 0);
    assert_memory_equal(&back.listeners[0].totals, &places, sizeof(places));
    upgrade_state_done(&back);
    settings_unref(listener.settings);
}

/* Programs that knew only the first rows neither write the others nor find them missing. */
static void
later_counters_come_back(void **state)
{
    struct upgrade_listener listeners[2] = {{0}};
    struct upgrade_state counted = {.listeners = listeners, .listener_count = 2}, back;
    _cleanup_free_ char *bytes = NULL, *fewer = NULL;
    /* which extra, how many, and those of two listeners */
    const size_t later = sizeof(uint64_t) * (2 + 2 * (COUNTER_COUNT - COUNTERS_FIRST));
    size_t size, fewer_size;

    (void)state;
    listeners[0].settings = make_settings("one");
    listeners[1].settings = make_settings("two");
    assert_int_equal(upgrade_state_pack(&counted, &fewer, &fewer_size), 0);
    listeners[1].totals.denied = 42;
    listeners[0].totals.unannounced = 43;
    assert_int_equal(upgrade_state_pack(&counted, &bytes, &size), 0);
    assert_int_equal(size, fewer_size + later);
    assert_int_equal(upgrade_state_unpack(bytes, size, &back), 0);
    assert_int_equal(back.listeners[0].totals.denied, 0);
    assert_int_equal(back.listeners[1].totals.denied, 42);
    assert_int_equal(back.listeners[0].totals.unannounced, 43);
    upgrade_state_done(&back);
    settings_unref(listeners[0].settings);
    settings_unref(listeners[1].settings);
}

static struct access_list *
make_table(const char *text)
{
    struct networks_builder builder = {0};
    const struct network_item item = {.text = text, .deny = true, .file = "a.conf", .line = 3};
    struct networks *networks;
    char *problem = NULL;

    assert_int_equal(networks_add(&builder, &item, network_id_number, &problem), 0);
    assert_int_equal(networks_build(&builder, &networks), 0);
    networks_builder_done(&builder);
    return access_list_new(networks);
}

static void
give_list(const struct settings *settings, const char *text, struct access_list *table)
{
    struct settings *given = (struct settings *)settings;
    struct errors errors = {0};

    settings_set(given, "deny", &(struct given){.text = text}, &errors);
    assert_false(errors_any(&errors));
    settings_give_access(settings, table);
}

/* One table for both listeners and all generations is written once. */
static void
access_lists_come_back(void **state)
{
    struct access_list *table = make_table("192.0.2.0/24");
    _cleanup_free_ char *bytes = NULL;
    struct upgrade_state with, back;
    struct network_item item;
    size_t size;

    (void)state;
    fill(&with);
    give_list(with.listeners[0].settings, "192.0.2.0/24", table);
    give_list(with.listeners[1].settings, "192.0.2.0/24", table);
    assert_int_equal(upgrade_state_pack(&with, &bytes, &size), 0);
    const char *first = memmem(bytes, size, "a.conf", 7);
    assert_non_null(first);
    assert_null(memmem(first + 7, (size_t)(bytes + size - first - 7), "a.conf", 7));
    assert_int_equal(upgrade_state_unpack(bytes, size, &back), 0);
    const struct settings *generations = back.listeners[0].generations[1].settings;
    assert_ptr_equal(back.listeners[0].settings->access, back.listeners[1].settings->access);
    assert_ptr_equal(generations->access, back.listeners[1].settings->access);
    assert_true(settings_equal(with.listeners[1].settings, back.listeners[1].settings));
    networks_item(access_list_networks(generations->access), 0, &item);
    assert_string_equal(item.text, "192.0.2.0/24");
    assert_int_equal(item.line, 3);
    upgrade_state_done(&back);
    for (size_t cut = 0; cut < size; cut++) /* never lists without their table */
        assert_int_equal(upgrade_state_unpack(bytes, cut, &back), -EBADMSG);
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 1;
        if (upgrade_state_unpack(bytes, size, &back) == 0)
            upgrade_state_done(&back);
        bytes[i] ^= 1;
    }
    upgrade_state_done(&with);
    access_list_unref(table);
}

static struct tls_bundle *
make_bundle(void)
{
    const struct tls_text text = {.bytes = "A KEY", .size = 5, .path = "/k", .file = "a.conf"};
    const struct tls_certificate certificate = {.certificate = text, .key = text};
    struct record_writer writer = {0};
    struct tls_bundle *bundle;
    char *bytes;
    size_t size;

    tls_bundle_begin(&writer);
    tls_bundle_add(&writer, &certificate);
    tls_bundle_end(&writer, &(struct tls_text){0}, &(struct tls_text){0});
    assert_int_equal(record_finish(&writer, &bytes, &size), 0);
    assert_int_equal(tls_bundle_copy(bytes, size, &bundle), 0);
    free(bytes);
    return bundle;
}

static void
give_tls(const struct settings *settings, struct tls_bundle *bundle)
{
    struct errors errors = {0};

    settings_set((struct settings *)settings, "tls.tickets", &(struct given){.text = "true"},
                 &errors);
    assert_false(errors_any(&errors));
    settings_give_tls(settings, bundle);
}

static void
fill_tls(struct upgrade_state *state)
{
    struct tls_bundle *bundle = make_bundle();

    fill(state);
    struct upgrade_tls *tls = &state->listeners[0].tls;
    give_tls(state->listeners[0].settings, bundle);
    give_tls(state->listeners[1].settings, bundle);
    tls_bundle_unref(bundle);
    tls->known = tls->ktls = true;
    tls->ends = 1900000000;
    tls->path = strdup("/c");
    tls->tickets.count = 2;
    memset(&tls->tickets.keys[0].key, 'k', sizeof(struct ticket_key));
    memset(&tls->tickets.keys[1].key, 'l', sizeof(struct ticket_key));
    tls->tickets.keys[1].made_sec = 77;
}

/* Files that both listeners have are written once; keys of tickets are each listener's own. */
static void
files_and_keys_of_tls_come_back(void **state)
{
    _cleanup_free_ char *bytes = NULL;
    struct upgrade_state with, back;
    size_t size;

    (void)state;
    fill_tls(&with);
    assert_int_equal(upgrade_state_pack(&with, &bytes, &size), 0);
    assert_int_equal(upgrade_state_unpack(bytes, size, &back), 0);
    const struct settings *generations = back.listeners[0].generations[1].settings;
    assert_non_null(back.listeners[1].settings->tls_files);
    assert_ptr_equal(back.listeners[0].settings->tls_files, back.listeners[1].settings->tls_files);
    assert_ptr_equal(generations->tls_files, back.listeners[1].settings->tls_files);
    assert_true(settings_equal(with.listeners[1].settings, back.listeners[1].settings));
    const struct upgrade_tls *tls = &back.listeners[0].tls;
    assert_true(tls->known && tls->ktls);
    assert_int_equal(tls->ends, 1900000000);
    assert_string_equal(tls->path, "/c");
    assert_int_equal(tls->tickets.count, 2);
    assert_memory_equal(&tls->tickets, &with.listeners[0].tls.tickets, sizeof(tls->tickets));
    assert_int_equal(back.listeners[1].tls.tickets.count, 0);
    assert_null(back.listeners[1].tls.path);
    upgrade_state_done(&back);
    for (size_t cut = 0; cut < size; cut++) /* never TLS without its files */
        assert_int_equal(upgrade_state_unpack(bytes, cut, &back), -EBADMSG);
    for (size_t i = size - 700; i < size; i++) {
        bytes[i] ^= 1;
        if (upgrade_state_unpack(bytes, size, &back) == 0)
            upgrade_state_done(&back);
        bytes[i] ^= 1;
    }
    upgrade_state_done(&with);
}

/* A later program may say more at the end of the record: it stands behind its size. */
static void
more_about_tls_is_passed_over(void **state)
{
    _cleanup_free_ char *bytes = NULL, *without = NULL, *longer = NULL;
    struct upgrade_state with, back;
    size_t size, without_size;
    uint64_t record;

    (void)state;
    fill_tls(&with);
    assert_int_equal(upgrade_state_pack(&with, &bytes, &size), 0);
    upgrade_state_done(&with);
    fill(&with);
    give_tls(with.listeners[0].settings, NULL);
    give_tls(with.listeners[1].settings, NULL);
    assert_int_equal(upgrade_state_pack(&with, &without, &without_size), 0);
    upgrade_state_done(&with);
    longer = malloc(size + 24);
    memcpy(longer, bytes, size);
    memset(longer + size, 'x', 24);
    memcpy(&record, longer + without_size + sizeof(uint64_t),
           sizeof(record)); /* behind its number */
    assert_int_equal(record, size - without_size - 2 * sizeof(uint64_t));
    assert_int_equal(upgrade_state_unpack(longer, size + 24, &back), -EBADMSG);
    record += 24;
    memcpy(longer + without_size + sizeof(uint64_t), &record, sizeof(record));
    assert_int_equal(upgrade_state_unpack(longer, size + 24, &back), 0);
    assert_int_equal(back.listeners[0].tls.tickets.count, 2);
    upgrade_state_done(&back);
}

static void
an_empty_state_comes_back(void **state)
{
    struct upgrade_state nothing = {0}, back;
    _cleanup_free_ char *bytes = NULL;
    size_t size;

    (void)state;
    assert_int_equal(upgrade_state_pack(&nothing, &bytes, &size), 0);
    assert_int_equal(upgrade_state_unpack(bytes, size, &back), 0);
    assert_int_equal(back.listener_count, 0);
    upgrade_state_done(&back);
}

/* A program that knew none has left it out. */
static void
a_log_level_comes_back(void **state)
{
    struct upgrade_state with = {.log_level = LOG_DEBUG + 1}, without = {0}, back;
    _cleanup_free_ char *bytes = NULL, *fewer = NULL;
    size_t size, fewer_size;

    (void)state;
    assert_int_equal(upgrade_state_pack(&with, &bytes, &size), 0);
    assert_int_equal(upgrade_state_pack(&without, &fewer, &fewer_size), 0);
    assert_int_equal(fewer_size, size);
    fewer_size -= sizeof(uint64_t[3]); /* the level, and behind it the control socket's two */
    assert_memory_equal(bytes, fewer, fewer_size);
    assert_int_equal(upgrade_state_unpack(bytes, size, &back), 0);
    assert_int_equal(back.log_level, LOG_DEBUG + 1);
    upgrade_state_done(&back);
    assert_int_equal(upgrade_state_unpack(bytes, fewer_size, &back), 0);
    assert_int_equal(back.log_level, 0);
    upgrade_state_done(&back);
    bytes[fewer_size]++; /* no such level */
    assert_int_equal(upgrade_state_unpack(bytes, size, &back), -EBADMSG);
}

static void
the_control_socket_comes_back(void **state)
{
    struct upgrade_state with = {.control = 17, .control_path = 18}, back;
    _cleanup_free_ char *bytes = NULL;
    size_t size;

    (void)state;
    assert_int_equal(upgrade_state_pack(&with, &bytes, &size), 0);
    assert_int_equal(upgrade_state_unpack(bytes, size, &back), 0);
    assert_int_equal(back.control, 17);
    assert_int_equal(back.control_path, 18);
    upgrade_state_done(&back);
    assert_int_equal(upgrade_state_unpack(bytes, size - sizeof(uint64_t[2]), &back), 0);
    assert_int_equal(back.control, 0);
    assert_int_equal(back.control_path, 0);
    upgrade_state_done(&back);
}

static void
fill_kept(struct upgrade_state *state)
{
    fill(state);
    struct upgrade_kept *kept = &state->listeners[1].kept;
    kept->plugin_file = strdup("/plugins/counter.so");
    for (kept->count = 0; kept->count < KEPT_MOST; kept->count++) {
        struct upgrade_kept_fd *one = &kept->fds[kept->count];
        (void)memset(one->name, 'a' + (int)kept->count % 26, 1 + kept->count);
        one->fd = 20 + (int)kept->count;
    }
    kept->area_count = 2;
    kept->areas[0] = (struct upgrade_kept_area){.size = 4096, .fd = 70};
    kept->areas[1] = (struct upgrade_kept_area){.size = UINT64_C(1) << 40, .fd = 71};
}

static void
what_plugins_keep_comes_back(void **state)
{
    _cleanup_free_ char *bytes = NULL;
    struct upgrade_state with, back;
    size_t size;

    (void)state;
    fill_kept(&with);
    const struct upgrade_kept *wanted = &with.listeners[1].kept;
    assert_int_equal(upgrade_state_pack(&with, &bytes, &size), 0);
    assert_int_equal(upgrade_state_unpack(bytes, size, &back), 0);
    const struct upgrade_kept *kept = &back.listeners[1].kept;
    assert_null(back.listeners[0].kept.plugin_file);
    assert_string_equal(kept->plugin_file, "/plugins/counter.so");
    assert_int_equal(kept->count, KEPT_MOST);
    assert_memory_equal(kept->fds, wanted->fds, sizeof(kept->fds));
    assert_int_equal(kept->area_count, 2);
    assert_int_equal(kept->areas[1].size, wanted->areas[1].size);
    assert_int_equal(kept->areas[1].fd, 71);
    upgrade_state_done(&back);
    size_t rest = 4000;
    for (size_t cut = size - rest; cut < size; cut++) {
        _cleanup_free_ char *part = malloc(cut + 1); /* so that a sanitizer sees any excess */
        memcpy(part, bytes, cut);
        if (upgrade_state_unpack(part, cut, &back) == 0)
            upgrade_state_done(&back); /* of programs that knew less */
    }
    for (size_t i = size - rest; i < size; i++) {
        bytes[i] ^= (char)0xff;
        if (upgrade_state_unpack(bytes, size, &back) == 0)
            upgrade_state_done(&back);
        bytes[i] ^= (char)0xff;
    }
    upgrade_state_done(&with);
}

/* A name without its end, one descriptor or area too many. */
static void
kept_things_are_not_believed_blindly(void **state)
{
    _cleanup_free_ char *bytes = NULL;
    struct upgrade_state with, back;
    size_t size;

    (void)state;
    fill_kept(&with);
    assert_int_equal(upgrade_state_pack(&with, &bytes, &size), 0);
    upgrade_state_done(&with);
    char *file = memmem(bytes, size, "/plugins/counter.so", 20), *count = file + 20;
    assert_non_null(file);
    memset(count + 8, 'x', KEPT_NAME_SIZE);
    assert_int_equal(upgrade_state_unpack(bytes, size, &back), -EBADMSG);
    count[8 + KEPT_NAME_SIZE - 1] = '\0';
    assert_int_equal(upgrade_state_unpack(bytes, size, &back), 0);
    upgrade_state_done(&back);
    memcpy(count, &(uint64_t){KEPT_MOST + 1}, 8);
    assert_int_equal(upgrade_state_unpack(bytes, size, &back), -EBADMSG);
    memcpy(count, &(uint64_t){KEPT_MOST}, 8);
    file[19] = 'x';
    assert_int_equal(upgrade_state_unpack(bytes, size, &back), -EBADMSG);
}

static void
another_version_is_refused(void **state)
{
    _cleanup_free_ char *bytes = NULL;
    struct upgrade_state back;
    size_t size;

    (void)state;
    pack(&bytes, &size);
    char *version = strstr(bytes, "hand-over 1");
    assert_non_null(version);
    version[strlen("hand-over ")] = '2';
    assert_int_equal(upgrade_state_unpack(bytes, size, &back), -EPROTO);
}

static void
every_truncation_is_refused(void **state)
{
    _cleanup_free_ char *bytes = NULL;
    struct upgrade_state back;
    size_t size, accepted = 0;

    (void)state;
    pack(&bytes, &size);
    for (size_t cut = 0; cut < size; cut++) {
        _cleanup_free_ char *part = malloc(cut + 1); /* so that a sanitizer sees any excess */
        memcpy(part, bytes, cut);
        int r = upgrade_state_unpack(part, cut, &back);
        if (r == 0)
            upgrade_state_done(&back);
        else
            assert_int_equal(r, -EBADMSG);
        accepted += r == 0;
    }
    /* Of programs that knew no numbers of requests, no control socket, no log pipes, and no log
     * level. */
    assert_int_equal(accepted, 4);
}

static void
what_follows_is_refused(void **state)
{
    _cleanup_free_ char *bytes = NULL;
    struct upgrade_state back;
    size_t size;

    (void)state;
    pack(&bytes, &size);
    bytes = realloc(bytes, size + 8);
    memset(bytes + size, 0, 8);
    assert_int_equal(upgrade_state_unpack(bytes, size + 8, &back), -EBADMSG);
}

static void
no_changed_byte_does_harm(void **state)
{
    _cleanup_free_ char *bytes = NULL;
    size_t size, understood = 0;

    (void)state;
    pack(&bytes, &size);
    for (size_t i = 0; i < size; i++) {
        struct upgrade_state back;
        char was = bytes[i];
        bytes[i] = (char)(was ^ 0xff);
        if (upgrade_state_unpack(bytes, size, &back) == 0) {
            understood++; /* another number than before */
            upgrade_state_done(&back);
        }
        bytes[i] = was;
    }
    assert_true(understood > 0 && understood < size);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_comes_back),
        cmocka_unit_test(files_and_keys_of_tls_come_back),
        cmocka_unit_test(more_about_tls_is_passed_over),
        cmocka_unit_test(an_empty_state_comes_back),
        cmocka_unit_test(later_counters_come_back),
        cmocka_unit_test(access_lists_come_back),
        cmocka_unit_test(counters_come_back_from_the_places_they_always_had),
        cmocka_unit_test(a_log_level_comes_back),
        cmocka_unit_test(the_control_socket_comes_back),
        cmocka_unit_test(what_plugins_keep_comes_back),
        cmocka_unit_test(kept_things_are_not_believed_blindly),
        cmocka_unit_test(another_version_is_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(what_follows_is_refused),
        cmocka_unit_test(no_changed_byte_does_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
