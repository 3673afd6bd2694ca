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
#include "common/settings.h"

static const char *const reply_names[] = {"if-written", "always", "never", NULL};

#define AT(member) .offset = offsetof(struct settings, member)
#define DAY        (24 * 3600.0)
#define YEAR       (365 * DAY)
#define MIB        (1024 * 1024.0)
#define TIB        (1024 * 1024 * MIB)

/* The manual has the same order. A row's number is its bit in settings.set: append rows, or
 * rebuild everything. */
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

    {"proxy", SETTING_GROUP, .applies = APPLIES_STREAM,
     .help = "a PROXY header is required: who may send it"},
    {"proxy.trusted", SETTING_LIST, AT(proxy.trusted), .max = 1000, .applies = APPLIES_STREAM,
     .example = "[ \"192.0.2.10\", \"local\" ]", .help = "balancers, and nobody else"},
    {"proxy.timeout", SETTING_DURATION, AT(proxy.timeout), .min = 0.1, .max = 3600,
     .fallback = "5s", .applies = APPLIES_STREAM, .help = "time in which the header must come"},
};

const size_t settings_count = ARRAY_SIZE(settings_table);

_Static_assert(ARRAY_SIZE(settings_table) <= 64, "settings.set has a bit for each row");

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
    return (settings->set >> (setting - settings_table) & 1) != 0;
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
    return (settings->wrong >> (setting - settings_table) & 1) != 0;
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
