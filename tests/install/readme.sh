#!/bin/bash
# What the README promises to somebody who types it into an empty folder: its plugin compiles
# against the installed header, answers on standard input, and serves; its configuration passes.
#
# readme.sh SOURCE_DIR BUILD_DIR
set -euo pipefail
source=$1 build=$2
folder=$(mktemp -d)
daemon=
cleanup() {
    [ -z "$daemon" ] || { kill "$daemon" && wait "$daemon"; } 2>/dev/null || true
    rm -rf "$folder"
}
trap cleanup EXIT

fail() {
    echo "$*"
    exit 1
}

# block LANGUAGE: the README's only fenced block of that language
block() {
    sed -n '/^```'"$1"'$/,/^```$/{/^```/!p}' "$source/README.md"
}

DESTDIR=$folder/root cmake --install "$build" --prefix /usr >"$folder/install.log"
export PKG_CONFIG_PATH=$folder/root/usr/share/pkgconfig PATH=$folder/root/usr/bin:$PATH
mkdir "$folder/author"
cd "$folder/author"

block c >upper.c
grep -q SS_PLUGIN upper.c || fail "the README shows no plugin"
block sh >steps
grep -q pkg-config steps || fail "the README does not say how to compile"
answer=$(sed '/--listen/d' steps | bash -e 2>/dev/null) || fail "the README's steps fail"
[ "$answer" = HELLO ] || fail "the README's plugin answers \"$answer\" on standard output"

: >log
# The serving line, with a port of the kernel's choice.
eval "$(sed -n 's/127.0.0.1:9999/127.0.0.1:0/; s/.*--listen.*/& 2>log \&/p' steps)"
daemon=$!
for _ in $(seq 600); do
    port=$(sed -n 's/.*listening on tcp:\/\/127.0.0.1:\([0-9]*\).*/\1/p' log)
    [ -z "$port" ] || break
    sleep 0.1
done
[ -n "$port" ] || fail "the README's daemon does not serve: $(cat log)"
exec 3<>"/dev/tcp/127.0.0.1/$port"
printf 'hello\n' >&3
read -r -t 60 answer <&3
exec 3>&- # or the daemon would let this client finish
[ "$answer" = HELLO ] || fail "the README's daemon answers \"$answer\""

sed -n '/^listeners = {/,/^};/p' "$source/README.md" >upper.conf
sockserverd --check -c upper.conf >/dev/null || fail "the README's configuration does not pass"
