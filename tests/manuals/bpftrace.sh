#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# bpftrace.sh - bpftrace itself runs the three scripts against a daemon that serves
#
# Needs root, bpftrace, and a kernel that lets it trace; is skipped otherwise.
#
# usage: bpftrace.sh SOURCE_DIR BUILD_DIR

set -u -o pipefail
source_dir=$1 build_dir=$2
folder=$(mktemp -d)
pids=()
clean_up() {
    [ ${#pids[@]} -eq 0 ] || kill -KILL "${pids[@]}" 2>/dev/null
    rm -rf "$folder"
}
trap clean_up EXIT

skip() {
    echo "skipped: $*"
    exit 77
}
fail() {
    echo "FAIL: $*" >&2
    tail -n 30 "$folder"/*.out "$folder/log" >&2
    exit 1
}

[ "$(id -u)" -eq 0 ] || skip "bpftrace needs root"
command -v bpftrace >/dev/null || skip "bpftrace is not installed"
readelf -nW "$build_dir/bin/sockserverd" | grep 'Provider: sockserverd' >/dev/null ||
    skip "the program was built without sys/sdt.h and has no probes"
timeout 60 bpftrace -e 'BEGIN { exit(); }' >"$folder/try.out" 2>&1 ||
    skip "this kernel lets nobody trace: $(tail -n 1 "$folder/try.out")"

cat >"$folder/conf" <<END
listeners = {
    served  = { address = "unix://$folder/served";  plugin = "upper"; mixin = "threading"; };
    refused = { address = "unix://$folder/refused"; plugin = "upper"; mixin = "coroutine";
                deny = [ "local", "user:root" ]; };
};
END
chmod 755 "$folder"
"$build_dir/bin/sockserverd" --plugin-path "$build_dir/plugins" -c "$folder/conf" >"$folder/log" 2>&1 &
daemon=$!
pids+=($daemon)
for script in latency slow changes; do
    sed "s|/usr/lib/sockserverd/worker|$build_dir/lib/sockserverd/worker|
         s|/usr/bin/sockserverd|$build_dir/bin/sockserverd|; s|interval:s:10|interval:s:1|" \
        "$source_dir/packaging/bpftrace/$script.bt" >"$folder/$script.bt"
    bpftrace -B line "$folder/$script.bt" 0 >"$folder/$script.out" 2>&1 &
    pids+=($!)
done

ask() {
    python3 - "$1" <<'END'
import socket, sys
with socket.socket(socket.AF_UNIX) as client:
    client.settimeout(20)
    try:
        client.connect(sys.argv[1])
        client.sendall(b"hello\n")
        client.recv(100)
    except OSError:
        pass
END
}

# Nobody says when a script looks on: clients come, and reloads, until each has told of them.
told() {
    grep -q '^@microseconds\[served\]' "$folder/latency.out" &&
        grep -q '^@ended\[served, done\]: [1-9]' "$folder/latency.out" &&
        grep -q '^@ended\[refused, refused\]: [1-9]' "$folder/latency.out" &&
        grep -Eq '^served +[0-9]+ +[0-9]+ +[0-9]+  done$' "$folder/slow.out" &&
        grep -Eq '^refused +[0-9]+ +[0-9]+ +[0-9]+  refused$' "$folder/slow.out" &&
        grep -Eq '^[0-9:]+ reload ended: error 0, [0-9]+ listeners new or changed$' "$folder/changes.out" &&
        grep -Eq '^[0-9:]+ served: worker [0-9]+ started$' "$folder/changes.out" &&
        grep -Eq '^[0-9:]+ served: worker [0-9]+ ended, exit status 0$' "$folder/changes.out"
}
round=0
end=$((SECONDS + 120))
until told; do
    [ $SECONDS -lt $end ] || fail "not every script has told of what happened"
    for pid in "${pids[@]}"; do
        kill -0 "$pid" 2>/dev/null || fail "the daemon or a script has ended"
    done
    round=$((round + 1))
    ask "$folder/served"
    ask "$folder/refused"
    sed -i "s/mixin = \"threading\".*;/mixin = \"threading\"; max_connections = $((100 + round % 50)); };/" "$folder/conf"
    kill -HUP $daemon
    sleep 0.2
done
kill -TERM $daemon
wait $daemon || fail "the daemon ended with status $?"
unset 'pids[0]'
echo "all three scripts told of it"
