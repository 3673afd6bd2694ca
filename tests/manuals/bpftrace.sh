#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# bpftrace.sh - bpftrace itself runs the three scripts against a daemon that serves, and reads the
# arguments of each probe of a worker
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

# Nothing where it was built without OpenSSL, or openssl is missing.
tls_listener() {
    [ -e "$build_dir/lib/sockserverd/tls.so" ] &&
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test \
            -keyout "$folder/key" -out "$folder/certificate" 2>/dev/null || return 0
    echo "sealed = { address = \"unix://$folder/sealed\"; plugin = \"upper\"; mixin = \"threading\";"
    echo "    tls = { certificate = \"$folder/certificate\"; key = \"$folder/key\"; }; };"
}

cat >"$folder/conf" <<END
listeners = {
    served  = { address = "unix://$folder/served";  plugin = "upper"; mixin = "threading"; };
    refused = { address = "unix://$folder/refused"; plugin = "upper"; mixin = "coroutine";
                deny = [ "local", "user:root" ]; };
$(tls_listener)
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

# What each probe of a worker says of a request of six bytes, of a refusal, and of a new generation.
worker=usdt:$build_dir/lib/sockserverd/worker:sockserverd
cat >"$folder/arguments.bt" <<END
$worker:request__accept { printf("%s accept %d %d\n", str(arg0), arg1 > 0, (int32)arg2 > 2); }
$worker:request__start { printf("%s start %d\n", str(arg0), arg1 > 0); }
$worker:request__refuse { printf("%s refuse %d %s\n", str(arg0), arg1 > 0, str(arg2)); }
$worker:request__read { printf("%s read %d %d\n", str(arg0), arg1 > 0, arg2); }
$worker:request__write { printf("%s write %d %d\n", str(arg0), arg1 > 0, arg2); }
$worker:request__done { printf("%s done %s %d %d %d\n", str(arg0), str(arg2), arg3, arg4, arg5 > 0); }
$worker:tls__handshake { printf("%s handshake %d\n", str(arg0), (int32)arg2); }
$worker:worker__ready { printf("%s ready %d\n", str(arg0), (int32)arg1); }
$worker:worker__serve { printf("%s serve\n", str(arg0)); }
$worker:worker__drain { printf("%s drain %d\n", str(arg0), arg1 > 0); }
END
bpftrace -B line "$folder/arguments.bt" >"$folder/arguments.out" 2>&1 &
pids+=($!)
expected=("served accept 1 1" "served start 1" "refused refuse 1 deny" "served read 1 6" "served write 1 6"
    "served done done 6 6 1" "served ready 0" "served serve" "served drain 1")
[ ! -e "$folder/key" ] || expected+=("sealed handshake 0" "sealed done done 6 6 1")

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

ask_sealed() {
    [ ! -e "$folder/key" ] || echo hello |
        timeout 20 openssl s_client -quiet -no_ign_eof -unix "$folder/sealed" >/dev/null 2>&1
}

arguments_told() {
    local line
    for line in "${expected[@]}"; do
        grep -qxF "$line" "$folder/arguments.out" || return 1
    done
}

# Nobody says when a script looks on: clients come, and reloads, until each has told of them.
told() {
    arguments_told && grep -q '^@microseconds\[served\]' "$folder/latency.out" &&
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
    ask_sealed
    sed -i "/^ *served /s/mixin = \"threading\".*;/mixin = \"threading\"; max_connections = $((100 + round % 50)); };/" "$folder/conf"
    kill -HUP $daemon
    sleep 0.2
done
kill -TERM $daemon
wait $daemon || fail "the daemon ended with status $?"
unset 'pids[0]'
echo "all scripts told of it"
