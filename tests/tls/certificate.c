/* SPDX-License-Identifier: MIT */
/*
 * certificate.c - makes certificates for tests, each with a key of its own
 *
 *   certificate OUT KEY SUBJECT FROM UNTIL ISSUER [NAME...]
 *
 * writes OUT.pem and OUT.key. KEY is "ec", "rsa" or "rsa1024"; SUBJECT a common
 * name; FROM and UNTIL are days from now, or seconds ("5s"). ISSUER is the OUT of an earlier one,
 * "-" for a certificate that signs itself, "ca" for one that may also sign others. NAMES are
 * subject alternative names ("DNS:a.example").
 *
 *   certificate --revoke OUT ISSUER UNTIL [CERTIFICATE...]
 *
 * writes OUT.crl, the list of these certificates (each an earlier OUT) as revoked.
 *
 *   certificate --ocsp OUT ISSUER CERTIFICATE UNTIL
 *
 * writes OUT.ocsp, in DER: the issuer says that the certificate is good.
 */
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY (24 * 3600L)

static void
fail(const char *what)
{
    (void)fprintf(stderr, "certificate: cannot %s\n", what);
    exit(1);
}

static long
seconds_of(const char *text)
{
    char *end;
    long number = strtol(text, &end, 10);

    return *end == 's' ? number : number * DAY;
}

static FILE *
open_file(const char *name, const char *suffix, const char *mode)
{
    char path[4096];

    (void)snprintf(path, sizeof(path), "%s.%s", name, suffix);
    FILE *file = fopen(path, mode);
    if (file == NULL)
        fail(path);
    return file;
}

static X509 *
read_certificate(const char *name)
{
    FILE *file = open_file(name, "pem", "re");
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);

    (void)fclose(file);
    if (certificate == NULL)
        fail("read a certificate");
    return certificate;
}

static EVP_PKEY *
read_key(const char *name)
{
    FILE *file = open_file(name, "key", "re");
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);

    (void)fclose(file);
    if (key == NULL)
        fail("read a key");
    return key;
}

static EVP_PKEY *
make_key(const char *kind)
{
    EVP_PKEY *key = strcmp(kind, "ec") == 0    ? EVP_EC_gen("P-256")
                    : strcmp(kind, "rsa") == 0 ? EVP_RSA_gen(2048)
                                               : EVP_RSA_gen(1024);
    if (key == NULL)
        fail("make a key");
    return key;
}

static void
extend(X509 *certificate, X509 *issuer, int kind, const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    if (extension == NULL || X509_add_ext(certificate, extension, -1) != 1)
        fail("add an extension");
    X509_EXTENSION_free(extension);
}

static void
name_alternatives(X509 *certificate, X509 *issuer, char **names)
{
    char all[1024] = "";

    for (; *names != NULL; names++) {
        (void)strncat(all, all[0] == '\0' ? "" : ",", sizeof(all) - strlen(all) - 1);
        (void)strncat(all, *names, sizeof(all) - strlen(all) - 1);
    }
    if (all[0] != '\0')
        extend(certificate, issuer, NID_subject_alt_name, all);
}

static void
set_serial(X509 *certificate)
{
    unsigned char bytes[8];

    (void)RAND_bytes(bytes, sizeof(bytes));
    bytes[0] = (unsigned char)((bytes[0] & 0x3f) | 0x40);
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    (void)BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
}

static int
make(char **arguments)
{
    const char *out = arguments[0], *issuer_name = arguments[5];
    bool ca = strcmp(issuer_name, "ca") == 0, self = ca || strcmp(issuer_name, "-") == 0;
    X509 *certificate = X509_new();
    EVP_PKEY *key = make_key(arguments[1]);
    X509 *issuer = self ? certificate : read_certificate(issuer_name);
    EVP_PKEY *issuer_key = self ? key : read_key(issuer_name);
    X509_NAME *subject = X509_get_subject_name(certificate);

    (void)X509_set_version(certificate, X509_VERSION_3);
    set_serial(certificate);
    (void)X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                     (const unsigned char *)arguments[2], -1, -1, 0);
    (void)X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
    (void)X509_gmtime_adj(X509_getm_notBefore(certificate), seconds_of(arguments[3]));
    (void)X509_gmtime_adj(X509_getm_notAfter(certificate), seconds_of(arguments[4]));
    (void)X509_set_pubkey(certificate, key);
    if (ca)
        extend(certificate, issuer, NID_basic_constraints, "critical,CA:TRUE");
    name_alternatives(certificate, issuer, arguments + 6);
    if (X509_sign(certificate, issuer_key, EVP_sha256()) == 0)
        fail("sign");
    FILE *file = open_file(out, "pem", "we");
    (void)PEM_write_X509(file, certificate);
    (void)fclose(file);
    file = open_file(out, "key", "we");
    (void)PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    return fclose(file);
}

static int
revoke(char **arguments)
{
    X509_CRL *list = X509_CRL_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, -3 * DAY);
    ASN1_TIME *until = X509_gmtime_adj(NULL, seconds_of(arguments[2]));

    (void)X509_CRL_set_version(list, X509_CRL_VERSION_2);
    (void)X509_CRL_set_issuer_name(list, X509_get_subject_name(read_certificate(arguments[1])));
    (void)X509_CRL_set1_lastUpdate(list, now);
    (void)X509_CRL_set1_nextUpdate(list, until);
    for (char **name = arguments + 3; *name != NULL; name++) {
        X509_REVOKED *revoked = X509_REVOKED_new();
        (void)X509_REVOKED_set_serialNumber(revoked,
                                            X509_get_serialNumber(read_certificate(*name)));
        (void)X509_REVOKED_set_revocationDate(revoked, now);
        (void)X509_CRL_add0_revoked(list, revoked);
    }
    (void)X509_CRL_sort(list);
    if (X509_CRL_sign(list, read_key(arguments[1]), EVP_sha256()) == 0)
        fail("sign");
    FILE *file = open_file(arguments[0], "crl", "we");
    (void)PEM_write_X509_CRL(file, list);
    return fclose(file);
}

static int
vouch(char **arguments)
{
    X509 *issuer = read_certificate(arguments[1]), *certificate = read_certificate(arguments[2]);
    ASN1_TIME *now = X509_gmtime_adj(NULL, -2 * DAY);
    ASN1_TIME *until = X509_gmtime_adj(NULL, strtol(arguments[3], NULL, 10) * DAY);
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();

    (void)OCSP_basic_add1_status(basic, OCSP_cert_to_id(NULL, certificate, issuer),
                                 V_OCSP_CERTSTATUS_GOOD, 0, NULL, now, until);
    if (OCSP_basic_sign(basic, issuer, read_key(arguments[1]), EVP_sha256(), NULL, 0) != 1)
        fail("sign");
    OCSP_RESPONSE *response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    unsigned char *der = NULL;
    int size = i2d_OCSP_RESPONSE(response, &der);
    FILE *file = open_file(arguments[0], "ocsp", "we");
    (void)fwrite(der, 1, (size_t)size, file);
    OPENSSL_free(der);
    return fclose(file);
}

int
main(int count, char **arguments)
{
    if (count >= 5 && strcmp(arguments[1], "--revoke") == 0)
        return revoke(arguments + 2);
    if (count == 6 && strcmp(arguments[1], "--ocsp") == 0)
        return vouch(arguments + 2);
    if (count >= 7)
        return make(arguments + 1);
    (void)fprintf(stderr, "certificate: see the head of tests/tls/certificate.c\n");
    return 2;
}
