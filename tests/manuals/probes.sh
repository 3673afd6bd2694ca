#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# probes.sh - the probes of the programs are those of sockserverd-probes(7)
#
# Each probe has its entry (.It Fn) in the manual with as many arguments as the
# program's note says, and each entry is a probe. The scripts of packaging/bpftrace
# name no other, and use no argument that is not there.
#
# usage: probes.sh SOURCE_DIR BUILD_DIR

set -u -o pipefail
source_dir=$1 build_dir=$2
manual=$source_dir/daemon/common/sockserverd-probes.7
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failures=0

# same CLAIM FILE FILE: the two files have the same lines
same() {
    diff -u "$2" "$3" >&2 || {
        echo "FAIL: $1" >&2
        failures=$((failures + 1))
    }
}

# "request__start 2", one a line
program_probes() {
    readelf -nW "$1" | awk '
        $1 == "Provider:" || / Provider: / { ours = $NF == "sockserverd" }
        ours && $1 == "Name:" { name = $2 }
        ours && $1 == "Arguments:" { print name, NF - 1 }' | sort -u
}

manual_probes() {
    awk '$1 == ".It" && $2 == "Fn" { print $3, NF - 3 }' "$manual" | sort
}

# "request__done 5": the highest argument that a script uses behind each probe that it names
script_probes() {
    awk '
        /^usdt:/ { split($1, parts, ":"); name = parts[4]; if (!(name in most)) most[name] = 0 }
        name != "" {
            line = $0
            while (match(line, /arg[0-9]/)) {
                used = substr(line, RSTART + 3, 1) + 1
                if (used > most[name]) most[name] = used
                line = substr(line, RSTART + 4)
            }
        }
        /^}/ { name = "" }
        END { for (name in most) print name, most[name] }' "$source_dir"/packaging/bpftrace/*.bt
}

program_probes "$build_dir/bin/sockserverd" >"$folder/program"
if [ ! -s "$folder/program" ]; then
    echo "the program was built without sys/sdt.h and has no probes"
    exit 77
fi
manual_probes >"$folder/manual"
same "the manual and bin/sockserverd have the same probes" "$folder/manual" "$folder/program"

# The worker's own program has those of the manual's first list, and not the supervisor's.
sed '/^\.Sh PROBES OF THE SUPERVISOR/q' "$manual" |
    awk '$1 == ".It" && $2 == "Fn" { print $3, NF - 3 }' | sort >"$folder/manual.worker"
program_probes "$build_dir/lib/sockserverd/worker" >"$folder/worker"
same "the manual and the worker's program have the same probes" "$folder/manual.worker" "$folder/worker"

script_probes | while read -r name used; do
    has=$(awk -v name="$name" '$1 == name { print $2 }' "$folder/program")
    [ -n "$has" ] || echo "a script names $name, which is no probe"
    [ "$used" -le "${has:-$used}" ] || echo "a script uses $used arguments of $name, which has $has"
done >"$folder/wrong"
same "the scripts use what there is" /dev/null "$folder/wrong"
[ "$(script_probes | wc -l)" -ge 8 ] || same "the scripts were read" /dev/null /etc/hostname

exit $((failures > 0))
