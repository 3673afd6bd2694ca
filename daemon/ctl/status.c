/* SPDX-License-Identifier: MIT */
/*
 * status.c - the command status: the table, one listener in full, or JSON
 *
 * Runs in:  sockserverctl.
 * Owns:     nothing.
 * Failures: said on standard error.
 */
#include "ctl/status.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "common/control_interface.h"
#include "common/counters.h"
#include "ctl/connection.h"
#include "ctl/ctl.h"
#include "ctl/text.h"

#define PLAIN_WIDTH_LEAST 40
#define DAY_SEC           86400

/* ---- one listener in full -------------------------------------------------------------------- */

static void
print_line(const char *title, const char *text)
{
    (void)printf("%14s  ", title);
    print_clean(stdout, *text == '\0' ? "-" : text);
    (void)putchar('\n');
}

static void
print_shown(const json_t *listener, const char *title,
            void (*function)(const json_t *listener, char *buffer))
{
    char text[SHOW_SIZE];

    function(listener, text);
    print_line(title, text);
}

/* Prints every counter of one unit: "7 accepted, 0 refused", "12 bytes in, 9 bytes out". */
static void
print_counters(const json_t *listener, const char *title, enum counter_unit unit)
{
    char text[512] = "";

    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        const char *name = counter_table[i].name;
        if (counter_table[i].unit == unit)
            (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%" PRIu64 " %s",
                           *text == '\0' ? "" : ", ", count_member(listener, name), name);
    }
    for (char *place = text; (place = strchr(place, '_')) != NULL;)
        *place = ' ';
    print_line(title, text);
}

/* Of what went wrong it says what the word means; what went well needs none. */
static void
print_legend(const json_t *listener)
{
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        const struct counter *counter = &counter_table[i];
        bool usual = strcmp(counter->name, "accepted") == 0 || strcmp(counter->name, "done") == 0;
        char text[256], name[32];
        if (counter->unit != COUNTER_REQUESTS || usual ||
            count_member(listener, counter->name) == 0)
            continue;
        (void)snprintf(name, sizeof(name), "%s", counter->name);
        for (char *place = name; (place = strchr(place, '_')) != NULL;)
            *place = ' ';
        (void)snprintf(text, sizeof(text), "(%s: %s)", name, counter->help);
        print_line("", text);
    }
}

static void
print_times(const json_t *listener, const char *title, const char *member)
{
    const json_t *times = json_object_get(listener, member);
    char text[128] = "-", p50[TEXT_SIZE], p99[TEXT_SIZE];

    if (number_member(times, "p50_us") >= 0)
        (void)snprintf(text, sizeof(text), "p50 %s, p99 %s, of %" PRIu64 " requests",
                       text_time(number_member(times, "p50_us"), p50),
                       text_time(number_member(times, "p99_us"), p99),
                       count_member(times, "count"));
    print_line(title, text);
}

static void
print_workers(const json_t *listener)
{
    const json_t *workers = json_object_get(listener, "workers"), *worker;
    char text[256] = "";
    size_t i;

    json_array_foreach(workers, i, worker)(void)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%" JSON_INTEGER_FORMAT,
                 i == 0 ? "" : " ", json_integer_value(worker));
    print_line("workers", text);
}

/* Prints "2026-12-24 (in 26 days), PATH". */
static void
print_certificate(const json_t *tls)
{
    const char *path = text_member(tls, "certificate");
    time_t ends = (time_t)count_member(tls, "expires"), now = time(NULL);
    char date[32] = "?", text[4200];
    struct tm parts;

    if (*path == '\0')
        return;
    if (gmtime_r(&ends, &parts) != NULL)
        (void)strftime(date, sizeof(date), "%Y-%m-%d", &parts);
    if (ends > now)
        (void)snprintf(text, sizeof(text), "until %s (%" PRIu64 " days), %s", date,
                       (uint64_t)(ends - now) / DAY_SEC, path);
    else
        (void)snprintf(text, sizeof(text), "EXPIRED on %s, %s", date, path);
    print_line("certificate", text);
}

static void
print_tls(const json_t *listener)
{
    const json_t *tls = json_object_get(listener, "tls"), *ktls = json_object_get(tls, "ktls");

    if (tls == NULL)
        return;
    print_line("TLS", json_is_true(ktls) ? "yes, the kernel encrypts" : "yes");
    print_certificate(tls);
}

static void
print_listener(const json_t *listener)
{
    print_shown(listener, "name", show_name);
    print_shown(listener, "state", show_state);
    print_shown(listener, "for", show_uptime);
    if (*text_member(listener, "problem") != '\0')
        print_line("last problem", text_member(listener, "problem"));
    print_line("address", text_member(listener, "address"));
    print_line("plugin", text_member(listener, "plugin"));
    print_line("mixin", text_member(listener, "mixin"));
    print_tls(listener);
    print_shown(listener, "generation", show_generation);
    print_workers(listener);
    print_shown(listener, "restarts", show_restarts);
    print_shown(listener, "active", show_active);
    print_shown(listener, "queue", show_queue);
    print_shown(listener, "accepted/s", show_rate);
    print_counters(listener, "requests", COUNTER_REQUESTS);
    print_legend(listener);
    print_counters(listener, "traffic", COUNTER_BYTES);
    print_times(listener, "last minute", "recent");
    print_times(listener, "since start", "total");
}

/* ---- the command ---------------------------------------------------------------------------- */

struct terminal
terminal_look(void)
{
    struct terminal terminal = {.height = 24};
    const char *wanted = getenv("COLUMNS"), *no_colour = getenv("NO_COLOR");
    struct winsize size;

    if (isatty(STDOUT_FILENO)) {
        terminal.width = 80;
        terminal.colours = no_colour == NULL || *no_colour == '\0';
        if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
            terminal.width = size.ws_col;
            terminal.height = size.ws_row;
        }
    }
    if (wanted != NULL && strtoul(wanted, NULL, 10) >= PLAIN_WIDTH_LEAST)
        terminal.width = strtoul(wanted, NULL, 10);
    return terminal;
}

static enum ctl_result
print_status(const json_t *status, const struct ctl_arguments *arguments)
{
    struct terminal terminal = terminal_look();
    struct table table;

    if (arguments->json) {
        (void)json_dumpf(status, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        (void)putchar('\n');
    } else if (arguments->operand != NULL) {
        print_listener(json_array_get(json_object_get(status, "listeners"), 0));
    } else {
        status_fill(&table, status);
        table_print(&table, stdout, terminal.width, terminal.colours, "\n");
        table_done(&table);
    }
    return CTL_FINE;
}

enum ctl_result
ctl_status(const struct ctl_arguments *arguments)
{
    json_t *status = NULL, *parameters = NULL;

    if (arguments->operand != NULL)
        parameters = json_pack("{s:s}", "listener", arguments->operand);
    enum ctl_result result =
        call_once(arguments, CONTROL_INTERFACE ".GetStatus", parameters, CONNECTION_QUICK, &status);
    if (status != NULL)
        result = print_status(status, arguments);
    json_decref(status);
    return result;
}
