/* SPDX-License-Identifier: MIT */
/*
 * listener_generations.c - the generations of a listener, and exchanging them
 *
 * One is present. Another may be prepared beside it, and takes its place by
 * listener_commit(). Those that leave are watched until their last request.
 *
 * Runs in:  the supervisor.
 * Owns:     what is prepared, until it is committed or discarded.
 * Failures: of preparing: returned, or told to whoever prepares.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/listener/listener_private.h"
#include "supervisor/socket/socket_change.h"

/* Every generation leaves one day, and that must not fail. */
int
listener_make_room(struct listener *listener)
{
    size_t others =
        listener->leaving_count + (listener->present != NULL) + (listener->next != NULL);
    struct generation **leaving =
        reallocarray(listener->leaving, others + 1, sizeof(struct generation *));

    if (leaving == NULL)
        return -ENOMEM;
    listener->leaving = leaving;
    return 0;
}

static void
note_numbers(const struct listener *listener)
{
    if (listener->present != NULL)
        generation_note_numbers(listener->present);
    for (size_t i = 0; i < listener->leaving_count; i++)
        generation_note_numbers(listener->leaving[i]);
}

/* A table lasts as long as the listener. */
static int
make_sources(struct listener *listener, const struct settings *settings)
{
    if (listener->sources != NULL || !settings_limit_sources(settings))
        return 0;
    return source_table_new(listener->host->event, &listener->sources);
}

/* Another plugin begins with nothing; that of the present generation stays as it is meanwhile. */
int
listener_find_kept(struct listener *listener, const struct settings *settings, struct kept **ret)
{
    const char *file = settings->plugin_file != NULL ? settings->plugin_file : settings->plugin;

    if (file == NULL)
        file = "";
    if (!kept_is_for(listener->kept, file))
        return kept_new(file, ret);
    *ret = kept_ref(listener->kept);
    return 0;
}

void
listener_take_kept(struct listener *listener)
{
    struct kept *kept = kept_ref(generation_kept(listener->present));

    kept_unref(listener->kept);
    listener->kept = kept;
}

int
listener_new_generation(struct listener *listener, const struct settings *settings,
                        const struct spawn_options *spawn, struct generation **ret)
{
    int r = make_sources(listener, settings);
    struct generation_setup setup = {
        .event = listener->host->event,
        .settings = settings,
        .spawn = spawn,
        .number = listener->number + 1,
        .totals = &listener->totals,
        .numbers = &listener->numbers,
        .sources = listener->sources,
        .handler = listener_on_process,
        .userdata = listener,
    };

    if (r == 0)
        r = listener_make_room(listener);
    note_numbers(listener);
    if (r == 0)
        r = listener_tls_prepare(&listener->tls, setup.event, settings, &setup.tickets);
    if (r == 0)
        r = listener_find_kept(listener, settings, &setup.kept);
    if (r == 0)
        r = generation_new(&setup, ret);
    kept_unref(setup.kept); /* it is the generation's now */
    if (r == 0)
        listener->number++;
    return r;
}

/* ---- generations that leave ----------------------------------------------------------- */

void
listener_let_leave(struct listener *listener, struct generation *generation)
{
    listener->leaving[listener->leaving_count++] = generation; /* listener_make_room() */
    for (size_t i = 0; i + DRAINING_MAX < listener->leaving_count; i++)
        generation_cut(listener->leaving[i]);
}

bool
listener_leaving_have_stopped(const struct listener *listener)
{
    for (size_t i = 0; i < listener->leaving_count; i++)
        if (!generation_has_stopped(listener->leaving[i]))
            return false;
    return true;
}

static bool
uses_area(uint64_t size, void *userdata)
{
    const struct listener *listener = userdata;
    bool used = generation_uses_area(listener->present, size) ||
                (listener->next != NULL && generation_uses_area(listener->next, size));

    for (size_t i = 0; i < listener->leaving_count && !used; i++)
        used = generation_uses_area(listener->leaving[i], size);
    return used;
}

/* Shared memory of another size, which an earlier generation had, or one that failed. While no
 * worker of the present one runs, nobody knows which it is. */
static void
trim_areas(struct listener *listener)
{
    if (listener->present != NULL && generation_uses_area(listener->present, 0))
        kept_trim_areas(listener->kept, uses_area, listener);
}

void
listener_forget_the_gone(struct listener *listener)
{
    size_t kept = 0;

    for (size_t i = 0; i < listener->leaving_count; i++)
        if (generation_is_empty(listener->leaving[i]))
            generation_free(listener->leaving[i]);
        else
            listener->leaving[kept++] = listener->leaving[i];
    listener->leaving_count = kept;
    trim_areas(listener);
}

struct generation *
listener_dismiss(struct listener *listener)
{
    struct generation *generation = listener->present;

    listener->present = NULL;
    if (generation != NULL)
        listener_let_leave(listener, generation);
    return generation;
}

/* ---- another generation -------------------------------------------------------------------- */

int
listener_prepare(struct listener *listener, const struct listener_preparation *preparation,
                 struct listening_socket *socket)
{
    if (listener->next != NULL)
        return -EBUSY;
    if (socket == NULL)
        (void)listener_look_at_socket(listener);
    listener->next_settings = settings_ref(preparation->settings);
    int r = listener_new_generation(listener, preparation->settings, preparation->spawn,
                                    &listener->next);
    if (r == 0)
        r = generation_start_missing(listener->next, socket == NULL ? &listener->socket : socket);
    if (r < 0) {
        listener_discard(listener);
        return r;
    }
    if (socket != NULL) {
        listener->next_socket = *socket;
        *socket = LISTENING_SOCKET_NONE;
    }
    listener->prepared = preparation->prepared;
    listener->prepared_userdata = preparation->userdata;
    return 0;
}

void
listener_discard(struct listener *listener)
{
    struct generation *generation = listener->next;

    listener->next = NULL;
    settings_unref(listener->next_settings);
    listener->next_settings = NULL;
    socket_close(&listener->next_socket);
    if (generation == NULL)
        return;
    generation_cut(generation);
    listener_let_leave(listener, generation);
    listener_proceed(listener);
}

/* Moves the listener to its next socket. Whether the old generation shall answer the old socket's
 * queue. */
static bool
move_socket(struct listener *listener)
{
    bool answer_queue = socket_freeze(&listener->socket);

    socket_give_up(&listener->former);
    listener->former = listener->socket;
    listener->socket = listener->next_socket;
    listener->next_socket = LISTENING_SOCKET_NONE;
    return answer_queue;
}

void
listener_commit(struct listener *listener)
{
    struct generation *next = listener->next;
    bool moves = listener->next_socket.fd >= 0, answer_queue = false;

    if (next == NULL)
        return;
    listener_retry_no_more(listener);
    listener_look_up_no_more(listener);
    listener->backoff = (struct backoff){0};
    settings_unref(listener->settings);
    listener->settings = listener->next_settings;
    listener->next_settings = NULL;
    listener->next = NULL;
    listener->goal = GOAL_SERVE;
    listener->start_again = false;
    if (moves)
        answer_queue = move_socket(listener);
    struct generation *old = listener_dismiss(listener);
    if (old != NULL)
        generation_drain(old, answer_queue);
    listener->present = next;
    listener_take_kept(listener);
    if (moves || listener->state != LISTENER_SERVING)
        listener_enter(listener, LISTENER_STARTING);
    listener_proceed(listener);
}

struct listening_socket *
listener_leaving_socket(struct listener *listener, const char *address)
{
    bool leaves = listener->state == LISTENER_DRAINING && !listener_is_wanted(listener) &&
                  listener->goal == GOAL_STOPPED;

    if (listener->former.fd >= 0 && strcmp(listener->former.address, address) == 0)
        return &listener->former;
    if (leaves && listener->socket.fd >= 0 && strcmp(listener->socket.address, address) == 0)
        return &listener->socket;
    return NULL;
}

void
listener_leave_queues(struct listener *listener)
{
    uint64_t milliseconds = (uint64_t)(listener->settings->drain_timeout * 1000);

    bool taken = listener->former.shared ||
                 (listener->socket.shared && listener->state == LISTENER_DRAINING);

    if (!taken)
        return;
    for (size_t i = 0; i < listener->leaving_count; i++) /* they get no more time than before */
        generation_tell(listener->leaving[i], MESSAGE_DRAIN, milliseconds, -1);
}

void
listener_adopt_settings(struct listener *listener, const struct settings *settings)
{
    const struct settings *old = listener->settings;

    listener->settings = settings_ref(settings);
    if (listener->state == LISTENER_DRAINED &&
        strcmp(old->address.text, settings->address.text) != 0)
        socket_give_up(&listener->socket); /* the listener will be resumed at the other address */
    settings_unref(old);
    if (listener->present != NULL)
        generation_adopt_settings(listener->present, settings);
    if (listener->state == LISTENER_SERVING)
        listener_tls_remind(&listener->tls);
}
