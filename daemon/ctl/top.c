/* SPDX-License-Identifier: MIT */
/*
 * top.c - status, live, and the requests that have run longest
 *
 * The command draws once a second on the terminal's alternate screen, and leaves
 * the terminal as it was, however it ends.
 *
 * Runs in:  sockserverctl.
 * Owns:     the terminal's settings, meanwhile.
 * Failures: a daemon that does not answer is shown and asked again.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/control_interface.h"
#include "ctl/connection.h"
#include "ctl/ctl.h"
#include "ctl/status.h"
#include "ctl/text.h"

#define PERIOD_MS     1000
#define REQUESTS_MOST 100

#define SCREEN_OPEN  "\033[?1049h\033[?25l" /* alternate screen, no cursor */
#define SCREEN_CLOSE "\033[?25h\033[?1049l"
#define SCREEN_HOME  "\033[H"
#define LINE_END     "\033[K\r\n"
#define SCREEN_REST  "\033[J"

struct top {
    const struct ctl_arguments *arguments;
    struct termios before;
    struct connection connection;
    json_t *status, *requests; /* replies; NULL: none yet */
    double when;               /* status was asked */
    int error;
};

static volatile sig_atomic_t ended;

static void
note_signal(int number)
{
    ended |= number != SIGWINCH; /* that one only ends the wait */
}

/* ---- asking --------------------------------------------------------------------------------- */

static int
ask(struct top *top, const char *method, json_t *parameters, json_t **at)
{
    json_t *reply = NULL;
    int r = connection_call(&top->connection, method, parameters, CONNECTION_QUICK, &reply);

    if (r == 0 && json_object_get(reply, "error") != NULL) {
        json_decref(reply);
        r = -EBADMSG;
    }
    if (r == 0) {
        json_decref(*at);
        *at = reply;
    }
    return r;
}

static const json_t *
find_listener(const json_t *status, const char *name)
{
    const json_t *listener;
    size_t i;

    json_array_foreach(json_object_get(status, "listeners"), i, listener)
    {
        const char *other = json_string_value(json_object_get(listener, "name"));
        if (other != NULL && strcmp(other, name) == 0)
            return listener;
    }
    return NULL;
}

/* Computes the rate between our last two looks, which is fresher than the daemon's. */
static void
update_rates(const json_t *before, json_t *now, double seconds)
{
    json_t *listener;
    size_t i;

    json_array_foreach(json_object_get(now, "listeners"), i, listener)
    {
        const char *name = json_string_value(json_object_get(listener, "name"));
        const json_t *earlier = name == NULL ? NULL : find_listener(before, name);
        uint64_t accepted = count_member(listener, "accepted");
        uint64_t before_that = count_member(earlier, "accepted");
        if (earlier != NULL && accepted >= before_that && seconds > 0.1)
            (void)json_object_set_new(listener, "accepted_per_second",
                                      json_real((double)(accepted - before_that) / seconds));
    }
}

static int
ask_all(struct top *top)
{
    json_t *before = json_incref(top->status);
    double when = (double)monotonic_now() / 1e9;
    int r = 0;

    if (top->connection.fd < 0)
        r = connection_open(top->arguments->socket, &top->connection);
    if (r == 0)
        r = ask(top, CONTROL_INTERFACE ".GetStatus", NULL, &top->status);
    if (r == 0)
        r = ask(top, CONTROL_INTERFACE ".GetRequests", json_pack("{s:i}", "limit", REQUESTS_MOST),
                &top->requests);
    if (r < 0)
        connection_close(&top->connection);
    else if (before != NULL)
        update_rates(json_object_get(before, "parameters"),
                     json_object_get(top->status, "parameters"), when - top->when);
    json_decref(before);
    if (r == 0)
        top->when = when;
    return r;
}

/* ---- drawing -------------------------------------------------------------------------------- */

/* Draws two tables into so many lines. The requests get what the listeners leave, at least three
 * rows. */
static void
draw_tables(const struct top *top, const struct terminal *terminal, FILE *out)
{
    struct table listeners, requests;
    size_t lines = terminal->height > 12 ? terminal->height - 4 : 8;

    status_fill(&listeners, json_object_get(top->status, "parameters"));
    requests_fill(&requests, json_object_get(top->requests, "parameters"));
    while (table_lines(&listeners, terminal->width) + 5 > lines && listeners.row_count > 1)
        table_cut(&listeners, listeners.row_count - 1);
    size_t used = table_lines(&listeners, terminal->width) + 2;
    table_print(&listeners, out, terminal->width, terminal->colours, LINE_END);
    (void)fputs(LINE_END, out);
    table_cut(&requests, lines > used ? lines - used : 3);
    table_print(&requests, out, terminal->width, terminal->colours, LINE_END);
    table_done(&listeners);
    table_done(&requests);
}

static void
draw(const struct top *top)
{
    struct terminal terminal = terminal_look();
    _cleanup_free_ char *screen = NULL;
    size_t size;
    FILE *out = open_memstream(&screen, &size);

    if (out == NULL)
        return;
    (void)fputs(SCREEN_HOME, out);
    if (top->status != NULL)
        status_headline(json_object_get(top->status, "parameters"), out);
    (void)fputs(LINE_END, out);
    if (top->error < 0)
        (void)fprintf(out, "%s%s: %s; asking again (q quits)%s",
                      colour_code(COLOUR_RED, terminal.colours), top->arguments->socket,
                      strerror(-top->error), colour_code(COLOUR_NONE, terminal.colours));
    (void)fputs(LINE_END, out);
    if (top->status != NULL)
        draw_tables(top, &terminal, out);
    (void)fputs(SCREEN_REST, out);
    (void)fclose(out);
    (void)fwrite(screen, 1, size, stdout);
    (void)fflush(stdout);
}

/* ---- the terminal ---------------------------------------------------------------------------- */

static int
open_screen(struct top *top)
{
    struct sigaction note = {.sa_handler = note_signal};
    struct termios settings;

    if (tcgetattr(STDIN_FILENO, &top->before) < 0)
        return -errno;
    for (size_t i = 0; i < 4; i++)
        (void)sigaction((const int[]){SIGINT, SIGTERM, SIGHUP, SIGWINCH}[i], &note, NULL);
    settings = top->before;
    settings.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &settings);
    (void)fputs(SCREEN_OPEN, stdout);
    return 0;
}

static void
close_screen(const struct top *top)
{
    (void)fputs(SCREEN_CLOSE, stdout);
    (void)fflush(stdout);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &top->before);
}

/* Waits for the next turn, or until somebody quits or the terminal changes its size. */
static void
wait_for_turn(void)
{
    struct pollfd keys = {.fd = STDIN_FILENO, .events = POLLIN};
    char key = 0;

    if (poll(&keys, 1, PERIOD_MS) <= 0)
        return;
    if (read(STDIN_FILENO, &key, 1) <= 0 || key == 'q' || key == 'Q')
        ended = 1;
}

enum ctl_result
ctl_top(const struct ctl_arguments *arguments)
{
    struct top top = {.arguments = arguments, .connection = CONNECTION_CLOSED};

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        (void)fputs("sockserverctl: top needs a terminal; status --json is for programs\n", stderr);
        return CTL_FAILED;
    }
    int r = ask_all(&top); /* whoever cannot be reached at all is said plainly */
    if (r < 0)
        return complain_unreachable(arguments->socket, r);
    if (open_screen(&top) < 0)
        return CTL_FAILED;
    while (!ended) {
        draw(&top);
        wait_for_turn();
        if (!ended)
            top.error = ask_all(&top);
    }
    close_screen(&top);
    connection_close(&top.connection);
    json_decref(top.status);
    json_decref(top.requests);
    return CTL_FINE;
}
