/* SPDX-License-Identifier: MIT */
/*
 * tls_fixture.h - a listener with TLS, and openssl s_client
 */
#ifndef TESTS_INTEGRATION_TLS_FIXTURE_H
#define TESTS_INTEGRATION_TLS_FIXTURE_H

#include <stdio.h>
#include <unistd.h>

#include "support/client.h"
#include "support/command.h"
#include "support/control.h"
#include "support/daemon.h"
#include "support/proc.h"
#include "support/test.h"
#include "support/tls.h"

#define OPENSSL "/usr/bin/openssl"

/* The files of a certificate for localhost that signs itself. */
static inline const char *
own_files(void)
{
    const char *name = test_path("own");

    if (access(text_of("%s.pem", name), F_OK) != 0)
        TLS_MAKE(name, "ec", "localhost", "-1", "30", "-", "DNS:localhost");
    return text_of("certificate = \"%s.pem\"; key = \"%s.key\";", name, name);
}

/* A listener that runs good_command; more stands in its group `tls`, and even_more in its own. */
static inline struct daemon *
serve_tls(const char *mixin, const char *more, const char *even_more)
{
    return daemon_serve("tcp", mixin, "good_command",
                        text_of("tls = { %s %s }; %s", own_files(), more, even_more));
}

static inline const char *
host_and_port(struct daemon *daemon)
{
    return daemon_address(daemon, "test") + strlen("tcp://");
}

/* What s_client says, standard error included, with these commands for good_command. */
static inline const char *
s_client(struct daemon *daemon, const char *commands, const char *const *arguments)
{
    const char *all[32] = {"s_client", "-connect", host_and_port(daemon), "-ign_eof"};
    size_t count = 4;

    while (*arguments != NULL && count < 31)
        all[count++] = *arguments++;
    struct outcome outcome = command_run(OPENSSL, commands, all);
    return text_of("%s%s", outcome.output, outcome.errors);
}
#define S_CLIENT(daemon, commands, ...)                                                            \
    s_client(daemon, commands, (const char *const[]){__VA_ARGS__, NULL})

#endif
