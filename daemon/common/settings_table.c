/* SPDX-License-Identifier: MIT */
/*
 * settings_table.c - every key a listener can have
 *
 * This is the one place that knows a key's type, range, default and where it applies.
 * sockserverd.conf(5) is tested against it.
 *
 * Runs in:  supervisor and worker.
 * Owns:     nothing: constant data.
 * Failures: none.
 */
#include <string.h>

#include "common/array.h"
#include "common/settings_private.h"

static const char *const sandbox_names[] = {"default", "none", NULL};
static const char *const control_names[] = {"none", "read", NULL};
static const char *const full_names[] = {"wait", "refuse", NULL};
static const char *const reply_names[] = {"if-written", "always", "never", NULL};
static const char *const tls_client_names[] = {"none", "optional", "required", NULL};
static const char *const tls_versions[] = {"1.2", "1.3", NULL};
static const char *const tls_name_keys[] = {"name", "certificate", "key", "ocsp", NULL};

#define AT(member) .offset = offsetof(struct settings, member)
#define DAY        (24 * 3600.0)
#define YEAR       (365 * DAY)
#define MIB        (1024 * 1024.0)
#define TIB        (1024 * 1024 * MIB)

/* The manual has the same order. */
const struct setting settings_table[] = {
    {"address", SETTING_ADDRESS, AT(address), .help = "where to listen, required"},
    {"plugin", SETTING_TEXT, AT(plugin), .help = "name or path of the handler, required"},
    {"mixin", SETTING_CHOICE, AT(mixin), .fallback = "none", .choices = mixin_names,
     .help = "how requests run side by side"},
    {"enabled", SETTING_BOOLEAN, AT(enabled), .fallback = "true",
     .help = "false: defined and shown, but not bound"},

    {"request_queue_size", SETTING_INTEGER, AT(request_queue_size), .min = 1, .max = 65535,
     .applies = APPLIES_STREAM, .help = "connections the kernel keeps waiting"},
    {"reuse_address", SETTING_BOOLEAN, AT(reuse_address), .fallback = "true",
     .applies = APPLIES_INET, .help = "bind although old connections linger"},
    {"reuse_port", SETTING_BOOLEAN, AT(reuse_port), .fallback = "false", .applies = APPLIES_INET,
     .help = "share the port with other daemons"},
    {"nodelay", SETTING_BOOLEAN, AT(nodelay), .fallback = "true",
     .applies = APPLIES_INET | APPLIES_STREAM, .help = "send small segments at once"},
    {"ipv6_only", SETTING_BOOLEAN, AT(ipv6_only), .fallback = "false", .applies = APPLIES_INET,
     .help = "an IPv6 socket takes no IPv4 clients"},
    {"freebind", SETTING_BOOLEAN, AT(freebind), .fallback = "false", .applies = APPLIES_INET,
     .help = "bind an address that this machine does not have yet"},
    {"interface", SETTING_TEXT, AT(interface), .applies = APPLIES_INET,
     .help = "the network interface that clients must come by"},
    {"receive_buffer", SETTING_SIZE, AT(receive_buffer), .min = 4096, .max = 1024 * MIB,
     .zero = true, .help = "the kernel's buffer for what comes in"},
    {"send_buffer", SETTING_SIZE, AT(send_buffer), .min = 4096, .max = 1024 * MIB, .zero = true,
     .help = "the kernel's buffer for what goes out"},
    {"keepalive", SETTING_DURATION, AT(keepalive), .min = 1, .max = 9 * 3600.0, .fallback = "none",
     .zero = true, .applies = APPLIES_INET | APPLIES_STREAM,
     .help = "silence after which the kernel asks whether a client is there"},
    {"socket_mode", SETTING_MODE, AT(socket_mode), .max = 0777, .fallback = "0600",
     .applies = APPLIES_UNIX, .help = "permissions of the socket's path"},
    {"socket_user", SETTING_TEXT, AT(socket_user), .applies = APPLIES_UNIX,
     .help = "owner of the socket's path"},
    {"socket_group", SETTING_TEXT, AT(socket_group), .applies = APPLIES_UNIX,
     .help = "group of the socket's path"},

    {"max_connections", SETTING_INTEGER, AT(max_connections), .min = 1, .max = 1000000,
     .help = "requests at a time"},
    {"rate", SETTING_RATE, AT(rate), .max = 1e6, .fallback = "none",
     .help = "requests of the whole listener; accepting pauses until there is room"},
    {"on_full", SETTING_CHOICE, AT(on_full), .fallback = "wait", .choices = full_names,
     .applies = APPLIES_STREAM | APPLIES_MIXIN(MIXIN_THREADING) | APPLIES_MIXIN(MIXIN_FORKING) |
                APPLIES_MIXIN(MIXIN_COROUTINE),
     .help = "at max_connections, further clients wait, or are closed"},
    {"spare", SETTING_INTEGER, AT(spare), .min = 0, .max = 10000, .fallback = "1",
     .applies = APPLIES_MIXIN(MIXIN_THREADING) | APPLIES_MIXIN(MIXIN_FORKING),
     .help = "idle threads or children kept ready"},
    {"recycle_after", SETTING_INTEGER, AT(recycle_after), .min = 0, .max = 1e9,
     .applies = APPLIES_MIXIN(MIXIN_FORKING), .help = "requests per child; 0: no limit"},
    {"cpus", SETTING_INTEGER, AT(cpus), .min = 1, .max = 1024, .fallback = "1",
     .applies = APPLIES_MIXIN(MIXIN_NONE) | APPLIES_MIXIN(MIXIN_COROUTINE),
     .help = "worker processes (none) or event loops (coroutine)"},
    {"stack_size", SETTING_SIZE, AT(stack_size), .min = 64 * 1024.0, .max = 1024 * MIB,
     .fallback = "256K", .applies = APPLIES_MIXIN(MIXIN_THREADING) | APPLIES_MIXIN(MIXIN_COROUTINE),
     .help = "stack of a thread or coroutine; what is not touched costs nothing"},

    {"read_timeout", SETTING_DURATION, AT(read_timeout), .max = YEAR, .fallback = "60s",
     .zero = true, .help = "longest wait for the client to send"},
    {"write_timeout", SETTING_DURATION, AT(write_timeout), .max = YEAR, .fallback = "60s",
     .zero = true, .help = "longest wait for the client to receive"},
    {"request_timeout", SETTING_DURATION, AT(request_timeout), .max = YEAR, .fallback = "none",
     .zero = true, .help = "longest duration of a whole request"},
    {"max_connection_age", SETTING_DURATION, AT(max_connection_age), .max = YEAR,
     .fallback = "none", .zero = true, .applies = APPLIES_STREAM,
     .help = "age at which a connection is asked to end, give or take a tenth"},
    {"message_timeout", SETTING_DURATION, AT(message_timeout), .max = YEAR, .fallback = "60s",
     .zero = true, .applies = APPLIES_STREAM,
     .help = "longest duration of a line or block, from its first byte"},
    {"min_rate", SETTING_SIZE, AT(min_rate), .min = 1, .max = 1024 * MIB, .fallback = "500",
     .zero = true, .applies = APPLIES_STREAM,
     .help = "bytes that add a second to message_timeout; 0: none do"},
    {"spin_limit", SETTING_DURATION, AT(spin_limit), .max = YEAR, .fallback = "10s", .zero = true,
     .help = "processor time that a handler may use without a wait"},
    {"timeout", SETTING_DURATION, AT(timeout), .max = YEAR, .fallback = "none", .zero = true,
     .help = "idle time after which handle_timeout is called"},
    {"service_interval", SETTING_DURATION, AT(service_interval), .min = 0.001, .max = YEAR,
     .fallback = "500ms", .help = "time between calls of service_actions"},

    {"max_packet_size", SETTING_SIZE, AT(max_packet_size), .min = 1, .max = 65535,
     .fallback = "65535", .applies = APPLIES_DATAGRAM, .help = "longer datagrams are cut"},
    {"max_line", SETTING_SIZE, AT(max_line), .min = 1, .max = 16 * MIB, .fallback = "64K",
     .help = "longest line ss_readline returns"},
    {"read_buffer", SETTING_SIZE, AT(read_buffer), .min = 512, .max = 16 * MIB, .fallback = "16K",
     .applies = APPLIES_STREAM, .help = "input taken from the kernel at once"},
    {"write_buffer", SETTING_SIZE, AT(write_buffer), .min = 512, .max = 16 * MIB, .fallback = "16K",
     .zero = true, .applies = APPLIES_STREAM, .help = "output gathered before it is sent; 0: none"},
    {"reply", SETTING_CHOICE, AT(reply), .fallback = "if-written", .choices = reply_names,
     .applies = APPLIES_DATAGRAM, .help = "when a datagram is answered"},

    {"drain_timeout", SETTING_DURATION, AT(drain_timeout), .max = YEAR, .fallback = "30s",
     .help = "time running requests get to end"},
    {"block_on_close", SETTING_BOOLEAN, AT(block_on_close), .fallback = "true",
     .help = "a stop waits for running requests"},
    {"daemon_threads", SETTING_BOOLEAN, AT(daemon_threads), .fallback = "false",
     .applies = APPLIES_MIXIN(MIXIN_THREADING), .help = "a stop does not wait for threads"},
    {"kill_helpers", SETTING_BOOLEAN, AT(kill_helpers), .fallback = "true",
     .help = "what the plugin has started ends with the worker"},

    {"user", SETTING_TEXT, AT(user), .help = "the worker's user"},
    {"group", SETTING_TEXT, AT(group), .help = "the worker's group"},
    {"umask", SETTING_MODE, AT(umask), .max = 0777, .help = "the worker's file mode mask"},
    {"nice", SETTING_SIGNED, AT(nice), .min = -20, .max = 19,
     .help = "the worker's priority; 19 yields to everybody"},
    {"groups", SETTING_LIST, AT(groups), .max = 65536, .numbers = true,
     .example = "[ \"adm\", \"ssl-cert\" ]", .help = "the worker's supplementary groups"},

    {"capabilities", SETTING_LIST, AT(capabilities), .max = 64,
     .example = "[ \"net_bind_service\" ]", .help = "the worker's capabilities"},

    {"sandbox", SETTING_CHOICE, AT(sandbox), .fallback = "default", .choices = sandbox_names,
     .help = "whether system calls and files that no handler needs are taken away"},
    {"control_access", SETTING_CHOICE, AT(control_access), .fallback = "none",
     .choices = control_names, .help = "whether the plugin may see how the daemon is"},
    {"no_new_privileges", SETTING_BOOLEAN, AT(no_new_privileges), .fallback = "true",
     .help = "no program that the plugin starts gains rights, by setuid for example"},

    {"limits", SETTING_GROUP, .help = "the worker's resource limits"},
    {"limits.nofile", SETTING_NUMBER_LIMIT, AT(limits.nofile), .min = 16, .max = 1e9,
     .help = "descriptors of a process"},
    {"limits.nproc", SETTING_NUMBER_LIMIT, AT(limits.nproc), .min = 1, .max = 1e9,
     .help = "processes and threads of the worker's user"},
    {"limits.as", SETTING_SIZE_LIMIT, AT(limits.as), .min = MIB, .max = 1024 * TIB,
     .help = "address space of a process"},
    {"limits.cpu", SETTING_TIME_LIMIT, AT(limits.cpu), .min = 1, .max = YEAR,
     .help = "processor time of a process"},
    {"limits.core", SETTING_SIZE_LIMIT, AT(limits.core), .max = 1024 * TIB,
     .help = "size of a core dump"},
    {"limits.stack", SETTING_SIZE_LIMIT, AT(limits.stack), .min = 64 * 1024.0, .max = 1024 * TIB,
     .help = "stack of a process's first thread"},

    {"allow", SETTING_LIST, AT(allow), .max = 1000, .example = "[ \"192.0.2.0/24\", \"local\" ]",
     .help = "who may come in; a longer list is a file: \"@/path\""},
    {"deny", SETTING_LIST, AT(deny), .max = 1000, .example = "[ \"192.0.2.0/24\", \"@/path\" ]",
     .help = "who is turned away; a longer list is a file: \"@/path\""},

    {"max_per_source", SETTING_INTEGER, AT(max_per_source), .min = 1, .max = 1000000, .zero = true,
     .applies = APPLIES_STREAM, .help = "requests of one source at a time"},
    {"rate_per_source", SETTING_RATE, AT(rate_per_source), .max = 1e6, .fallback = "none",
     .help = "requests of one source in a time"},
    {"burst_per_source", SETTING_INTEGER, AT(burst_per_source), .min = 1, .max = 2e6,
     .help = "requests of one source that may come at once"},
    {"source_prefix", SETTING_GROUP, .help = "how much of an address makes a source"},
    {"source_prefix.ipv4", SETTING_INTEGER, AT(source_prefix.ipv4), .min = 1, .max = 32,
     .fallback = "32", .help = "bits of an IPv4 address"},
    {"source_prefix.ipv6", SETTING_INTEGER, AT(source_prefix.ipv6), .min = 1, .max = 128,
     .fallback = "64", .help = "bits of an IPv6 address"},
    {"penalty", SETTING_GROUP, .help = "how long a source that misbehaves is turned away"},
    {"penalty.crash", SETTING_DURATION, AT(penalty.crash), .max = DAY, .fallback = "90s",
     .zero = true, .help = "after a child or worker crashed for it"},
    {"penalty.handshake", SETTING_DURATION, AT(penalty.handshake), .max = DAY, .fallback = "10s",
     .zero = true, .help = "after its handshake or PROXY header failed"},
    {"penalty.slow", SETTING_DURATION, AT(penalty.slow), .max = DAY, .fallback = "10s",
     .zero = true, .help = "after it was too slow"},
    {"penalty.handler", SETTING_DURATION, AT(penalty.handler), .max = DAY, .fallback = "10s",
     .zero = true, .help = "after the plugin said so, but not for how long"},
    {"penalty.max", SETTING_DURATION, AT(penalty.max), .min = 1, .max = DAY, .fallback = "10m",
     .help = "penalties add up to this"},
    {"penalty.exempt", SETTING_LIST, AT(penalty.exempt), .max = 1000, .fallback = "local",
     .example = "[ \"192.0.2.0/24\", \"local\" ]", .help = "who gets no penalty"},

    {"proxy", SETTING_GROUP, .applies = APPLIES_STREAM,
     .help = "a PROXY header is required: who may send it"},
    {"proxy.trusted", SETTING_LIST, AT(proxy.trusted), .max = 1000, .applies = APPLIES_STREAM,
     .example = "[ \"192.0.2.10\", \"local\" ]", .help = "balancers, and nobody else"},
    {"proxy.timeout", SETTING_DURATION, AT(proxy.timeout), .min = 0.1, .max = 3600,
     .fallback = "5s", .applies = APPLIES_STREAM, .help = "time in which the header must come"},

    {"tls", SETTING_GROUP, .applies = APPLIES_STREAM, .help = "requests are encrypted"},
    {"tls.certificate", SETTING_LIST, AT(tls.certificate), .min = 1, .max = 4,
     .applies = APPLIES_STREAM, .example = "[ \"ecdsa.pem\", \"rsa.pem\" ]",
     .help = "PEM file of the certificate and of those that it was signed with"},
    {"tls.key", SETTING_LIST, AT(tls.key), .min = 1, .max = 4, .applies = APPLIES_STREAM,
     .example = "[ \"ecdsa.key\", \"rsa.key\" ]", .help = "PEM file of the certificate's key"},
    {"tls.names", SETTING_GROUPS, AT(tls.names), .max = 1000, .applies = APPLIES_STREAM,
     .example = "( { name = \"*.example.org\"; certificate = \"/path\"; key = \"/path\"; } )",
     .keys = tls_name_keys, .optional = 1,
     .help = "certificates for clients that ask for one of these names"},
    {"tls.ocsp", SETTING_TEXT, AT(tls.ocsp), .applies = APPLIES_STREAM,
     .help = "file of the OCSP response that goes with the certificate"},
    {"tls.client", SETTING_CHOICE, AT(tls.client), .fallback = "none", .choices = tls_client_names,
     .applies = APPLIES_STREAM, .help = "whether clients show a certificate"},
    {"tls.client_ca", SETTING_TEXT, AT(tls.client_ca), .applies = APPLIES_STREAM,
     .help = "PEM file of those who may sign a client's certificate"},
    {"tls.crl", SETTING_TEXT, AT(tls.crl), .applies = APPLIES_STREAM,
     .help = "PEM file of the lists of revoked certificates of clients"},
    {"tls.minimum", SETTING_CHOICE, AT(tls.minimum), .fallback = "1.2", .choices = tls_versions,
     .applies = APPLIES_STREAM, .help = "oldest version of the protocol"},
    {"tls.ciphers", SETTING_TEXT, AT(tls.ciphers), .applies = APPLIES_STREAM,
     .help = "ciphers of TLS 1.2, as OpenSSL names them"},
    {"tls.ciphersuites", SETTING_TEXT, AT(tls.ciphersuites), .applies = APPLIES_STREAM,
     .help = "ciphers of TLS 1.3"},
    {"tls.groups", SETTING_TEXT, AT(tls.groups), .applies = APPLIES_STREAM,
     .help = "key exchange: curves and groups, the preferred one first"},
    {"tls.alpn", SETTING_LIST, AT(tls.alpn), .max = 32, .applies = APPLIES_STREAM,
     .example = "[ \"http/1.1\" ]", .help = "protocols inside TLS, the preferred one first"},
    {"tls.handshake_timeout", SETTING_DURATION, AT(tls.handshake_timeout), .min = 0.1, .max = 3600,
     .fallback = "10s", .applies = APPLIES_STREAM, .help = "time in which a handshake must end"},
    {"tls.tickets", SETTING_BOOLEAN, AT(tls.tickets), .fallback = "true", .applies = APPLIES_STREAM,
     .help = "clients may resume a session without a full handshake"},
};

const size_t settings_count = ARRAY_SIZE(settings_table);

_Static_assert(ARRAY_SIZE(settings_table) <= SETTINGS_MOST, "a setting_set has a bit for each row");

const struct setting *
setting_find(const char *key)
{
    for (size_t i = 0; i < settings_count; i++)
        if (strcmp(settings_table[i].key, key) == 0)
            return &settings_table[i];
    return NULL;
}

const struct setting *
setting_group_of(const char *key)
{
    size_t size = strcspn(key, ".");

    for (size_t i = 0; key[size] == '.' && i < settings_count; i++)
        if (settings_table[i].type == SETTING_GROUP && strlen(settings_table[i].key) == size &&
            strncmp(settings_table[i].key, key, size) == 0)
            return &settings_table[i];
    return NULL;
}

bool
setting_given(const struct settings *settings, const struct setting *setting)
{
    return setting_set_has(&settings->given, setting);
}

bool
setting_is_required(const struct setting *setting)
{
    return setting->offset == offsetof(struct settings, address) ||
           setting->offset == offsetof(struct settings, plugin);
}

bool
setting_refused(const struct settings *settings, const struct setting *setting)
{
    return setting_set_has(&settings->refused, setting);
}

/* True if the key asks for none of the bits in mask, or for one that the listener has. */
static bool
matches(uint32_t applies, uint32_t mask, uint32_t is)
{
    return (applies & mask) == 0 || (applies & mask & is) != 0;
}

bool
setting_applies(const struct settings *settings, const struct setting *setting)
{
    const uint32_t families = APPLIES_INET | APPLIES_UNIX;
    const uint32_t kinds = APPLIES_STREAM | APPLIES_DATAGRAM;
    const struct address *address = &settings->address;
    bool nowhere = address->text != NULL && address_is_unix(address) && *address->path == '@';
    uint32_t is = families | kinds; /* a socket of systemd's could be anything */

    if (setting->applies == APPLIES_UNIX && nowhere)
        return false; /* permissions are a path's */

    if (address->text != NULL && address->scheme != ADDRESS_SYSTEMD) {
        is = address_is_unix(address) ? APPLIES_UNIX : APPLIES_INET;
        is |= address_is_stream(address) ? APPLIES_STREAM : APPLIES_DATAGRAM;
    }
    return matches(setting->applies, families, is) && matches(setting->applies, kinds, is) &&
           (setting_refused(settings, setting_find("mixin")) ||
            matches(setting->applies, ~(families | kinds), APPLIES_MIXIN(settings->mixin)));
}
