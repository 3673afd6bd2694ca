/* SPDX-License-Identifier: MIT */
/*
 * tls_thread.c - the least that TLS with a thread for each connection must do
 *
 * usage: limit-tls_thread [-d] CERTIFICATE KEY ADDRESS
 *   -d  downloads in place of echo: for each line "WORD BYTES" so many bytes
 */
#include "threads.h"
#include "tls.h"

#define STACK (256 * 1024)

static SSL_CTX *context;
static bool downloads;

static bool
answer(SSL *ssl, const char *bytes, size_t size)
{
    static const char piece[PIECE];

    if (!downloads)
        return tls_send_all(ssl, bytes, size);
    for (uint64_t left = tls_wanted(bytes, size), part; left > 0; left -= part) {
        part = left < PIECE ? left : PIECE;
        if (!tls_send_all(ssl, piece, part))
            return false;
    }
    return true;
}

static void
serve(int fd)
{
    SSL *ssl = tls_open(context, fd);
    char bytes[4096];
    int got;

    while ((got = SSL_read(ssl, bytes, sizeof(bytes))) > 0 && answer(ssl, bytes, (size_t)got))
        ;
    tls_close(ssl);
}

int
main(int argc, char **argv)
{
    for (int c; (c = getopt(argc, argv, "d")) != -1;)
        downloads = c == 'd';
    if (argc - optind != 3)
        return 2;
    context = tls_context(argv[optind], argv[optind + 1], false);
    run_threads(tls_server(argv[optind + 2], 0), STACK, serve);
}
