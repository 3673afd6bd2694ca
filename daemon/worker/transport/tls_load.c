/* SPDX-License-Identifier: MIT */
/*
 * tls_load.c - the worker's TLS module, and the certificates that it is given
 *
 * This comes before the plugin is loaded: the plugin inherits no descriptor that
 * a key could be read from.
 *
 * Runs in:  a worker, before it loads its plugin.
 * Owns:     the module and its context, as long as the worker lives.
 * Failures: added to errors; the worker cannot start.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/cleanup.h"
#include "common/errors.h"
#include "common/log.h"
#include "common/ticket_keys.h"
#include "common/tls_bundle.h"
#include "worker/request/mixin.h"
#include "worker/request/server.h"
#include "worker/request/transport.h"
#include "worker/request/turned_away.h"
#include "worker/tls/module.h"
#include "worker/transport/tls.h"

struct tls_service tls_service;

static const struct ticket_page *tickets;

/* Whom the module tells of mistakes. */
struct teller {
    const struct settings *settings;
    const struct tls_bundle *bundle;
    struct errors *errors;
};

/* ---- what the module asks for ------------------------------------------------------ */

static struct teller teller;

static void
add_mistake(struct errors *errors, const char *key, const struct tls_text *text,
            const char *message)
{
    char full_key[64];

    if (text == NULL) /* the key stands in the same group */
        text = &teller.bundle->certificates[0].certificate;
    (void)snprintf(full_key, sizeof(full_key), "tls.%s", key);
    settings_mistake(teller.settings, full_key,
                     &(const struct given){.file = text->file, .line = text->line}, errors, "%s",
                     message);
}

static void
tell_mistake(void *userdata, const char *key, const struct tls_text *text, const char *message)
{
    (void)userdata;
    add_mistake(teller.errors, key, text, message);
}

static void
complain(void *userdata, const char *key, const struct tls_text *text, const char *message)
{
    struct errors errors = {0};

    (void)userdata;
    add_mistake(&errors, key, text, message);
    _cleanup_free_ char *line = errors_line(&errors);
    log_error("%s", line == NULL ? message : line);
    errors_done(&errors);
}

static int
current_key(void *userdata, struct ticket_key *ret)
{
    (void)userdata;
    return ticket_keys_current(tickets, ret);
}

static bool
find_key(void *userdata, const unsigned char name[16], struct ticket_key *ret, bool *ret_renew)
{
    (void)userdata;
    return ticket_keys_find(tickets, name, ret, ret_renew);
}

/* ---- loading --------------------------------------------------------------------- */

static int
open_module(struct errors *errors)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", (int)INHERITED_TLS_MODULE);
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == NULL) {
        errors_add(errors, NULL, 0,
                   "cannot load the module for TLS, lib/sockserverd/tls.so: %s; install OpenSSL 3 "
                   "(libssl3)",
                   dlerror());
        return -ENOEXEC;
    }
    const struct tls_module *module = dlsym(handle, TLS_MODULE_SYMBOL);
    if (module == NULL || module->version != TLS_MODULE_VERSION ||
        module->size != sizeof(*module)) {
        errors_add(errors, NULL, 0,
                   "the module for TLS, lib/sockserverd/tls.so, belongs to another version of "
                   "sockserverd; install both from the same build");
        return -ENOEXEC;
    }
    tls_service.module = module;
    return 0;
}

static bool
is_given(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static int
map_tickets(struct ss_server *server, struct errors *errors)
{
    if (!server->settings.tls.tickets || !is_given(INHERITED_TICKETS))
        return 0; /* a trial is given none */
    int error = ticket_keys_map(INHERITED_TICKETS, &tickets);
    if (error < 0)
        errors_add(errors, NULL, 0, "cannot map the keys of session tickets: %s", strerror(-error));
    return error;
}

static struct tls_setup
describe_listener(const struct ss_server *server, const struct tls_bundle *bundle)
{
    const struct settings *settings = &server->settings;

    _Static_assert((int)TLS_CLIENT_OPTIONAL == (int)TLS_VERIFY_OPTIONAL, "the same choices");
    _Static_assert((int)TLS_CLIENT_REQUIRED == (int)TLS_VERIFY_REQUIRED, "the same choices");
    return (struct tls_setup){
        .bundle = bundle,
        .client = (enum tls_verify)settings->tls.client,
        .newest_only = settings->tls.minimum == TLS_VERSION_1_3,
        .strict = !is_given(INHERITED_SOCKET), /* a trial has no socket */
        .lean = !server->mixin->blocking,
        .ciphers = settings->tls.ciphers,
        .ciphersuites = settings->tls.ciphersuites,
        .groups = settings->tls.groups,
        .alpn = settings->tls.alpn,
        .host =
            {
                .mistake = tell_mistake,
                .complain = complain,
                .receive = tls_receive_bytes,
                .send = tls_send_bytes,
                .current_key = tickets == NULL ? NULL : current_key,
                .find_key = tickets == NULL ? NULL : find_key,
            },
    };
}

/* Unheard, the status lacks them, and nothing else. */
static void
tell_supervisor(const struct ss_server *server)
{
    const char *path;
    int64_t end = tls_service.module->first_end(tls_service.context, &path);

    if (path != NULL)
        (void)channel_send_patiently(server->channel, MESSAGE_CERTIFICATE,
                                     end < 0 ? 0 : (uint64_t)end, path);
    (void)channel_send_patiently(server->channel, MESSAGE_TLS, 0, NULL);
}

static int
read_bundle(struct ss_server *server, struct errors *errors)
{
    struct tls_bundle *bundle = NULL;
    int error = tls_bundle_from_fd(INHERITED_TLS, &bundle);

    if (error < 0) {
        errors_add(errors, NULL, 0,
                   "cannot read the certificates that the supervisor handed over: "
                   "%s",
                   strerror(-error));
        return error;
    }
    teller = (struct teller){&server->settings, bundle, errors};
    struct tls_setup listener = describe_listener(server, bundle);
    error = tls_service.module->context_new(&listener, &tls_service.context);
    if (error == -ENOMEM)
        errors_add(errors, NULL, 0, "cannot read the certificates: out of memory");
    tls_bundle_unref(bundle);
    return error;
}

static int
load(struct ss_server *server, struct errors *errors)
{
    if (server->transport != NULL && !server->transport->stream) {
        errors_add(errors, server->settings.file, server->settings.line,
                   "listeners.%s.tls: found a datagram socket; TLS is for connections, and there "
                   "is no DTLS: remove it",
                   server->settings.name);
        return -EINVAL;
    }
    if (!is_given(INHERITED_TLS) && !is_given(INHERITED_SOCKET))
        return 0; /* the supervisor could not read the files, and has said so; the rest is tried */
    int error = open_module(errors);
    if (error == 0)
        error = map_tickets(server, errors);
    if (error == 0)
        error = read_bundle(server, errors);
    if (error == 0 && (error = turned_away_new(&tls_service.failed)) < 0)
        errors_add(errors, NULL, 0, "cannot count failed handshakes: %s", strerror(-error));
    return error;
}

int
tls_load(struct ss_server *server, struct errors *errors)
{
    int error = load(server, errors);

    (void)close(INHERITED_TLS);
    (void)close(INHERITED_TICKETS);
    (void)close(INHERITED_TLS_MODULE);
    if (tls_service.context != NULL && error == 0)
        tell_supervisor(server);
    return error;
}
