/* SPDX-License-Identifier: MIT */
/*
 * connection.h - a connection to the daemon's control socket
 */
#ifndef SOCKSERVERD_CTL_CONNECTION_H
#define SOCKSERVERD_CTL_CONNECTION_H

#include <jansson.h>

#include "common/varlink.h"
#include "ctl/ctl.h"

struct connection {
    int fd;
    struct varlink_input input;
};

#define CONNECTION_CLOSED  ((struct connection){.fd = -1})
#define CONNECTION_PATIENT (-1) /* milliseconds: until it answers or ends */
#define CONNECTION_QUICK   5000

/* Connects to the control socket at path. Returns 0 or a negative errno. */
int connection_open(const char *path, struct connection *ret);
void connection_close(struct connection *connection);

/*
 * Calls a method by its whole name (CONTROL_INTERFACE ".NAME") and waits for
 * the reply. parameters (NULL: none) are released. Returns 0 and *ret, the
 * whole reply, which the caller releases, or a negative errno: -ETIMEDOUT,
 * -ECONNRESET when the daemon hung up, -EBADMSG and others.
 */
int connection_call(struct connection *connection, const char *method, json_t *parameters,
                    int milliseconds, json_t **ret);

/* Says on standard error that the daemon cannot be reached, and what to do. Returns
 * CTL_UNREACHABLE. */
enum ctl_result complain_unreachable(const char *path, int error);

/* Returns the parameters of a reply, which still owns them. If the reply is an error, says on
 * standard error what is wrong, and returns NULL and *ret_result. */
const json_t *reply_parameters(const json_t *reply, const struct ctl_arguments *arguments,
                               enum ctl_result *ret_result);

/*
 * Opens a connection, calls the method and closes the connection. parameters
 * are released. Returns CTL_FINE and the reply's parameters in *ret, which
 * the caller releases, or says what is wrong, leaves *ret as it is, and
 * returns the result.
 */
enum ctl_result call_once(const struct ctl_arguments *arguments, const char *method,
                          json_t *parameters, int milliseconds, json_t **ret);

#endif
