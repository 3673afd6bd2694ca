/* SPDX-License-Identifier: MIT */
/*
 * test_exec_peers.c - programs that were written for inetd, with their own clients
 *
 * git and busybox are in test_exec_services.c. A row whose program or client is not installed is
 * skipped by its name.
 */
#include "exec_fixture.h"

#include <errno.h>
#include <sys/stat.h>

#include "common/array.h"

/* "%D" stands for the test's folder, "%A" for HOST:PORT, "%P" for the port. */
struct peer {
    const char *name;
    const char *scheme, *mixin;
    const char *programs[2]; /* that must be installed */
    bool root;               /* it must become somebody, or be in a root of its own */
    const char *prepare;     /* a shell command, before the daemon starts */
    const char *options, *more;
    const char *client; /* a shell command; "input" is a file of 300,000 bytes */
    const char *says;   /* what stands in its output */
};

#define CAPABLE                                                                                    \
    "capabilities = [ \"setuid\", \"setgid\", \"sys_chroot\", \"chown\", \"fowner\", "             \
    "\"dac_override\", \"kill\", \"audit_write\", \"net_bind_service\" ]; sandbox = \"none\"; "    \
    "no_new_privileges = false;"

static const struct peer peers[] = {
    {.name = "rsync --daemon",
     .scheme = "tcp",
     .mixin = "forking",
     .programs = {"/usr/bin/rsync"},
     .prepare =
         "mkdir %D/module && cp %D/input %D/module/ && printf 'use chroot = no\\nlog file = "
         "%D/rsync.log\\n[files]\\npath = %D/module\\nread only = yes\\n' >%D/rsyncd.conf && "
         "chmod -R a+rwX %D",
     .options = "command = \"/usr/bin/rsync\"; arguments = [ \"--daemon\", "
                "\"--config=%D/rsyncd.conf\" ]; stderr = \"client\";",
     .client = "rsync -a rsync://%A/files/ copy/ && cmp copy/input input && echo same",
     .says = "same\n"},
    {.name = "tftpd",
     .scheme = "udp",
     .mixin = "none",
     .programs = {"/usr/sbin/in.tftpd", "/usr/bin/tftp"},
     .root = true,
     .prepare = "mkdir %D/tftp && cp %D/input %D/tftp/ && chmod -R a+rX %D",
     .options = "command = \"/usr/sbin/in.tftpd\"; arguments = [ \"-s\", \"%D/tftp\" ]; "
                "stderr = \"client\"; wait = true;",
     .more = CAPABLE,
     .client =
         "for i in 1 2 3; do tftp -m binary 127.0.0.1 %P -c get input got && cmp got input && "
         "rm got || exit 1; done; echo same",
     .says = "same\n"},
    {.name = "fingerd",
     .scheme = "tcp",
     .mixin = "threading",
     .programs = {"/usr/sbin/in.fingerd", "/usr/bin/finger"},
     .options = "command = \"/usr/sbin/in.fingerd\"; stderr = \"client\";",
     .client = "printf 'root\\r\\n' | nc -w 5 127.0.0.1 %P",
     .says = "root"},
    {.name = "an SMTP script",
     .scheme = "tcp",
     .mixin = "coroutine",
     .programs = {"/usr/bin/curl"},
     .prepare =
         "chmod a+rwX %D && printf '%%s\\n' '#!/bin/sh' 'printf \"220 here\\\\r\\\\n\"' "
         "'while read -r verb rest; do' 'case $verb in' "
         "'DATA*) printf \"354 go on\\\\r\\\\n\"; while read -r line; do "
         "case $line in .?) break;; esac; echo \"$line\" >>%D/mail; done; "
         "printf \"250 kept\\\\r\\\\n\" ;;' "
         "'QUIT*) printf \"221 bye\\\\r\\\\n\"; exit ;;' '*) printf \"250 ok\\\\r\\\\n\" ;;' "
         "'esac' 'done' >%D/smtp && chmod a+x %D/smtp && echo 'Subject: hello' >%D/message",
     .options = "command = \"%D/smtp\"; stderr = \"client\";",
     .client =
         "curl -s smtp://%A --mail-from a@example.org --mail-rcpt b@example.org -T message && "
         "cat mail",
     .says = "Subject: hello"},
    {.name = "sshd -i",
     .scheme = "tcp",
     .mixin = "forking",
     .programs = {"/usr/sbin/sshd", "/usr/bin/ssh"},
     .root = true,
     .prepare = "mkdir -p /run/sshd; ssh-keygen -q -t ed25519 -N '' -f %D/host && "
                "ssh-keygen -q -t ed25519 -N '' -f %D/key && cp %D/key.pub %D/allowed",
     .options =
         "command = \"/usr/sbin/sshd\"; arguments = [ \"-i\", \"-f\", \"/dev/null\", \"-h\", "
         "\"%D/host\", \"-o\", \"AuthorizedKeysFile=%D/allowed\", \"-o\", "
         "\"StrictModes=no\", \"-o\", \"UsePAM=no\" ]; stderr = \"null\";",
     .more = CAPABLE,
     .client = "ssh -n -i key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o "
               "BatchMode=yes -p %P root@127.0.0.1 'echo as $(id -un)'",
     .says = "as root\n"},
    {.name = "vsftpd",
     .scheme = "tcp",
     .mixin = "forking",
     .programs = {"/usr/sbin/vsftpd", "/usr/bin/curl"},
     .root = true,
     .prepare =
         "mkdir -p /run/vsftpd/empty %D/ftp && cp %D/input %D/ftp/ && chmod 755 %D %D/ftp && "
         "chmod 644 %D/ftp/input && "
         "printf 'listen=NO\\nanonymous_enable=YES\\nanon_root=%D/ftp\\nseccomp_sandbox=NO\\n"
         "isolate=NO\\nisolate_network=NO\\nsetproctitle_enable=NO\\n' >%D/vsftpd.conf",
     .options = "command = \"/usr/sbin/vsftpd\"; arguments = [ \"%D/vsftpd.conf\" ]; "
                "stderr = \"null\";",
     .more = CAPABLE,
     .client = "curl -s -o got ftp://%A/input && cmp got input && echo same",
     .says = "same\n"},
    {.name = "nbdkit -s",
     .scheme = "tcp",
     .mixin = "threading",
     .programs = {"/usr/bin/nbdkit", "/usr/bin/nbdinfo"},
     .options = "command = \"/usr/bin/nbdkit\"; arguments = [ \"-s\", \"memory\", \"8M\" ];",
     .client = "nbdinfo --size nbd://%A",
     .says = "8388608\n"},
};

static const char *
filled_in(const char *text)
{
    return replaced(replaced(text, "%D", test_folder()), "%%", "%");
}

static const char *
output_of(const char *command)
{
    if (system(text_of("cd %s && { %s; } >output 2>&1 </dev/null", test_folder(), command)) < 0)
        fail_msg("cannot run %s", command);
    return file_text(test_path("output"));
}

static void
need_programs(const struct peer *peer)
{
    for (size_t i = 0; i < ARRAY_SIZE(peer->programs); i++)
        if (peer->programs[i] != NULL && access(peer->programs[i], X_OK) < 0) {
            print_message("skipped: %s is not installed\n", peer->programs[i]);
            skip();
        }
    if (peer->root)
        need_root("to become somebody else");
}

static void
a_service_of_inetd_serves_its_client(void **state)
{
    const struct peer *peer = *state;

    need_programs(peer);
    assert_return_code(chmod(test_folder(), 0777), errno);
    (void)output_of("head -c 300000 /dev/urandom >input && chmod 644 input");
    if (peer->prepare != NULL)
        assert_string_equal(output_of(filled_in(peer->prepare)), "");
    struct daemon *daemon =
        daemon_start("log = { target = \"stderr\"; access = true; };\nlisteners = {\n%s};",
                     listener_text("test", peer->scheme, peer->mixin, "exec",
                                   text_of("options = { %s };\n%s %s", filled_in(peer->options),
                                           peer->more == NULL ? "" : peer->more,
                                           peer->root ? "user = \"root\";" : "")));
    const char *address = strstr(daemon_address(daemon, "test"), "://") + 3;
    const char *client =
        replaced(replaced(peer->client, "%A", address), "%P", strrchr(address, ':') + 1);

    assert_contains(output_of(filled_in(client)), peer->says);
    daemon_expect_stop(daemon);
}

#define PEER(number, name) TEST_ROW(a_service_of_inetd_serves_its_client, &peers[number], name)

RUN_TESTS(PEER(0, "rsync --daemon"), PEER(1, "tftpd"), PEER(2, "fingerd"), PEER(3, "SMTP"),
          PEER(4, "sshd -i"), PEER(5, "vsftpd"), PEER(6, "nbdkit -s"))
