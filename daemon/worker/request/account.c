/* SPDX-License-Identifier: MIT */
/*
 * account.c - what is counted and logged of a request that has ended
 *
 * Runs in:  a serving context of a worker; under *forking* also in the zygote, for
 *           a child that became a program.
 * Owns:     nothing.
 * Failures: none.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/probes.h"
#include "worker/request/request.h"
#include "worker/request/turned_away.h"

static const char *const reason_texts[] = {
    [CLOSE_DONE] = "done",
    [CLOSE_REFUSED] = "refused",
    [CLOSE_FAILED] = "failed",
    [CLOSE_VANISHED] = "client went away",
    [CLOSE_IDLE] = "idle for too long",
    [CLOSE_SLOW] = "too slow",
    [CLOSE_LATE] = "the handler's deadline is over",
    [CLOSE_UNSENT] = "answer dropped, its receiver does not read",
    [CLOSE_CUT] = "cut by the drain's deadline",
    [CLOSE_OVERTIME] = "request_timeout is over",
    [CLOSE_SPUN] = "spin_limit is over",
    [CLOSE_CANCELLED] = "cancelled by an operator",
    [CLOSE_ABANDONED] = "abandoned by its handler",
    [CLOSE_ASIDE] = "no client",
};

static void
bump(struct slot *slot, size_t offset)
{
    _Atomic uint64_t *counter = (void *)((char *)slot + offset);

    counter_bump(*counter, 1);
}

/* The refusal's own counter and warnings, if it was a gate's that has them. */
static void
count_refusal(struct ss_request *request)
{
    const struct refusal *refusal = request->server->gate_count > 0 ? request->refusal : NULL;

    if (refusal == NULL || refusal->counter == 0) {
        counter_bump(request->slot->rejected, 1);
        return;
    }
    bump(request->slot, refusal->counter);
    if (refusal->warnings != NULL)
        turned_away_note(request);
}

/* The counter of each reason; 0: none of its own. */
static const size_t counted[] = {
    [CLOSE_DONE] = offsetof(struct slot, done),
    [CLOSE_REFUSED] = offsetof(struct slot, refused),
    [CLOSE_FAILED] = offsetof(struct slot, failed),
    [CLOSE_VANISHED] = offsetof(struct slot, vanished),
    [CLOSE_IDLE] = offsetof(struct slot, idle_ended),
    [CLOSE_SLOW] = offsetof(struct slot, slow_ended),
    [CLOSE_LATE] = offsetof(struct slot, slow_ended),
    [CLOSE_UNSENT] = offsetof(struct slot, unsent),
    [CLOSE_CUT] = offsetof(struct slot, cut),
    [CLOSE_OVERTIME] = offsetof(struct slot, cut),
    [CLOSE_SPUN] = offsetof(struct slot, cut),
    [CLOSE_CANCELLED] = offsetof(struct slot, cut),
    [CLOSE_ABANDONED] = offsetof(struct slot, failed),
    [CLOSE_ASIDE] = 0,
};

static void
count(struct ss_request *request, int64_t now)
{
    struct slot *slot = request->slot;

    if (counted[request->reason] != 0)
        bump(slot, counted[request->reason]);
    if (request->reason == CLOSE_REFUSED)
        count_refusal(request);
    counter_bump(slot->bytes_in, request->bytes_in);
    counter_bump(slot->bytes_out, request->bytes_out);
    counter_bump(slot->busy_ns, (uint64_t)(now - request->started));
    counters_note_time(request->server->counters, slot, (uint64_t)(now - request->started));
}

/* "refused: REASON", if that was a gate; "HOOK failed: ERROR", if nobody else tells of it. */
static const char *
reason_text(const struct ss_request *request, char *buffer, size_t size)
{
    const char *text = reason_texts[request->reason];

    if (request->failed != NULL)
        (void)snprintf(buffer, size, "%s failed: %s", request->failed, strerror(-request->error));
    else if (request->reason == CLOSE_REFUSED && request->refusal != NULL)
        (void)snprintf(buffer, size, "%s: %s%s%s", text, request->refusal->reason,
                       request->refusal_detail == NULL ? "" : ": ",
                       request->refusal_detail == NULL ? "" : request->refusal_detail);
    else if (request->reason == CLOSE_DONE && request->outcome != NULL)
        return request->outcome;
    else
        return text;
    return buffer;
}

static void
log_access(struct ss_request *request, int level, int64_t now)
{
    double milliseconds = (double)(now - request->started) / 1e6;
    char in[48], out[48], duration[48], reason[160], buffer[128];

    const char *text = reason_text(request, buffer, sizeof(buffer));
    const char *client = ss_client_name(request);
    (void)snprintf(in, sizeof(in), "SOCKSERVERD_BYTES_IN=%lu", request->bytes_in);
    (void)snprintf(out, sizeof(out), "SOCKSERVERD_BYTES_OUT=%lu", request->bytes_out);
    (void)snprintf(duration, sizeof(duration), "SOCKSERVERD_DURATION_MS=%.3f", milliseconds);
    (void)snprintf(reason, sizeof(reason), "SOCKSERVERD_REASON=%s", text);
    log_event(level, (const char *const[]){in, out, duration, reason, NULL},
              "%s: %s, %lu bytes in, %lu bytes out, %.3f ms%s", client, text, request->bytes_in,
              request->bytes_out, milliseconds,
              request->datagram.truncated ? ", datagram cut to max_packet_size" : "");
}

/* Whether a time was over that was the client's to keep. */
static bool
ended_by_time(enum close_reason reason)
{
    return reason == CLOSE_IDLE || reason == CLOSE_SLOW || reason == CLOSE_LATE;
}

void
request_account(struct ss_request *request)
{
    int64_t now = monotonic_now();

    counter_set(request->slot->ended, now);
    PROBE(request__done, request->server->settings.name, request->number,
          reason_texts[request->reason], request->bytes_in, request->bytes_out,
          now - request->started);
    if (request->reason == CLOSE_ASIDE)
        return;
    count(request, now);
    if (request->error < 0 && request->reason == CLOSE_DONE)
        log_warning("%s: cannot answer: %s", ss_client_name(request), strerror(-request->error));
    int level = request->failed != NULL ? LOG_ERR : LOG_INFO;
    if (!log_enabled(level))
        return;
    if (request->server->access)
        log_access(request, level, now);
    else if (request->failed != NULL)
        log_error("%s: %s failed: %s", ss_client_name(request), request->failed,
                  strerror(-request->error));
    else if (request->reason == CLOSE_VANISHED || ended_by_time(request->reason))
        log_info("%s: %s", ss_client_name(request), reason_texts[request->reason]);
}
