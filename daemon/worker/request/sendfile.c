/* SPDX-License-Identifier: MIT */
/*
 * sendfile.c - ss_sendfile(): a file's bytes without copying them through us
 *
 * Runs in:  a serving context, called by the plugin.
 * Owns:     nothing; the file is the plugin's.
 * Failures: returned; like a failed write they stick.
 */
#include <errno.h>
#include <fcntl.h>
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
        if (got < 0)
            return -errno;
        if (got == 0) {
            int error = output_flush(request); /* what there was, as elsewhere */
            return error < 0 ? error : -EIO;
        }
        int error = ss_write(request, part, (size_t)got);
        if (error < 0)
            return error;
        offset += got;
        size -= (size_t)got;
    }
    return 0;
}

/* In steps, so that others have their turn and a cut gets in between. */
static int
send_steps(struct ss_request *request, int fd, off_t offset, size_t size)
{
    const struct mixin *mixin = request->server->mixin;

    while (size > 0) {
        ssize_t sent = sendfile(request->fd, fd, &offset, size < 1 << 20 ? size : 1 << 20);
        int error = sent < 0 ? -errno : 0;
        if (request_is_cut(request))
            return -ECANCELED;
        if (sent == 0)
            return -EIO;
        if (sent > 0) {
            size -= (size_t)sent;
            request->bytes_out += (uint64_t)sent;
            request_moved(request);
            if (mixin->pace != NULL)
                mixin->pace(request);
            continue;
        }
        if (error == -EAGAIN)
            error = wait_io(request, request->fd, POLLOUT, request->write_timeout);
        else if (error == -EINVAL || error == -ENOSYS)
            return copy_file(request, fd, offset, size);
        if (error < 0 && error != -EINTR)
            return error;
    }
    return 0;
}

/*
 * sendfile(2) knows no MSG_DONTWAIT, and a socket's timeout begins anew with each of its steps: who
 * takes a little now and then would meet neither write_timeout nor a deadline. So the socket does
 * not wait meanwhile.
 */
static int
send_file(struct ss_request *request, int fd, off_t offset, size_t size)
{
    if (request_is_cut(request))
        return -ECANCELED;
    if (wait_limit(request, 0) < 0)
        return wait_timed_out(request);
    if (!request->server->mixin->blocking)
        return send_steps(request, fd, offset, size);
    /* Unless the plugin has had the descriptor, it is as it was accepted. */
    int flags = request->inode != 0 ? fcntl(request->fd, F_GETFL) : 0;
    if (flags < 0 || fcntl(request->fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    int error = send_steps(request, fd, offset, size);
    (void)fcntl(request->fd, F_SETFL, flags);
    return error;
}

int
ss_sendfile(struct ss_request *request, int fd, off_t offset, size_t size)
{
    bool direct = request->server->transport->direct;
    int error = output_flush(request);

    if (error < 0)
        return error;
    if (request->shut && size > 0)
        return output_refuse(request);
    request_enter(request, STAGE_WRITING);
    error = (direct ? send_file : copy_file)(request, fd, offset, size);
    request_enter(request, STAGE_HANDLING);
    return error < 0 ? output_fail(request, error) : 0;
}
