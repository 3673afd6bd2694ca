#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The shipped units: systemd finds no fault with them, and they stay as confined as they are said
# to be. Needs systemd-analyze, no running systemd and no root.
#
#     units.sh SOURCE BUILD
set -u
source=$1 build=$2
type systemd-analyze >/dev/null 2>&1 || { echo "skipped: systemd-analyze is not installed"; exit 77; }
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
failures=0

expect() { # TEXT, and the status of what was tried
    [ "$2" = 0 ] && echo "ok       $1" || { echo "NOT OK   $1"; failures=$((failures + 1)); }
}

cp "$source"/systemd/examples/*.socket "$folder"
# verify looks whether the programs are there, which they are only once installed.
sed -E 's#^(Exec[A-Za-z]+=)[^ ]*/sockserver(d|ctl)#\1/bin/true#' \
    "$build/systemd/sockserverd.service" >"$folder/sockserverd.service"
export SYSTEMD_UNIT_PATH=$folder:

said=$(systemd-analyze verify --man=no "$folder"/*.service "$folder"/*.socket 2>&1)
expect "systemd-analyze verify has nothing to say${said:+: $said}" "${#said}"

threshold() { # TENTHS: fails above
    systemd-analyze security --offline=true --no-pager --threshold="$1" \
        "$folder/sockserverd.service" >"$folder/report"
}
threshold 24; status=$?
expect "exposure of the unit at most 2.4 ($(tail -1 "$folder/report"))" $status
mkdir "$folder/sockserverd.service.d"
cp "$source/systemd/examples/one-user.conf" "$folder/sockserverd.service.d"
threshold 15; status=$?
expect "exposure with one user at most 1.5 ($(tail -1 "$folder/report"))" $status

# systemd-sysusers and -tmpfiles read what they are given, and say what they would not take.
mkdir -p "$folder/root/etc"
systemd-sysusers --root="$folder/root" - <"$source/systemd/sockserverd.sysusers" >/dev/null 2>&1
expect "sysusers.d makes its user" "$(grep -q '^sockserverd:' "$folder/root/etc/passwd"; echo $?)"
if [ "$(id -u)" = 0 ]; then
    systemd-tmpfiles --root="$folder/root" --create - <"$source/systemd/sockserverd.tmpfiles"
    expect "tmpfiles.d makes its folders" \
        "$(test -d "$folder/root/run/sockserverd" && test -d "$folder/root/var/lib/sockserverd"; echo $?)"
fi
[ "$failures" = 0 ]
