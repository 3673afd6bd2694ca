#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The container image: built by buildah from nothing, and run by podman as an orchestrator would run it,
# with another user, no capabilities, a root that cannot be written, and a volume whose files change by
# the turn of a link. Where these programs are missing or cannot run, the same file system runs in
# namespaces of its own, and the first line says so.
#
#     image.sh SOURCE BUILD
#
# No network but the loopback of the container is used, and no other image is fetched.
set -u

source=$(realpath "$1") build=$(realpath "$2")
user=4711
skip() { echo "skipped: $1"; exit 77; }
[ "$(id -u)" = 0 ] || skip "it needs root, to enter a container's network"
command -v ldd >/dev/null && command -v unshare >/dev/null || skip "ldd or unshare is missing"

work=$(mktemp -d "${TMPDIR:-/tmp}/sockserverd-image-XXXXXX")
volume=$work/volume

# ---- telling ---------------------------------------------------------------------------------

. "$source/tests/support/expect.sh"

wait_until() { # TEXT COMMAND...: until it succeeds, a minute at most
    local text=$1 end=$((SECONDS + ${PATIENCE:-60}))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || { expect "$text" "not within a minute" "it happens"; return 1; }
        sleep 0.1
    done
    echo "ok       $text"
}

# ---- two ways to run it ----------------------------------------------------------------------

podman=(podman --root "$work/store" --runroot "$work/run" --tmpdir "$work/tmp" --storage-driver vfs
    --cgroup-manager cgroupfs --events-backend file --runtime runc)
limit=$(ulimit -Hn)

build_image() {
    buildah --root "$work/store" --runroot "$work/run" --storage-driver vfs build --isolation chroot \
        -t sockserverd "$work/context" >"$work/build.log" 2>&1
}

podman_start() {
    "${podman[@]}" run -d --name served --network none --read-only --user $user:$user --cap-drop all \
        --security-opt no-new-privileges --ulimit "nofile=$limit:$limit" --ulimit nproc=4096:4096 \
        --read-only-tmpfs=false --tmpfs /run/sockserverd:mode=1777 -v "$volume:/etc/sockserverd:ro" sockserverd >/dev/null 2>"$work/podman.log"
}
podman_pid() { "${podman[@]}" inspect --format '{{.State.Pid}}' served; }
podman_log() { "${podman[@]}" logs served 2>&1; }
podman_ctl() { "${podman[@]}" exec served /usr/bin/sockserverctl "$@" 2>>"$work/ctl.log"; }
podman_stop() { "${podman[@]}" kill --signal TERM served >/dev/null; }
podman_status() { status=$("${podman[@]}" wait served); }
podman_clean() { "${podman[@]}" rm -f served; "${podman[@]}" rmi -f sockserverd; }

# Becomes PID 1 of what unshare has made.
unshared='
set -e
root=$1 volume=$2 user=$3
mount --make-rprivate /
mount --bind -o ro "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/run/sockserverd"
mount --bind "$volume" "$root/etc/sockserverd"
ip link set lo up
exec setpriv --no-new-privs chroot --userspec="$user:$user" "$root" \
    /usr/bin/sockserverd -c /etc/sockserverd/sockserverd.conf'
unshare_start() {
    unshare --mount --pid --net --ipc --fork --kill-child bash -c "$unshared" bash "$work/context/root" \
        "$volume" $user </dev/null >"$work/log" 2>&1 &
    unshare=$!
}
unshare_pid() { pgrep -P $unshare; }
unshare_log() { cat "$work/log"; }
unshare_ctl() { nsenter -t "$(unshare_pid)" --mount --pid --net --root /usr/bin/sockserverctl "$@"; }
unshare_stop() { kill -TERM "$(unshare_pid)"; }
unshare_status() { # its process is a child of this shell, and of no other
    wait $unshare
    status=$?
}
unshare_clean() { kill -KILL $unshare; }

log() { ${way}_log; }
ctl() { ${way}_ctl "$@"; }

choose_way() {
    local program
    for program in buildah podman runc; do
        command -v $program >/dev/null || { way=unshare why="$program is missing"; return; }
    done
    way=podman
    if ! build_image; then
        way=unshare why="buildah cannot build here: $(tail -n 1 "$work/build.log")"
    elif ! podman_start; then
        way=unshare why="podman cannot run here: $(tail -n 1 "$work/podman.log")"
    fi
}

clean() {
    ${way:-:}_clean
    rm -rf "$work"
}
trap 'clean >/dev/null 2>&1' EXIT

# ---- a client --------------------------------------------------------------------------------

ask() { # PORT TEXT: what one line is answered with, inside
    nsenter -t "$pid" --net timeout 10 bash -c '
        exec 9<>"/dev/tcp/127.0.0.1/$1" && printf "%s\n" "$2" >&9 && IFS= read -r answer <&9 &&
        printf "%s" "$answer"' bash "$1" "$2"
}
answers() { [ "$(ask "$1" "$2")" = "$3" ]; }
says() { log | grep -q -- "$1"; }
is_ready() { ctl health; }
is_not_ready() { ctl health | grep -q 'not ready'; }

# ---- the volume ------------------------------------------------------------------------------

# volume_is NAME TEXT: all files are exchanged at once, as Kubernetes does it.
volume_is() {
    mkdir "$volume/..$1"
    printf '%s\n' "$2" >"$volume/..$1/sockserverd.conf"
    ln -s "..$1" "$volume/..data_new"
    mv -T "$volume/..data_new" "$volume/..data"
}

shipped=$(cat "$source/packaging/container/sockserverd.conf")
with_upper=${shipped/listeners = \{/listeners = \{ upper = \{ address = \"tcp://*:7008\"; plugin = \"upper\"; mixin = \"threading\"; \};}

mkdir -p "$volume" "$work/context"
cp "$source/packaging/container/Containerfile" "$work/context"
"$source/packaging/container/make-root.sh" "$build" "$work/context/root" || exit 1
volume_is 1 "$shipped"
ln -s ..data/sockserverd.conf "$volume/sockserverd.conf"

# ---- the tests -------------------------------------------------------------------------------

choose_way
if [ $way = unshare ]; then
    echo "in namespaces, without an image: $why"
    unshare_start
else
    echo "as an image, by buildah and podman"
fi
wait_until "it says that it listens" says 'listening on tcp'
pid=$(${way}_pid)
expect "it is process 1" "$(awk '/^NSpid:/ { print $NF }' "/proc/$pid/status")" 1
expect "it has the user it was given" "$(awk '/^Uid:/ { print $2 }' "/proc/$pid/status")" $user
expect "it has no capability" "$(awk '/^CapEff:/ { print $2 }' "/proc/$pid/status")" 0000000000000000
expect "it answers" "$(ask 7007 hello)" hello
wait_until "it is ready" is_ready
expect "there is no shell in it" "$(find "$work/context/root" -name '*sh' -type f -perm /111)" ""

volume_is 2 "$with_upper"
wait_until "a volume that has changed is served" answers 7008 hello HELLO
expect "what had not changed is served on" "$(ask 7007 hello)" hello
volume_is 3 'listeners = { nothing'
wait_until "a mistake in the volume is told" says 'reload failed'
expect "and changes nothing" "$(ask 7008 hello)" HELLO

${way}_stop
wait_until "it is not ready once it is told to stop" is_not_ready
expect "and answers whoever still comes" "$(ask 7007 late)" late
${way}_status
expect "it ends well" "$status" 0
wrong=$(log | python3 -c 'import json, sys
for line in sys.stdin:
    try:
        json.loads(line)["message"]
    except Exception:
        print(line, end="")')
expect "each line of its log is a JSON object" "$wrong" ""

[ $failures = 0 ] || { log; cat "$work/ctl.log" 2>/dev/null; exit 1; }
