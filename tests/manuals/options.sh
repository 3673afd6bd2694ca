#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# options.sh - the options in the manual of each plugin are those that --describe tells
#
# usage: options.sh SOURCE_DIR BUILD_DIR

set -u -o pipefail
source_dir=$1 build_dir=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failures=0 looked=0

described_options() {
    "$build_dir/bin/sockserverd" --plugin-path "$build_dir/plugins" --describe --json "$1" |
        python3 -c 'import json, sys
for option in json.load(sys.stdin)["options"]: print(option["name"])' | sort
}

manual_options() {
    awk '/^\.Sh / { inside = $2 == "OPTIONS" } inside && /^\.It Ic [a-z_0-9]+ No = / { print $3 }' "$1" | sort
}

for manual in "$source_dir"/plugins/*/sockserverd-*.7; do
    plugin=$(basename "$manual" .7)
    plugin=${plugin#sockserverd-}
    [ -e "$build_dir/plugins/$plugin.so" ] || continue # its library was missing
    looked=$((looked + 1))
    described_options "$plugin" >"$folder/described" || failures=$((failures + 1))
    manual_options "$manual" >"$folder/manual"
    [ -s "$folder/described" ] && diff -u "$folder/manual" "$folder/described" >&2 || {
        echo "FAIL: the manual of $plugin and --describe list other options" >&2
        failures=$((failures + 1))
    }
done
[ "$looked" -ge 3 ] || { echo "FAIL: only $looked plugins with a manual were found" >&2; exit 1; }
exit $((failures > 0))
