/* SPDX-License-Identifier: MIT */
/*
 * failure.c - why a handshake failed, in words for an operator
 *
 * Runs in:  a serving context of a worker.
 * Owns:     nothing; all texts are constant.
 * Failures: none.
 */
#include <openssl/err.h>

#include "worker/tls/tls_private.h"

/* Where OpenSSL's own words would puzzle somebody. */
static const struct {
    int reason;
    const char *text;
} words[] = {
    {SSL_R_HTTP_REQUEST, "not TLS, but an HTTP request"},
    {SSL_R_HTTPS_PROXY_REQUEST, "not TLS, but a request to an HTTP proxy"},
    {SSL_R_WRONG_VERSION_NUMBER, "not TLS"},
    {SSL_R_UNSUPPORTED_PROTOCOL, "the client's version of TLS is too old"},
    {SSL_R_NO_SHARED_CIPHER, "no shared cipher"},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, "no shared signature algorithm"},
    {SSL_R_NO_SUITABLE_KEY_SHARE, "no shared group"},
    {SSL_R_NO_SHARED_GROUPS, "no shared group"},
    {SSL_R_NO_APPLICATION_PROTOCOL, "no shared protocol (ALPN)"},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "certificate required"},
    {SSL_R_INAPPROPRIATE_FALLBACK, "the client fell back to an older version of TLS"},
};

/* What the client complained of. */
static const struct {
    int alert;
    const char *text;
} alerts[] = {
    {SSL_AD_UNKNOWN_CA, "the client says: unknown CA"},
    {SSL_AD_BAD_CERTIFICATE, "the client says: bad certificate"},
    {SSL_AD_UNSUPPORTED_CERTIFICATE, "the client says: unsupported certificate"},
    {SSL_AD_CERTIFICATE_REVOKED, "the client says: certificate revoked"},
    {SSL_AD_CERTIFICATE_EXPIRED, "the client says: certificate expired"},
    {SSL_AD_CERTIFICATE_UNKNOWN, "the client says: certificate unknown"},
    {SSL_AD_HANDSHAKE_FAILURE, "the client says: handshake failure"},
    {SSL_AD_PROTOCOL_VERSION, "the client says: protocol version"},
    {SSL_AD_INSUFFICIENT_SECURITY, "the client says: insufficient security"},
    {SSL_AD_BAD_CERTIFICATE_STATUS_RESPONSE, "the client says: bad certificate status"},
};

#define COUNT(table) (sizeof(table) / sizeof(*(table)))

#define ALERTS 256 /* there are so many numbers of alerts, behind SSL_AD_REASON_OFFSET */

bool
is_alert(unsigned long error)
{
    int reason = ERR_GET_REASON(error);

    return ERR_GET_LIB(error) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET &&
           reason < SSL_AD_REASON_OFFSET + ALERTS;
}

/* The first error of TLS itself; what it followed from, or what followed from it, says less. */
static unsigned long
telling_error(void)
{
    unsigned long first = ERR_peek_error(), error;

    while ((error = ERR_get_error()) != 0)
        if (ERR_GET_LIB(error) == ERR_LIB_SSL)
            return error;
    return first;
}

static const char *
alert_text(int alert)
{
    for (size_t i = 0; i < COUNT(alerts); i++)
        if (alerts[i].alert == alert)
            return alerts[i].text;
    return "the client broke it off";
}

const char *
failure_text(SSL *ssl)
{
    unsigned long error = telling_error();
    int reason = ERR_GET_REASON(error);

    if (error == 0)
        return NULL;
    if (is_alert(error))
        return alert_text(reason - SSL_AD_REASON_OFFSET);
    if (ERR_GET_LIB(error) == ERR_LIB_SSL && reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
        return X509_verify_cert_error_string(SSL_get_verify_result(ssl));
    for (size_t i = 0; i < COUNT(words) && ERR_GET_LIB(error) == ERR_LIB_SSL; i++)
        if (words[i].reason == reason)
            return words[i].text;
    return ERR_reason_error_string(error);
}
