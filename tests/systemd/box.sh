#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Boots a systemd of its own and runs a script under it, as root of a small world: PID, mount,
# network, IPC, UTS and cgroup namespaces; private overlays of /etc, /var and /usr; /tmp, /run and
# /dev in memory; no clock, no modules, no reboot, /proc/sys and /sys read-only. Nothing of it is
# left when it ends, and it ends with the PID 1 of that world.
#
#     box.sh SCRIPT SOURCE BUILD
#
# Exit status: the script's, or 77 where there can be no such world.
set -u

skip() { echo "skipped: $1"; exit 77; }

# ---- inside: becomes PID 1 -------------------------------------------------------------------

in_memory() { # FOLDER: writes go to memory
    local layer=/run/box/layers$1
    mkdir -p "$layer/upper" "$layer/work"
    mount -t overlay -o "lowerdir=$1,upperdir=$layer/upper,workdir=$layer/work" overlay "$1"
}

make_devices() {
    mount -t tmpfs -o mode=755 tmpfs /dev
    mkdir /dev/pts /dev/shm
    mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts
    mount -t tmpfs tmpfs /dev/shm
    local name minor
    while read -r name minor; do mknod -m 666 "/dev/$name" c 1 "$minor"; done <<'LIST'
null 3
zero 5
full 7
random 8
urandom 9
LIST
    mknod -m 666 /dev/tty c 5 0
    ln -s pts/ptmx /dev/ptmx
    ln -s /proc/self/fd /dev/fd
    ln -s fd/0 /dev/stdin; ln -s fd/1 /dev/stdout; ln -s fd/2 /dev/stderr
    touch /dev/console
}

make_units() {
    mkdir -p /run/box/units /run/box/generators
    local target
    for target in sysinit basic sockets shutdown network-online nss-lookup multi-user emergency; do
        printf '[Unit]\nDescription=%s\nDefaultDependencies=no\n' "$target" \
            >"/run/box/units/$target.target"
    done
    printf '[Unit]\nDescription=test\nDefaultDependencies=no\nWants=systemd-journald.service\n' \
        >/run/box/units/test.target
    cp /lib/systemd/system/systemd-journald{.service,.socket,-dev-log.socket} /run/box/units
}

inside() {
    set -e
    local source=$1 build=$2
    mount -t proc proc /proc
    mount --bind /proc/sys /proc/sys
    mount -o remount,bind,ro /proc/sys
    mount -t tmpfs -o mode=755 tmpfs /run
    case $source$build in
    */tmp/*) mkdir -p /run/box/tree /run/box/build # would be out of sight
             mount --bind "$source" /run/box/tree
             mount --bind "$build" /run/box/build ;;
    esac
    in_memory /etc; in_memory /var; in_memory /usr
    mount -t tmpfs -o mode=1777 tmpfs /tmp
    if [ -d /run/box/tree ]; then
        mkdir -p "$source" "$build"
        mount --bind /run/box/tree "$source"
        mount --bind /run/box/build "$build"
    fi
    mount -t sysfs -o ro sysfs /sys
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    make_devices
    make_units
    ip link set lo up
    local never=-sys_time,-sys_module,-sys_boot,-sys_rawio,-syslog
    exec setpriv --bounding-set "$never" --inh-caps "$never" \
        env -i container=test PATH="$PATH" SYSTEMD_UNIT_PATH=/run/box/units: \
        SYSTEMD_GENERATOR_PATH=/run/box/generators \
        SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/run/box/generators \
        /lib/systemd/systemd --unit=test.target --log-target=console --show-status=0
}

if [ "$1" = --inside ]; then
    inside "$2" "$3" 2>/dev/null >&2
    exit 1
fi

# ---- outside ------------------------------------------------------------------------------------

script=$(realpath "$1") source=$(realpath "$2") build=$(realpath "$3")
! grep -Eqs '^SANITIZE:.*=.+' "$build/CMakeCache.txt" ||
    skip "a sanitizer's runtime does not live with the unit's hardening and deadlines"
[ "$(id -u)" = 0 ] || skip "needs root to make namespaces"
[ -x /lib/systemd/systemd ] || skip "systemd is not installed"
for program in unshare nsenter setpriv ip; do
    type "$program" >/dev/null 2>&1 || skip "needs the program $program"
done
groups=$(awk '$3 == "cgroup2" {print $2; exit}' /proc/mounts)
[ -n "$groups" ] || skip "needs a mounted cgroup2 file system"
group=$groups/sockserverd-test-$$
mkdir "$group" 2>/dev/null || skip "cannot make a control group in $groups"
unshare --cgroup --mount --pid --fork --uts --ipc --net true 2>/dev/null || {
    rmdir "$group"
    skip "may not make namespaces"
}

first=
end() {
    [ -z "$first" ] || kill -9 "$first" 2>/dev/null
    [ -z "${world:-}" ] || wait "$world" 2>/dev/null
    local try
    for try in $(seq 50); do # until the kernel has let go of its processes
        find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null
        [ -d "$group" ] || return
        sleep 0.05
    done
}
trap end EXIT
trap 'exit 1' INT TERM

(
    echo "$BASHPID" >"$group/cgroup.procs"
    exec unshare --cgroup --mount --pid --fork --kill-child --uts --ipc --net \
        --propagation private "$0" --inside "$source" "$build" 2>/dev/null
) &
world=$!

enter() { nsenter -t "$first" -m -p -u -i -n -C "$@"; }

booted() {
    first=$(tr -d ' ' 2>/dev/null <"/proc/$world/task/$world/children") && [ -n "$first" ] &&
        [ "$(cat "/proc/$first/comm" 2>/dev/null)" = systemd ] &&
        enter systemctl is-active --quiet test.target 2>/dev/null
}
for try in $(seq 600); do
    booted && break
    kill -0 "$world" 2>/dev/null || skip "systemd did not start in a namespace here"
    sleep 0.1
done
booted || skip "systemd did not come up within a minute"

enter bash "$script" "$source" "$build"
status=$?
if [ "$status" != 0 ]; then
    echo "---- what that systemd said"
    tail -50 "/proc/$first/root/dev/console"
    enter journalctl --no-pager -u sockserverd -n 80
fi
exit "$status"
