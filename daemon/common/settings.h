/* SPDX-License-Identifier: MIT */
/*
 * settings.h - everything that is known about one listener before it runs
 *
 * One table, `settings_table`, describes every listener key: it drives reading
 * the file, --set, defaults, ranges, messages, what the worker is told, and
 * the test of the manual.
 */
#ifndef SOCKSERVERD_COMMON_SETTINGS_H
#define SOCKSERVERD_COMMON_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/access_list.h"
#include "common/address.h"
#include "common/errors.h"
#include "common/mixins.h"
#include "common/tls_bundle.h"
#include "common/value.h"

enum control_access { CONTROL_NONE, CONTROL_READ };

enum sandbox_mode { SANDBOX_DEFAULT, SANDBOX_NONE };

enum full_mode { FULL_WAIT, FULL_REFUSE };
enum reply_mode { REPLY_IF_WRITTEN, REPLY_ALWAYS, REPLY_NEVER };
enum tls_client { TLS_CLIENT_NONE, TLS_CLIENT_OPTIONAL, TLS_CLIENT_REQUIRED };
enum tls_version { TLS_VERSION_1_2, TLS_VERSION_1_3 };

/* So many requests in so many seconds; count 0: no limit. */
struct request_rate {
    uint32_t count, period;
};

/* One entry of the listener's `options` group, not yet checked against the plugin. */
struct option_setting {
    char *name;
    struct given given; /* owned */
};

#define SETTINGS_MOST 128 /* rows of settings_table */

/* Some rows of settings_table. Begins as zeroes, which is none. */
struct setting_set {
    uint64_t words[SETTINGS_MOST / 64];
};

struct settings {
    char *name; /* of the listener */
    char *file; /* where its entry begins; NULL: command line */
    unsigned line;

    struct address address;
    char *plugin;      /* as written */
    char *plugin_file; /* the path to load, found by settings_finish() */
    enum mixin_kind mixin;
    struct option_setting *options;
    size_t option_count;

    bool enabled;
    uint32_t request_queue_size; /* 0: the kernel's maximum */
    bool reuse_address, reuse_port, nodelay, ipv6_only, freebind;
    char *interface;                      /* NULL: not given */
    uint64_t receive_buffer, send_buffer; /* bytes; 0: not given */
    double keepalive;                     /* seconds; 0: none */
    uint32_t socket_mode;
    char *socket_user, *socket_group; /* NULL: unchanged */
    uint32_t max_connections, spare, recycle_after, cpus;
    struct request_rate rate; /* of the whole listener */
    enum full_mode on_full;
    uint64_t stack_size;
    double read_timeout, write_timeout, request_timeout; /* seconds; 0: none */
    enum control_access control_access;
    double max_connection_age; /* the same */
    double message_timeout;    /* the same */
    uint64_t min_rate;         /* bytes per second; 0: a longer message gets no more time */
    double timeout, service_interval, spin_limit;                  /* seconds; 0: none */
    uint64_t max_packet_size, max_line, read_buffer, write_buffer; /* bytes */
    enum reply_mode reply;
    double drain_timeout;
    bool block_on_close, daemon_threads, kill_helpers;
    char *user, *group; /* NULL: not given */
    uid_t uid;          /* resolved by settings_finish(); (uid_t)-1: unchanged */
    gid_t gid;
    char *login, *home, *shell; /* of uid, resolved by settings_finish(); NULL: uid is unchanged */
    uid_t socket_uid;
    gid_t socket_gid;
    uint32_t umask; /* UMASK_UNCHANGED: the supervisor's */
    int32_t nice;   /* NICE_UNCHANGED: the supervisor's */
    char **groups;  /* supplementary ones, NULL at the end; NULL: not given */
    gid_t *gids;    /* resolved by settings_finish(), each once */
    uint32_t gid_count;
    enum sandbox_mode sandbox;
    bool no_new_privileges;
    char **capabilities; /* NULL at the end; NULL: not given; see capabilities.h */
    struct {
        uint64_t nofile, nproc, as, cpu, core, stack; /* LIMIT_UNCHANGED: the supervisor's */
    } limits;

    char **allow, **deny;       /* NULL at the end; NULL: not given */
    struct access_list *access; /* of both, made by access_compile(); NULL: both are empty, or their
                                   holder was not told what is in them */

    uint32_t max_per_source; /* 0: no limit */
    struct request_rate rate_per_source;
    uint32_t burst_per_source;
    struct {
        uint32_t ipv4, ipv6; /* bits */
    } source_prefix;
    struct {
        double crash, handshake, slow, handler, max; /* seconds; 0: none */
        char **exempt;                               /* NULL at the end */
    } penalty;

    struct {
        char **trusted; /* NULL at the end; NULL: not given, no PROXY header is required */
        double timeout; /* seconds */
    } proxy;

    struct {
        char **certificate, **key; /* paths, in pairs; NULL at the end; NULL: not given */
        char **names;              /* groups, see settings_groups.h */
        char *ocsp, *client_ca, *crl;
        enum tls_client client;
        enum tls_version minimum;
        char *ciphers, *ciphersuites, *groups; /* as OpenSSL wants them; NULL: its own */
        char **alpn;
        double handshake_timeout; /* seconds */
        bool tickets;
    } tls;
    struct tls_bundle *tls_files; /* what the files hold, made by tls_read(); NULL: no TLS, or
                                     their holder was not told what is in them */

    struct setting_set given;   /* not defaulted */
    struct setting_set refused; /* given a value that was wrong */

    struct given *places; /* row i: where it was given, without its text; NULL: nowhere yet */

    unsigned references; /* 0: not shared */
};

#define LEAST_PER_SOURCE 16 /* as max_per_source is, if it is not given */

#define UMASK_UNCHANGED UINT32_MAX
#define NICE_UNCHANGED  INT32_MIN
#define LIMIT_UNCHANGED (UINT64_MAX - 1)
#define LIMIT_NONE      UINT64_MAX /* "unlimited" */

enum setting_type {
    SETTING_TEXT,
    SETTING_ADDRESS,
    SETTING_BOOLEAN,
    SETTING_INTEGER,      /* uint32_t; see `zero` */
    SETTING_SIGNED,       /* int32_t */
    SETTING_SIZE,         /* uint64_t bytes */
    SETTING_DURATION,     /* double seconds; see `zero` */
    SETTING_RATE,         /* struct request_rate; "none" is 0 */
    SETTING_MODE,         /* uint32_t, octal text such as "0660" */
    SETTING_CHOICE,       /* enum, one of choices */
    SETTING_LIST,         /* char **, see texts.h: texts, none of them empty or of two lines */
    SETTING_NUMBER_LIMIT, /* uint64_t, as are the next two: a whole number, or "unlimited" */
    SETTING_SIZE_LIMIT,   /* bytes */
    SETTING_TIME_LIMIT,   /* whole seconds */
    SETTING_GROUPS,       /* char **, a list of groups: see settings_groups.h */
    SETTING_GROUP         /* no value of its own: its keys are rows of the table, "GROUP.KEY" */
};

/* Bits of setting.applies: where the key means something. Given elsewhere it is a mistake. */
#define APPLIES_INET     0x01u /* tcp, udp */
#define APPLIES_UNIX     0x02u /* unix, unixgram (a path; systemd: allowed) */
#define APPLIES_STREAM   0x04u
#define APPLIES_DATAGRAM 0x08u
#define APPLIES_MIXIN(m) (0x10u << (m))
#define APPLIES_ALWAYS   0u

struct setting {
    const char *key;
    enum setting_type type;
    size_t offset;        /* in struct settings */
    double min, max;      /* of a list, the number of its items */
    const char *fallback; /* default as text; NULL: none, or settings_finish() works it out */
    const char *const *choices;
    uint32_t applies;
    const char *help;    /* one line */
    bool zero;           /* sizes: 0 is allowed below min; durations: 0 is none, and "none" is 0;
                            integers: "none" is 0 */
    bool numbers;        /* lists: an item may be a whole number without quotes */
    const char *example; /* lists: such a list, as it stands in the file */
    const char *const *keys; /* lists of groups: the keys of each */
    unsigned optional;       /* of these, the last so many may be missing */
};

extern const struct setting settings_table[];
extern const size_t settings_count;

const struct setting *setting_find(const char *key);

/* Returns the group that the key is in, by its name ("limits" for "limits.nofile"), or NULL. */
const struct setting *setting_group_of(const char *key);

/* In this order: the listener was given the key; its value was refused; every listener needs it;
 * it means anything to this listener (in doubt, it does). */
bool setting_given(const struct settings *settings, const struct setting *setting);
bool setting_refused(const struct settings *settings, const struct setting *setting);
/* The first of these, of the key of that name. */
bool settings_have(const struct settings *settings, const char *key);
bool setting_is_required(const struct setting *setting);
bool setting_applies(const struct settings *settings, const struct setting *setting);

/* Writes the value as text that settings_set() reads back; the caller frees it. A list has one
 * item in each line. Returns 0, -ENODATA if the key is unset, or -ENOMEM. */
int setting_format(const struct settings *settings, const struct setting *setting, char **ret);

/*
 * The caller provides the memory in which settings are begun, given values,
 * and finished. Then they are shared, and nothing changes them any more.
 *
 * settings_init() gives no key a value. name is copied; NULL makes the
 * settings the file's `defaults` group, and messages then say so.
 * settings_fill() gives the table's default to every key that has no value or
 * whose value was refused. Both return 0 or -ENOMEM.
 */
int settings_init(struct settings *settings, const char *name);
int settings_fill(struct settings *settings);
void settings_done(struct settings *settings);

/*
 * Moves settings to where they are immutable and counted, and returns the
 * first reference; NULL without memory. *settings is empty afterwards in
 * either case. settings_unref(NULL) is fine.
 */
const struct settings *settings_share(struct settings *settings);
const struct settings *settings_ref(const struct settings *settings);
void settings_unref(const struct settings *settings);

/* Gives settings that were unpacked the table of their lists, and what the files of `tls` hold,
 * which come apart from them. The caller keeps its own reference, and lets nobody look at the
 * settings before. */
void settings_give_access(const struct settings *settings, struct access_list *access);
void settings_give_tls(const struct settings *settings, struct tls_bundle *files);

/*
 * Gives one key a value. If it is wrong, a mistake is added to errors
 * (`FILE:LINE: listeners.NAME.KEY: ...`; without a file, `--set KEY: ...`, or
 * the name of the option that gave it) and the setting keeps its old value.
 * Plain text is added to a list; "" counts as given, and adds nothing.
 */
void settings_set(struct settings *settings, const char *key, const struct given *given,
                  struct errors *errors);

/* Adds a mistake in one key, in the same form, at the place of given. */
void settings_mistake(const struct settings *settings, const char *key, const struct given *given,
                      struct errors *errors, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Adds a mistake in one key, at the place where the key was given. */
void settings_mistake_at(const struct settings *settings, const struct setting *setting,
                         struct errors *errors, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Gives one key the value that it has in `from`, and its place there. Returns 0 or -ENOMEM. */
int settings_inherit(struct settings *settings, const struct setting *setting,
                     const struct settings *from);

/* Adds one plugin option. name and given are copied. Returns 0 or -ENOMEM. */
int settings_add_option(struct settings *settings, const char *name, const struct given *given);

/*
 * Does what needs all keys: checks that required keys are there and that the
 * others apply, fills in defaults (some depend on the mixin), looks up users
 * and groups, and finds the plugin's file in plugin_path, a list separated by
 * colons. A missing file is NOT an error here: plugin_file is then the best
 * guess. Mistakes are added to errors.
 */
void settings_finish(struct settings *settings, const char *plugin_path, struct errors *errors);

/* Returns where the key was given, without its text; nowhere, in a worker. */
const struct given *settings_place(const struct settings *settings, const char *key);
/* The same of an item of a list. If one text was given instead of a list, or on a command line,
 * there are no items, and it is the list's. */
struct given settings_place_of_item(const struct settings *settings, const char *key, size_t i);

/* True if there is an `allow` or `deny` with something in it. */
bool settings_restrict_access(const struct settings *settings);

/* True if the listener speaks TLS: `tls` or one of its keys was given. */
bool settings_want_tls(const struct settings *settings);
/* True if the listener can turn anybody away for what its source does, so that it needs a table of
 * sources. */
bool settings_limit_sources(const struct settings *settings);

/* True if both would run the same; places are not compared. Both must be finished. */
bool settings_equal(const struct settings *one, const struct settings *other);

/* Turn finished settings into bytes for a worker, and back. The caller frees *ret_bytes.
 * settings_pack() returns 0 or a negative errno, settings_unpack() 0, -EBADMSG or -ENOMEM. */
int settings_pack(const struct settings *settings, char **ret_bytes, size_t *ret_size);
int settings_unpack(const char *bytes, size_t size, struct settings *ret);
/* Do the same, and keep where each key was given and which values were refused. */
int settings_pack_places(const struct settings *settings, char **ret_bytes, size_t *ret_size);
int settings_unpack_places(const char *bytes, size_t size, struct settings *ret);

#endif
