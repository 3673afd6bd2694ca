#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What systemd and sockserverd are to each other, seen from the inside of box.sh.
#
#     service.sh SOURCE BUILD
set -u
source=$1 build=$2
trap '' PIPE # a client that is reset shall say so, not die
settings=/etc/sockserverd/sockserverd.conf

# ---- telling --------------------------------------------------------------------------------

. "$source/tests/support/expect.sh"
property() { systemctl show -P "$1" "${2:-sockserverd}"; }
# COMMAND...: until it succeeds, at most 60 s; no busy loop.
await() {
    local end=$((SECONDS + 60))
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.02
    done
}
has() { [ "$(property "$1")" = "$2" ]; }
logged() { journalctl -u sockserverd -o cat | grep -c -- "$1"; } # TEXT: in so many lines
has_logged() { [ "$(logged "$2")" -ge "$1" ]; }                    # LINES TEXT

# ---- clients --------------------------------------------------------------------------------

ask() { # PORT TEXT; 2: refused
    local answer
    exec 9<>"/dev/tcp/127.0.0.1/$1" || return 2
    printf '%s\n' "$2" >&9
    IFS= read -r -t 30 answer <&9
    exec 9>&-
    printf '%s' "$answer"
} 2>/dev/null

# Asks again and again until told to stop, and writes how often it went well and how often not.
load() { # PORT FILE
    local good=0 bad=0 number=0
    while [ ! -e "$2.stop" ]; do
        number=$((number + 1))
        if [ "$(ask "$1" "load $number")" = "load $number" ]; then
            good=$((good + 1))
        else
            bad=$((bad + 1))
        fi
    done
    echo "$good $bad" >"$2"
}
start_load() {
    load_files=/tmp/load-$((++load_number))
    load 7007 "$load_files.a" & load_one=$!
    load 7008 "$load_files.b" & load_two=$!
}
stop_load() { # TEXT
    local good=0 bad=0 more_good more_bad
    touch "$load_files.a.stop" "$load_files.b.stop"
    wait "$load_one" "$load_two"
    for file in "$load_files.a" "$load_files.b"; do
        read -r more_good more_bad <"$file"
        good=$((good + more_good)) bad=$((bad + more_bad))
    done
    expect "$1: failed of $good requests" "$bad" 0
    [ "$good" -ge 20 ] || expect "$1: requests made" "$good" "20 or more"
}
load_number=0

# ---- the world ------------------------------------------------------------------------------

cmake --install "$build" >/dev/null || exit 1
unit=$(find /usr/local/lib /usr/lib -path '*systemd/system/sockserverd.service' | head -1)
cp "$unit" /run/box/units/
program=$(sed -n 's/^ExecStart=//p' "$unit")
control=$(sed -n 's/^ExecReload=\([^ ]*\).*/\1/p' "$unit")
systemd-sysusers "$source/systemd/sockserverd.sysusers"
systemd-tmpfiles --create "$source/systemd/sockserverd.tmpfiles"

drop_in() { # NAME, and its text on standard input
    mkdir -p /run/box/units/sockserverd.service.d
    cat >"/run/box/units/sockserverd.service.d/$1.conf"
    systemctl daemon-reload
}
# What a person would wait for is not what a test waits for.
printf '[Unit]\nStartLimitIntervalSec=0\n' | drop_in limit

configure() {
    cat >"$settings" <<TEXT
listeners = {
    one  = { address = "tcp://127.0.0.1:7007"; plugin = "echo"; mixin = "threading"; };
    two  = { address = "tcp://127.0.0.1:7008"; plugin = "echo"; mixin = "forking"; };
    low  = { address = "tcp://127.0.0.1:80"; plugin = "echo"; $low };
    path = { address = "unix:///run/sockserverd/echo.sock"; plugin = "echo"; $path };
    dgram = { address = "udp://127.0.0.1:7009"; plugin = "echo"; };
    $1
};
TEXT
}
low='user = "sockserverd"; group = "sockserverd";'
path='socket_mode = "0666"; socket_user = "sockserverd";'

# ---- start ----------------------------------------------------------------------------------

configure ""
systemctl start sockserverd
expect "start succeeds" $? 0
expect "ActiveState" "$(property ActiveState)" active
expect "SubState" "$(property SubState)" running
await has StatusText "5 serving" # said just after it is ready
expect "StatusText" "$(property StatusText)" "5 serving"
expect "a client is answered" "$(ask 7007 hello)" hello
expect "port 80 is served" "$(ask 80 low)" low
expect "the Unix path's owner and mode" \
    "$(stat -c '%U %a' /run/sockserverd/echo.sock)" "sockserverd 666"
expect "descriptors stored: five sockets and a path" "$(property NFileDescriptorStore)" 6

main=$(property MainPID)
facts() { # COMMAND-LINE-PATTERN KEY...
    local pid pattern=$1
    shift
    pid=$(pgrep -f -- "--worker $pattern\$")
    for key in "$@"; do awk -v key="$key:" '$1 == key {printf "%s ", $2}' "/proc/$pid/status"; done
}
expect "a worker's identity, capabilities, no_new_privs, seccomp" \
    "$(facts low Uid CapEff CapPrm NoNewPrivs Seccomp)" \
    "$(id -u sockserverd) 0000000000000000 0000000000000000 1 2 "
await has_logged 5 'no_new_privs, seccomp'
expect "a worker confines itself although the unit does, too" \
    "$(logged 'no_new_privs, seccomp')" 5

# ---- reload -----------------------------------------------------------------------------------

configure 'three = { address = "tcp://127.0.0.1:7010"; plugin = "echo"; };'
if [ -x "$control" ]; then
    systemctl reload sockserverd
    expect "a good reload succeeds" $? 0
    expect "the new listener is there when it returns" "$(ask 7010 new)" new
    configure 'three = { address = "tcp://127.0.0.1:7010"; plugin = "echo"; mixin = "threads"; };'
    systemctl reload sockserverd 2>/dev/null
    expect "a bad reload fails" $? 1
else
    systemctl kill --kill-whom=main -s HUP sockserverd
    await [ "$(ask 7010 new)" = new ]
    configure 'three = { address = "tcp://127.0.0.1:7010"; plugin = "echo"; mixin = "threads"; };'
    systemctl kill --kill-whom=main -s HUP sockserverd
fi
expect "the old configuration goes on" "$(ask 7007 on)" on
await has SubState running
expect "state after the reloads" "$(property ActiveState) $(property SubState)" "active running"
expect "the same process" "$(property MainPID)" "$main"
configure ""

# ---- restarts ----------------------------------------------------------------------------------

start_load
for round in $(seq 20); do
    systemctl restart sockserverd || expect "restart $round" $? 0
done
stop_load "20 restarts"
expect "descriptors stored after the restarts" "$(property NFileDescriptorStore)" 6
expect "the Unix path survived" "$(test -S /run/sockserverd/echo.sock && echo yes)" yes

# ---- sudden death -------------------------------------------------------------------------------

before=$(property NRestarts)
end=$((SECONDS + 60))
kill -9 "$(property MainPID)"
# What a worker had accepted dies with it; whoever comes then waits in the queue.
refused=0
until answer=$(ask 7007 patience); status=$?; [ "$answer" = patience ]; do
    [ "$status" != 2 ] || refused=$((refused + 1))
    [ "$SECONDS" -lt "$end" ] || break
done
expect "a client that comes at once is not refused" "$refused" 0
expect "but answered" "$answer" patience
await has SubState running
expect "NRestarts" "$(property NRestarts)" $((before + 1))
await pgrep -f -- "--worker one\$"
expect "no worker is left behind" "$(pgrep -c -f -- '--worker one$')" 1

# ---- upgrade ---------------------------------------------------------------------------------------

main=$(property MainPID)
start_load
for round in $(seq 3); do
    reloads=$(logged "reloaded: ")
    kill -USR2 "$main"
    # Each is followed by a reload.
    await has_logged "$round" "upgraded" && await has_logged $((reloads + 1)) "reloaded: " ||
        expect "upgrade $round" no yes
done
stop_load "3 upgrades"
await has ActiveState active # said just after the reload is done
expect "the same process, still the manager's" \
    "$(property MainPID) $(property ActiveState) $(property SubState)" "$main active running"
expect "no restart was counted" "$(property NRestarts)" $((before + 1))

# ---- watchdog ---------------------------------------------------------------------------------------

printf '[Service]\nWatchdogSec=4\nTimeoutAbortSec=1\n' | drop_in watchdog
systemctl restart sockserverd
before=$(property NRestarts)
kill -STOP "$(property MainPID)"
restarted() { [ "$(property NRestarts)" -gt "$before" ]; }
await restarted
expect "the watchdog ends what hangs" "$(property NRestarts)" $((before + 1))
await has SubState running
expect "and service goes on" "$(ask 7007 again)" again
rm /run/box/units/sockserverd.service.d/watchdog.conf
systemctl daemon-reload

# ---- stop -------------------------------------------------------------------------------------------

systemctl stop sockserverd
expect "stop succeeds" $? 0
expect "state after the stop" \
    "$(property ActiveState) $(property Result) $(property ExecMainStatus)" "inactive success 0"
expect "nothing is stored" "$(property NFileDescriptorStore)" 0
expect "the runtime folder is gone" "$(test -e /run/sockserverd && echo there)" ""
expect "no process is left" "$(pgrep -c -x sockserverd) $(pgrep -c -x worker)" "0 0"

# ---- one user ------------------------------------------------------------------------------------------

low='' path='socket_mode = "0666";'
configure ""
drop_in one-user <"$source/systemd/examples/one-user.conf"
systemctl start sockserverd
await has StatusText "5 serving"
expect "one user: StatusText" "$(property StatusText)" "5 serving"
expect "one user: port 80 without root" "$(ask 80 low)" low
expect "one user: the supervisor's only capability" \
    "$(awk '$1 == "CapEff:" {print $2}' "/proc/$(property MainPID)/status")" 0000000000000400
expect "one user: a worker" "$(facts one Uid CapEff CapAmb)" \
    "$(id -u sockserverd) 0000000000000000 0000000000000000 "
systemctl stop sockserverd
rm /run/box/units/sockserverd.service.d/one-user.conf
systemctl daemon-reload

# ---- mistakes ---------------------------------------------------------------------------------------------

echo 'listeners = { one = { address = "tcp://127.0.0.1:7007"; plugin = "echo"; mixin = "threads"; }; };' \
    >"$settings"
systemctl start sockserverd 2>/dev/null
expect "a start with mistakes fails" $? 1
expect "and is not tried again" \
    "$(property ActiveState) $(property ExecMainStatus) $(property NRestarts)" "failed 78 0"
systemctl reset-failed sockserverd

# ---- socket activation --------------------------------------------------------------------------------------

cp "$source"/systemd/examples/*.socket /run/box/units/
systemctl daemon-reload
cat >"$settings" <<'TEXT'
listeners = {
    tcp = { address = "systemd:echo-tcp"; plugin = "echo"; mixin = "threading"; };
    udp = { address = "systemd:echo-udp"; plugin = "echo"; };
    unix = { address = "systemd:echo-unix"; plugin = "echo"; };
    unixgram = { address = "systemd:echo-unixgram"; plugin = "echo"; };
};
TEXT
systemctl start sockserverd-{tcp,udp,unix,unixgram}.socket
expect "the sockets wait, the service does not run" \
    "$(property ActiveState sockserverd-tcp.socket) $(property ActiveState)" "active inactive"
expect "the first client starts it" "$(ask 7 hello)" hello
await has StatusText "4 serving"
expect "all four kinds" "$(property StatusText)" "4 serving"
expect "what a socket unit passed is not stored" "$(property NFileDescriptorStore)" 0
systemctl restart sockserverd
expect "after a restart" "$(ask 7 hello)" hello
systemctl kill --kill-whom=main -s TERM sockserverd
await has ActiveState inactive
expect "after its end the socket still listens and starts it" "$(ask 7 again)" again
expect "the paths are still there" \
    "$(test -S /run/echo.sock && test -S /run/echo-datagram.sock && echo yes)" yes
systemctl stop sockserverd-{tcp,udp,unix,unixgram}.socket
systemctl stop sockserverd
expect "stop" "$(property ActiveState) $(property Result)" "inactive success"

echo
[ "$failures" = 0 ] && echo "all well after $SECONDS s" || echo "$failures failures"
[ "$failures" = 0 ]
