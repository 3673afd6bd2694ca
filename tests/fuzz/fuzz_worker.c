/* SPDX-License-Identifier: MIT */
/*
 * fuzz_worker.c - a worker that sends anything and writes anything into its counters
 *
 * A libFuzzer target. The input is a sequence of steps: packets of any shape,
 * some with a descriptor; orders of the supervisor; scribbling in the shared
 * counters. What the supervisor makes of the packets is compared with a short
 * model of what each message means in each state: which events it tells, when
 * it kills the worker, what state it is in. What it reads from the counters
 * must be plausible: no more requests than slots, texts that can be printed,
 * a list of requests that is in order. What it grants of the worker's wishes is
 * compared with a list of names.
 *
 * The worker is no process: kill() and the watch over the child are replaced.
 */
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/array.h"
#include "common/child.h"
#include "common/clock.h"
#include "common/log.h"
#include "expect.h"
#include "supervisor/control/control_private.h"
#include "supervisor/listener/crash.h"
#include "supervisor/listener/process_private.h"
#include "worker_model.h"

#define LIMIT    16384
#define PID      12345 /* nobody is asked about it */
#define SLOTS    5
#define REQUESTS 3 /* of the list that is asked for */

#define COUNTERS_SIZE (sizeof(struct counters) + SLOTS * sizeof(struct slot))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __wrap_kill(pid_t pid, int signal);
int __wrap_sd_event_add_child(sd_event *event, sd_event_source **ret, pid_t pid, int options,
                              sd_event_child_handler_t callback, void *userdata);
void __wrap_listener_visit_workers(const struct listener *listener,
                                   void (*visit)(const struct listener_worker *worker,
                                                 void *userdata),
                                   void *userdata);
const struct settings *__wrap_listener_settings(const struct listener *listener);

static struct {
    const uint8_t *data;
    size_t left;
} input;

static struct process *process;
static struct story told;
static int worker_channel, worker_wishes;
static struct kept *kept;
static const struct settings *settings, *without_tls, *with_tls;

/* ---- what is replaced ----------------------------------------------------------------------- */

int
__wrap_kill(pid_t pid, int signal)
{
    expect(pid == PID && signal == SIGKILL);
    note(&told, 'k');
    return 0;
}

int
__wrap_sd_event_add_child(sd_event *event, sd_event_source **ret, pid_t pid, int options,
                          sd_event_child_handler_t callback, void *userdata)
{
    (void)event;
    (void)pid;
    (void)options;
    (void)callback;
    (void)userdata;
    *ret = NULL;
    return 0;
}

const struct settings *
__wrap_listener_settings(const struct listener *listener)
{
    (void)listener;
    return settings;
}

void
__wrap_listener_visit_workers(const struct listener *listener,
                              void (*visit)(const struct listener_worker *worker, void *userdata),
                              void *userdata)
{
    struct listener_worker worker = {
        .pid = PID, .counters = process->counters, .slots = process->slots, .process = process};

    (void)listener;
    visit(&worker, userdata);
}

/* ---- the input ------------------------------------------------------------------------------ */

static uint8_t
next_byte(void)
{
    if (input.left == 0)
        return 0;
    input.left--;
    return *input.data++;
}

static uint64_t
next_number(void)
{
    uint64_t number = 0;

    for (unsigned i = 0; i < sizeof(number); i++)
        number = number << 8 | next_byte();
    return number;
}

/* Up to so many bytes of the input. */
static const void *
next_bytes(size_t wanted, size_t *ret_size)
{
    const void *bytes = input.data;

    *ret_size = wanted < input.left ? wanted : input.left;
    input.data += *ret_size;
    input.left -= *ret_size;
    return bytes;
}

/* ---- packets -------------------------------------------------------------------------------- */

static void
on_event(struct process *of, enum process_event event, void *userdata)
{
    static const char letters[] = {
        [PROCESS_IS_READY] = 'r',   [PROCESS_HAS_FAILED] = 'f',    [PROCESS_HAS_STOPPED] = 's',
        [PROCESS_WANTS_STOP] = 'w', [PROCESS_WANTS_ANOTHER] = 'a', [PROCESS_HAS_PULSE] = 'p',
        [PROCESS_IS_GONE] = 'g',
    };

    (void)userdata;
    note(&told, letters[event]);
    if (event == PROCESS_IS_READY && serves_at_once)
        process_serve(of);
}

/* The supervisor takes a few packets at a turn. */
static void
take_all_packets(void)
{
    char byte;

    while (recv(process->channel, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0)
        process_receive(process);
}

static void
send_to(int channel, const void *bytes, size_t size, int fd)
{
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = size};
    struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1};

    if (fd >= 0) {
        packet.msg_control = &control;
        packet.msg_controllen = sizeof(control);
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.head), &fd, sizeof(int));
    }
    while (sendmsg(channel, &packet, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        expect(errno == EAGAIN);
        take_all_packets();
    }
}

static void
send_packet(const void *bytes, size_t size, int fd)
{
    send_to(worker_channel, bytes, size, fd);
}

/* A message as workers send them: its head is right, and its text ends. */
static void
send_message(bool with_descriptor)
{
    static const uint32_t types[] = {MESSAGE_READY,       MESSAGE_STOPPED, MESSAGE_PONG,
                                     MESSAGE_STOP,        MESSAGE_REPLACE, MESSAGE_MISTAKE,
                                     MESSAGE_FAILED,      MESSAGE_SERVE,   MESSAGE_TLS,
                                     MESSAGE_CERTIFICATE, MESSAGE_FILE,    UINT32_MAX};
    struct message message = {.type = types[next_byte() % ARRAY_SIZE(types)]};
    uint8_t choice = next_byte();
    size_t size;

    message.value = choice < 240 ? model.pings - choice / 100 : next_number();
    const char *text = next_bytes(next_byte(), &size);
    memcpy(message.text, text, size);
    send_packet(&message, offsetof(struct message, text) + size + 1,
                with_descriptor ? STDERR_FILENO : -1);
    if (with_descriptor)
        model_misbehaves();
    else
        model_takes(message.type, message.value);
}

/* A packet of any shape. An empty one is the end of the channel, which a worker's end tells. */
static void
send_anything(void)
{
    static char packet[sizeof(struct message) + 512];
    size_t size = 1 + ((size_t)next_byte() << 8 | next_byte()) % sizeof(packet), head;
    const size_t least = offsetof(struct message, text);
    struct message message;

    memset(packet, 'x', sizeof(packet));
    const void *bytes = next_bytes(size < 64 ? size : 64, &head);
    memcpy(packet, bytes, head);
    packet[size - 1] = (char)(next_byte() & 1);
    send_packet(packet, size, -1);
    memcpy(&message, packet, sizeof(message));
    if (size > least && size <= sizeof(message) && packet[size - 1] == '\0')
        model_takes(message.type, message.value);
    else
        model_misbehaves();
}

/* ---- wishes --------------------------------------------------------------------------------- */

static void
expect_answer(int channel, const struct message *asked, int fd)
{
    struct message message;
    bool attaches;
    int attached, r = channel_receive(channel, &message, &attached);

    if (asked->type < MESSAGE_KEEP || asked->type > MESSAGE_AREA) {
        expect(r == 0);
        return;
    }
    int error = model_grants(asked, fd, &attaches);
    expect(r == 1 && message.type == MESSAGE_ANSWER && message.value == (uint64_t)error);
    expect((attached >= 0) == attaches);
    if (attached >= 0)
        (void)close(attached);
    expect(channel_receive(channel, &message, &attached) == 0); /* one, and then the end */
}

/* Through a channel of its own, in which there is one message. */
static void
wish_for_something(void)
{
    const struct message envelope = {.type = MESSAGE_WISH};
    struct message message = {.type = MESSAGE_KEEP + next_byte() % 6};
    uint8_t choice = next_byte();
    int ends[2], pipes[2], fd;

    message.value = choice & 1 ? 4096 : next_number();
    message.text[0] =
        choice & 2 ? "/:;<=>?@ \n\xff%\\\"~,"[next_byte() % 16] : (char)('0' + next_byte() % NAMES);
    message.text[1] = choice & 4 && choice & 8 ? ' ' : '\0';
    expect(channel_create(ends) == 0 && pipe(pipes) == 0);
    fd = choice & 16 ? -1 : pipes[0];
    size_t size = offsetof(struct message, text) + strlen(message.text) + 1;
    send_to(ends[0], &message, size, fd);
    send_to(worker_wishes, &envelope, offsetof(struct message, text) + 1, ends[1]);
    (void)close(ends[1]);
    expect(process_take_wishes(process) != 0);
    expect_answer(ends[0], &message, fd);
    (void)close(ends[0]);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
}

/* A packet of any shape, with a descriptor that is no channel, or with none. */
static void
wish_anything(void)
{
    struct message message = {.type = MESSAGE_CONTROL + next_byte() % 8};
    size_t size;
    const void *bytes = next_bytes(next_byte() % 32, &size);

    memcpy(&message, bytes, size);
    send_to(worker_wishes, &message, 1 + size, next_byte() & 1 ? STDERR_FILENO : -1);
    expect(process_take_wishes(process) != 0);
}

/* ---- orders --------------------------------------------------------------------------------- */

static void
give_order(void)
{
    take_all_packets();
    switch (next_byte() % 4) {
    case 0:
        process_serve(process);
        if (in(READY))
            model.state = PROCESS_SERVING;
        break;
    case 1:
        process_drain(process, next_byte(), true);
        model_drains();
        break;
    case 2:
        process_cut(process);
        model.state = PROCESS_ENDING;
        break;
    default:
        process_tell(process, MESSAGE_PING, ++process->pings, -1);
        model.pings++;
    }
}

/* ---- counters ------------------------------------------------------------------------------- */

static void
scribble(void)
{
    size_t at =
        ((size_t)next_byte() << 16 | (size_t)next_byte() << 8 | next_byte()) % COUNTERS_SIZE;
    size_t size;
    const void *bytes = next_bytes(next_byte(), &size);

    memcpy((char *)process->counters + at, bytes,
           size < COUNTERS_SIZE - at ? size : COUNTERS_SIZE - at);
}

/* A slot as a worker fills it, more or less. */
static void
fill_slot(void)
{
    struct slot *slot = &process->counters->slots[next_byte() % SLOTS];
    uint64_t age = next_number() % INT64_MAX;
    size_t size;

    counter_set(slot->state, next_byte() % 5);
    counter_set(slot->stage, next_byte() % 8);
    counter_set(slot->request, next_number());
    counter_set(slot->started, monotonic_now() - (int64_t)age);
    const void *client = next_bytes(sizeof(slot->client), &size);
    memcpy(slot->client, client, size);
    if (next_byte() & 1)
        *(uint16_t *)(void *)slot->client = size & 1 ? AF_INET : AF_INET6;
    counters_use(process->counters, slot);
}

static void
fill_sighting(void)
{
    struct sighting *sighting = &process->counters->sightings[next_byte() % SIGHTINGS];
    size_t size;

    counter_set(sighting->owner, next_byte() & 1 ? PID : next_byte());
    counter_set(sighting->state, next_byte() & 1);
    sighting->signal = next_byte();
    sighting->has_address = next_byte();
    sighting->address = next_number();
    sighting->request = next_number();
    const void *place = next_bytes(next_byte() % (sizeof(sighting->place) + 1), &size);
    memcpy(sighting->place, place, size);
}

static void
expect_printable(const char *text, size_t room, const char *beginning)
{
    size_t size = strnlen(text, room);

    expect(size < room);
    for (size_t i = 0; i < size; i++)
        expect(text[i] >= ' ' && text[i] < 127);
    expect(size == 0 || strncmp(text, beginning, strlen(beginning)) == 0);
}

static void
judge_sums(void)
{
    const struct counters *counters = process->counters;
    struct counter_sums sums, all = {0};
    uint64_t busy = 0, idle = 0;

    for (uint32_t i = 0; i < SLOTS && i < counter_get(counters->used); i++) {
        busy += counter_get(counters->slots[i].state) == SLOT_BUSY;
        idle += counter_get(counters->slots[i].state) == SLOT_IDLE;
    }
    counters_sum(counters, process->slots, &sums);
    expect(sums.active == busy && sums.idle == idle);
    counter_sums_add(&all, &sums);
    counter_sums_add_past(&all, &sums);
    expect(all.active == busy && all.idle == idle); /* those of the past are over */
    double median = histogram_quantile(&sums.handling, 0.5);
    double most = histogram_quantile(&sums.handling, 0.99);
    expect(isfinite(median) && isfinite(most) && median >= -1 && median <= most);
}

static void
judge_crash(void)
{
    char place[FATE_SIZE], work[FATE_SIZE], little[16];

    crash_describe_place(process->counters, PID, place, sizeof(place));
    crash_describe(process->counters, process->slots, PID, work, sizeof(work));
    expect_printable(place, sizeof(place), place[0] == ',' ? ", address 0x" : " at ");
    expect_printable(work, sizeof(work), " while it ran request ");
    crash_describe(process->counters, process->slots, PID, little, sizeof(little));
    expect(strlen(little) < sizeof(little));
}

static void
judge_request(const json_t *request, json_int_t *last_age)
{
    const char *client = json_string_value(json_object_get(request, "client"));
    json_int_t age = json_integer_value(json_object_get(request, "age_us"));

    expect(client != NULL);
    expect_printable(client, ADDRESS_TEXT_SIZE, "");
    expect(age >= 0 && age <= *last_age);
    expect(json_integer_value(json_object_get(request, "number")) >= 0);
    expect(json_integer_value(json_object_get(request, "worker")) == PID);
    expect(json_is_string(json_object_get(request, "stage")));
    *last_age = age;
}

/* The list that `sockserverctl requests` shows: the oldest first. */
static void
judge_requests(void)
{
    struct listener *listeners[] = {NULL};
    struct roster roster = {.listeners = listeners, .count = 1};
    const struct control control = {.host = {.roster = &roster}};
    const struct counters *counters = process->counters;
    size_t running = 0;
    json_int_t age = INT64_MAX;

    for (uint32_t i = 0; i < SLOTS && i < counter_get(counters->used); i++)
        running += model_lists(&counters->slots[i]);
    json_t *reply = control_requests(&control, NULL, REQUESTS);
    json_t *requests = json_object_get(reply, "requests");
    expect(json_array_size(requests) == (running < REQUESTS ? running : REQUESTS));
    for (size_t i = 0; i < json_array_size(requests); i++)
        judge_request(json_array_get(requests, i), &age);
    json_decref(reply);
    reply = control_list_requests(&control, NULL, 0, REQUESTS);
    expect(json_array_size(json_object_get(reply, "requests")) <= REQUESTS);
    json_decref(reply);
}

static void
judge_counters(void)
{
    judge_sums();
    judge_crash();
    judge_requests();
}

static const struct settings *
make_settings(const char *more)
{
    struct settings own;
    struct errors errors = {0};

    expect(settings_init(&own, "fuzz") == 0);
    if (more != NULL)
        settings_set(&own, more, &(struct given){.text = "true"}, &errors);
    expect(!errors_any(&errors));
    const struct settings *made = settings_share(&own);
    expect(made != NULL);
    return made;
}

/* ---- one input ------------------------------------------------------------------------------ */

static void
begin(bool starting, bool tls)
{
    static sd_event *event;
    int ends[2], wishes[2], memory;
    struct counters *counters;

    if (event == NULL) {
        log_set_level(LOG_EMERG);
        expect(sd_event_new(&event) >= 0);
        without_tls = make_settings(NULL);
        with_tls = make_settings("tls.tickets");
    }
    settings = tls ? with_tls : without_tls;
    model_has_tls = tls;
    expect(channel_create(ends) == 0 && channel_create(wishes) == 0);
    if (counters_create(SLOTS, &counters, &memory) < 0)
        abort();
    counters_detach(counters, SLOTS);
    worker_channel = ends[1];
    expect(kept_new("fuzz.so", &kept) == 0);
    memset(&granted, 0, sizeof(granted));
    worker_wishes = wishes[1];
    struct process_setup setup = {
        .event = event, .settings = settings, .kept = kept, .handler = on_event};
    struct upgrade_worker worker = {.pid = PID,
                                    .channel = ends[0],
                                    .counters = memory,
                                    .log = -1,
                                    .wishes = wishes[0] + 1,
                                    .slots = SLOTS,
                                    .state = PROCESS_SERVING,
                                    .deadline = UINT64_MAX};
    expect(process_import(&setup, &worker, &process) == 0);
    memset(&model, 0, sizeof(model));
    model.state = starting ? PROCESS_STARTING : PROCESS_SERVING;
    process_enter(process, model.state, UINT64_MAX);
    told.count = expected.count = 0;
}

static void
step(void)
{
    uint8_t choice = next_byte();

    if (choice >= 224) { /* what it was once is in the seeds */
        choice < 252 ? wish_for_something() : wish_anything();
        return;
    }
    switch (choice % 8) {
    case 0:
    case 1:
    case 2:
        send_message(false);
        break;
    case 3:
        next_byte() < 16 ? send_message(true) : take_all_packets();
        break;
    case 4:
        next_byte() < 64 ? send_anything() : fill_slot();
        break;
    case 5:
        give_order();
        break;
    case 6:
        scribble();
        break;
    default:
        next_byte() & 1 ? fill_sighting() : judge_counters();
    }
}

static int
lowest_free_descriptor(void)
{
    int fd = dup(STDERR_FILENO);

    (void)close(fd);
    return fd;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > LIMIT)
        return 0;
    input.data = data + 1;
    input.left = size - 1;
    serves_at_once = data[0] & 2;
    begin(data[0] & 1, data[0] & 4);
    int free_before = lowest_free_descriptor();
    while (input.left > 0)
        step();
    take_all_packets();
    judge_counters();
    expect(told.count == expected.count);
    expect(memcmp(told.events, expected.events, told.count) == 0);
    expect(process->state == model.state && process->misbehaved == model.misbehaved);
    expect(process->mistakes.count <= ERRORS_TOLD + 1);
    expect((process->mistakes.count > 0) == (model.mistakes > 0));
    kept_unref(kept);
    expect(lowest_free_descriptor() == free_before);
    process_free(process);
    child_leave(PID);
    (void)close(worker_channel);
    (void)close(worker_wishes);
    return 0;
}
