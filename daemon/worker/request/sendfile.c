/* SPDX-License-Identifier: MIT */
/*
 * sendfile.c - ss_sendfile(): a file's bytes without copying them through us
 *
 * Runs in:  a serving context, called by the plugin.
 * Owns:     nothing; the file is the plugin's.
 * Failures: returned; like a failed write they stick.
 */
#include <errno.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker/request/mixin.h"
#include "worker/request/request.h"
#include "worker/request/transport.h"
#include "worker/request/wait.h"

/* Where sendfile(2) cannot be used: a datagram's reply, a pipe's other end. */
static int
copy_file(struct ss_request *request, int fd, off_t offset, size_t size)
{
    char part[16384];

    while (size > 0) {
        ssize_t got = pread(fd, part, size < sizeof(part) ? size : sizeof(part), offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -EIO;
        int error = ss_write(request, part, (size_t)got);
        if (error < 0)
            return error;
        offset += got;
        size -= (size_t)got;
    }
    return 0;
}

static int
send_file(struct ss_request *request, int fd, off_t offset, size_t size)
{
    double limit = wait_limit(request, request->server->settings.write_timeout);
    bool blocking = request->server->mixin->blocking;

    if (limit < 0)
        return -ETIMEDOUT;
    /* sendfile(2) knows no MSG_DONTWAIT: a blocking socket needs a timeout of its own. */
    int error = blocking ? set_socket_timeout(request->fd, SO_SNDTIMEO, limit) : 0;
    if (error < 0)
        return error;
    while (size > 0) {
        /* In steps, so that a slow client meets write_timeout and a cut gets in between. */
        ssize_t sent = sendfile(request->fd, fd, &offset, size < 1 << 20 ? size : 1 << 20);
        if (request_is_cut(request))
            return -ECANCELED;
        if (sent == 0)
            return -EIO;
        if (sent > 0) {
            size -= (size_t)sent;
            request->bytes_out += (uint64_t)sent;
            counter_bump(request->slot->moves, 1);
            continue;
        }
        if (errno == EAGAIN) {
            error = blocking ? -ETIMEDOUT : wait_io(request, request->fd, POLLOUT, limit);
            if (error < 0)
                return error;
        } else if (errno == EINVAL || errno == ENOSYS) {
            return copy_file(request, fd, offset, size);
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

int
ss_sendfile(struct ss_request *request, int fd, off_t offset, size_t size)
{
    bool direct = request->server->transport->direct;
    int error = output_flush(request);

    if (error < 0)
        return error;
    counter_set(request->slot->stage, STAGE_WRITING);
    error = (direct ? send_file : copy_file)(request, fd, offset, size);
    counter_set(request->slot->stage, STAGE_HANDLING);
    return error < 0 ? output_fail(request, error) : 0;
}
