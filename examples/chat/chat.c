/* SPDX-License-Identifier: MIT */
/*
 * chat.c - rooms, in which everybody hears what anybody says
 *
 * The hall lies in memory that all processes of the listener share, so that members meet there
 * whether threads, coroutines or children serve them. A room is a ring of bytes: who says something
 * appends a line and wakes the others, and each of them reads on from where it was. Nobody waits
 * for anybody: what a member that does not read misses is overwritten, and when its connection has
 * taken nothing for `write_timeout`, it is put out.
 *
 * ss_wake() reaches the requests of the same process. Under "forking" each seat has an eventfd(2)
 * instead, which server_activate() makes, so that all children inherit it.
 *
 * Runs in:  a handler thread, child or coroutine; service_actions() in the worker.
 * Owns:     the hall, and a seat in it for each member.
 * Failures: a full hall is told to the client. The seat of a process that died is cleared by
 *           service_actions().
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <sockserver/plugin.h>

#define NAME    32    /* bytes of a name, with its NUL */
#define ROOMS   64    /* at a time; that without members gives way to another */
#define HISTORY 65536 /* bytes that a member may be behind */
#define TEXT    500   /* bytes that are said at once */
#define PIECE   4096  /* bytes that are passed on at once: some lines */

/* clang-format off */
static const struct ss_option options[] = {
    {"members", SS_INTEGER, .fallback = "1000", .min = 1, .max = 20000,
     .help = "how many there may be at a time"},
    {0},
};

SS_PLUGIN(.name = "chat", .summary = "rooms, in which everybody hears what anybody says",
          .transports = SS_STREAM, .mixins = SS_THREADING | SS_COROUTINE, .options = options)
/* clang-format on */

struct room {
    char name[NAME]; /* "" before its first member */
    uint64_t said;   /* bytes, ever; moves when they are there */
    char history[HISTORY];
};

struct seat {
    _Atomic pid_t pid; /* who serves the member; 0: nobody, the seat is free */
    atomic_int room;
    uint64_t heard; /* of what was said there */
    char nick[NAME];
};

/* Under its lock, but for what is atomic. Who dies while holding it leaves nothing half done that
 * counts: a line does when `said` has moved, a member when `pid` is there. */
static struct hall {
    struct ss_shared_lock lock;
    unsigned guests;
    struct room rooms[ROOMS];
    struct seat seats[];
} * hall;

static int seats;                        /* how many */
static struct ss_waker *_Atomic *wakers; /* of this process's members, by seat */
static int *bells;                       /* the eventfds, by seat; NULL: not "forking" */

/* ---- what is said ------------------------------------------------------------------------------
 */

static void
lock(void)
{
    (void)ss_shared_lock(&hall->lock);
}

static void
unlock(void)
{
    (void)ss_shared_unlock(&hall->lock);
}

/* Whoever is in the room, and can be reached. Those of an earlier generation are on their way out.
 */
static void
wake_room(int room)
{
    pid_t self = getpid();

    for (int i = 0; i < seats; i++) {
        pid_t pid = hall->seats[i].pid;
        if (pid == 0 || hall->seats[i].room != room)
            continue;
        if (bells != NULL)
            (void)eventfd_write(bells[i], 1);
        else if (pid == self)
            ss_wake(wakers[i]);
    }
}

/* Says a line, with its newline, to everybody in the room. */
static void __attribute__((format(printf, 2, 3))) say(int number, const char *format, ...)
{
    struct room *room = &hall->rooms[number];
    char line[TEXT + 4 * NAME];
    va_list arguments;

    va_start(arguments, format);
    int size = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    lock();
    for (int i = 0; i < size; i++)
        room->history[(room->said + (unsigned)i) % HISTORY] = line[i];
    room->said += (unsigned)size;
    unlock();
    wake_room(number);
}

/* Takes lines that the member has not heard: their size. *ret_lost: older ones are gone;
 * *ret_more: there are others. */
static size_t
listen_in(struct seat *seat, char piece[PIECE], bool *ret_lost, bool *ret_more)
{
    lock();
    const struct room *room = &hall->rooms[seat->room];
    *ret_lost = room->said - seat->heard > HISTORY;
    if (*ret_lost)
        for (seat->heard = room->said - HISTORY; room->history[seat->heard++ % HISTORY] != '\n';)
            ;
    size_t left = (size_t)(room->said - seat->heard), size = left < PIECE ? left : PIECE;
    size_t at = seat->heard % HISTORY, first = size < HISTORY - at ? size : HISTORY - at;
    memcpy(piece, room->history + at, first);
    memcpy(piece + first, room->history, size - first);
    *ret_more = size < left;
    while (*ret_more && piece[size - 1] != '\n')
        size--;
    seat->heard += size;
    unlock();
    return size;
}

/* Sends the member what it has not heard. What is said meanwhile ends the next wait. */
static int
catch_up(struct ss_request *request, struct seat *seat)
{
    char piece[PIECE];
    bool lost, more;
    int error;

    do {
        size_t size = listen_in(seat, piece, &lost, &more);
        if (lost)
            (void)ss_printf(request, "* you are slow, and have missed something\n");
        error = ss_write(request, piece, size);
    } while (error == 0 && more);
    return error;
}

/* ---- members -------------------------------------------------------------------------------- */

/* Under the lock. */
static bool
nick_is_taken(const char *nick)
{
    for (int i = 0; i < seats; i++)
        if (hall->seats[i].pid != 0 && strcmp(hall->seats[i].nick, nick) == 0)
            return true;
    return false;
}

/* Takes a free seat, in the first room; NULL if there is none. */
static struct seat *
sit_down(void)
{
    struct seat *seat = NULL;

    lock();
    for (int i = 0; i < seats && seat == NULL; i++)
        if (hall->seats[i].pid == 0)
            seat = &hall->seats[i];
    if (seat != NULL) {
        do
            (void)snprintf(seat->nick, NAME, "guest%u", ++hall->guests);
        while (nick_is_taken(seat->nick));
        seat->room = 0;
        seat->heard = hall->rooms[0].said;
        seat->pid = getpid();
    }
    unlock();
    return seat;
}

static bool
is_name(const char *name)
{
    size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

    return good > 0 && good < NAME && name[good] == '\0';
}

/* Under the lock: the number of the room, which becomes one if need be; -1: there is no place. */
static int
find_room(const char *name)
{
    bool used[ROOMS] = {true};
    int found = -1;

    for (int i = 0; i < ROOMS; i++)
        if (strcmp(hall->rooms[i].name, name) == 0)
            return i;
    for (int i = 0; i < seats; i++)
        if (hall->seats[i].pid != 0)
            used[hall->seats[i].room] = true;
    for (int i = 0; i < ROOMS && found < 0; i++)
        if (!used[i])
            found = i;
    if (found >= 0)
        (void)snprintf(hall->rooms[found].name, NAME, "%s", name);
    return found;
}

/* ---- what members can do: 0, or a negative errno ------------------------------------------------
 */

static int
on_nick(struct ss_request *request, struct seat *seat, const char *nick)
{
    char before[NAME];

    if (!is_name(nick))
        return ss_printf(request, "* /nick NAME: letters, digits, \"_\" and \"-\", at most 31\n");
    lock();
    bool taken = nick_is_taken(nick);
    memcpy(before, seat->nick, NAME);
    if (!taken)
        (void)snprintf(seat->nick, NAME, "%s", nick);
    unlock();
    if (taken)
        return ss_printf(request, "* %s is taken\n", nick);
    say(seat->room, "* %s is now %s\n", before, nick);
    return 0;
}

static int
on_join(struct ss_request *request, struct seat *seat, const char *name)
{
    if (!is_name(name))
        return ss_printf(request, "* /join ROOM: letters, digits, \"_\" and \"-\", at most 31\n");
    int before = seat->room;
    int error = catch_up(request, seat);
    lock();
    int room = find_room(name);
    if (room >= 0) {
        seat->room = room;
        seat->heard = hall->rooms[room].said;
    }
    unlock();
    if (room < 0)
        return ss_printf(request, "* there are too many rooms\n");
    if (room != before) {
        say(before, "* %s has left for %s\n", seat->nick, name);
        say(room, "* %s has joined %s\n", seat->nick, name);
    }
    return error;
}

static int
on_who(struct ss_request *request, struct seat *seat, const char *text)
{
    int error = ss_printf(request, "* in %s:", hall->rooms[seat->room].name);
    char nick[NAME];

    (void)text;
    for (int i = 0; i < seats; i++) {
        lock();
        bool here = hall->seats[i].pid != 0 && hall->seats[i].room == seat->room;
        memcpy(nick, hall->seats[i].nick, NAME);
        unlock();
        if (here)
            error = ss_printf(request, " %s", nick);
    }
    return error < 0 ? error : ss_write(request, "\n", 1);
}

static int
on_quit(struct ss_request *request, struct seat *seat, const char *text)
{
    (void)text;
    (void)ss_printf(request, "* goodbye, %s\n", seat->nick);
    return -ESHUTDOWN;
}

static int
on_help(struct ss_request *request, struct seat *seat, const char *text)
{
    (void)seat, (void)text;
    return ss_printf(request, "* /nick NAME, /join ROOM, /who, /quit; all else is said\n");
}

static const struct {
    const char *word;
    int (*run)(struct ss_request *request, struct seat *seat, const char *text);
} commands[] = {
    {"/nick", on_nick}, {"/join", on_join}, {"/who", on_who}, {"/quit", on_quit}, {"/", on_help},
};

/* What could do something to others' terminals becomes "?": control characters, also those that
 * are two bytes of UTF-8. */
static void
disarm(char *line, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char one = (unsigned char)line[i], two = (unsigned char)line[i + 1];
        if (one < ' ' || one == 127 || (one == 0xc2 && two >= 0x80 && two < 0xa0))
            line[i] = '?';
    }
}

/* The member has typed something: reads one line of it. */
static int
obey(struct ss_request *request, struct seat *seat)
{
    char *line;
    ssize_t size = ss_readline(request, &line);

    if (size == -EMSGSIZE) /* who sends that is no member of a chat */
        (void)ss_printf(request, "* that was too long: %d bytes at once\n", TEXT);
    if (size <= 0)
        return size == 0 || size == -EMSGSIZE ? -ESHUTDOWN : (int)size;
    while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r'))
        line[--size] = '\0';
    if (size > TEXT)
        return ss_printf(request, "* that was too long: %d bytes at once\n", TEXT);
    disarm(line, (size_t)size);
    if (line[0] != '/') {
        if (size > 0)
            say(seat->room, "%s: %s\n", seat->nick, line);
        return 0;
    }
    size_t word = strcspn(line, " "), i = 0;
    while (strncmp(line, commands[i].word, word) != 0 || commands[i].word[word] != '\0')
        if (++i == sizeof(commands) / sizeof(commands[0]) - 1)
            break;
    return commands[i].run(request, seat, line + word + strspn(line + word, " "));
}

/* Waits for the member's next line: 1, -EINTR when something was said, or another negative errno.
 */
static int
await(struct ss_request *request, const struct seat *seat)
{
    if (bells == NULL)
        return ss_wait_input(request, -1);
    int bell = bells[seat - hall->seats];
    struct pollfd sources[] = {{SS_CLIENT, POLLIN, 0}, {bell, POLLIN, 0}};
    int ready = ss_poll(request, sources, 2, -1);
    eventfd_t rings;

    if (ready > 0 && sources[1].revents != 0)
        (void)eventfd_read(bell, &rings);
    return ready > 0 && sources[0].revents == 0 ? -EINTR : ready;
}

/* Passes on what others say, and says what the member says, until one of them ends it. */
static int
attend(struct ss_request *request, struct seat *seat)
{
    int error = 0;

    while (error == 0) {
        int ready = await(request, seat);
        if (ready == -ECANCELED)
            (void)ss_printf(request, "* the server is stopping; come back soon\n");
        if (ready < 0 && ready != -EINTR)
            return ready;
        error = catch_up(request, seat);
        if (error == 0 && ready > 0)
            error = obey(request, seat);
    }
    return error;
}

/* ---- hooks ---------------------------------------------------------------------------------- */

int
handle(struct ss_request *request)
{
    struct seat *seat = sit_down();

    if (seat == NULL)
        return ss_printf(request, "* there is no seat left; come back later\n");
    ss_set_data(request, seat);
    (void)ss_set_timeouts(request, 0, -1); /* who only listens may stay */
    if (bells == NULL) {
        struct ss_waker *waker = ss_waker(request);
        if (waker == NULL)
            return -ENOMEM;
        wakers[seat - hall->seats] = waker;
    }
    (void)ss_printf(request, "* welcome, %s; / tells what there is\n", seat->nick);
    say(seat->room, "* %s has joined %s\n", seat->nick, hall->rooms[0].name);
    int error = attend(request, seat);
    return error == -ESHUTDOWN ? 0 : error;
}

/* Clears the seat that this process has, and tells those who stay. */
static void
stand_up(struct seat *seat, pid_t pid)
{
    char nick[NAME];

    lock();
    int room = seat->pid == pid ? seat->room : -1;
    memcpy(nick, seat->nick, NAME);
    if (room >= 0)
        seat->pid = 0;
    unlock();
    if (room >= 0)
        say(room, "* %s has left\n", nick);
}

void
finish(struct ss_request *request)
{
    struct seat *seat = ss_data(request);

    if (seat != NULL)
        stand_up(seat, getpid());
}

/* Clears the seats of processes that are gone. */
void
service_actions(struct ss_server *server)
{
    (void)server;
    for (int i = 0; i < seats; i++) {
        pid_t pid = hall->seats[i].pid;
        if (pid != 0 && kill(pid, 0) < 0 && errno == ESRCH)
            stand_up(&hall->seats[i], pid);
    }
}

/* One eventfd for each seat, before there are children. */
static int
hang_bells(struct ss_server *server)
{
    bells = calloc((size_t)seats, sizeof(*bells));
    for (int i = 0; bells != NULL && i < seats; i++)
        if ((bells[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) {
            ss_complain(server, "members", "%d are too many: %m; raise limits.nofile", seats);
            return -EMFILE;
        }
    return bells != NULL ? 0 : -ENOMEM;
}

int
server_activate(struct ss_server *server)
{
    seats = (int)ss_option_integer(server, "members");
    hall = ss_server_shared(server, sizeof(*hall) + (size_t)seats * sizeof(struct seat));
    if (hall == NULL) {
        ss_log(LOG_ERR, "no memory for %d members: %m", seats);
        return -ENOMEM;
    }
    lock();
    (void)strcpy(hall->rooms[0].name, "lobby");
    unlock();
    if (strcmp(ss_server_mixin(server), "forking") == 0) {
        int error = hang_bells(server);
        if (error < 0)
            return error;
    } else if ((wakers = calloc((size_t)seats, sizeof(wakers[0]))) == NULL) {
        return -ENOMEM;
    }
    service_actions(server);
    return 0;
}

void
server_close(struct ss_server *server)
{
    (void)server;
    for (int i = 0; bells != NULL && i < seats; i++)
        (void)close(bells[i]);
    free(bells);
    free(wakers);
    bells = NULL;
    wakers = NULL;
}
