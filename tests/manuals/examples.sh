#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# examples.sh - examples/README.md lists what there is, with its length as it is counted; each example has
# a page and a configuration that is accepted, and is built by the one command that the page shows
#
# usage: examples.sh SOURCE_DIR BUILD_DIR

set -u -o pipefail
source_dir=$1 build_dir=$2
examples=$source_dir/examples
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failures=0 looked=0

complain() {
    echo "examples.sh: $*" >&2
    failures=$((failures + 1))
}

# The command of the page compiles, without a warning, to what describes itself.
build() {
    local name=$1 compiler=${CC:-cc} sources=("$examples/$1/"*.c)
    if [ ! -e "${sources[0]}" ]; then
        compiler=${CXX:-c++} sources=(-std=c++20 "$examples/$name/"*.cc)
        command -v "$compiler" >/dev/null || return 0
    fi
    "$compiler" -O2 -Wall -Wextra -Werror -I"$source_dir/include" -shared -fPIC -o "$folder/$name.so" \
        "${sources[@]}" || complain "$name is not built by the command of examples/README.md"
    "$build_dir/bin/sockserverd" --describe "$folder/$name.so" >"$folder/described" ||
        complain "$name does not describe itself"
}

while read -r name lines go; do
    looked=$((looked + 1))
    row=$(grep -E "^\| \[?$name\]?(\([^)]*\))? \|" "$examples/README.md") || complain "$name is not in examples/README.md"
    case $row in
    *"| $lines | $go |") ;;
    *) complain "examples/README.md: the row of $name ends otherwise than with \"| $lines | $go |\": $row" ;;
    esac
    if [ ! -e "$examples/$name/$name.conf" ]; then
        complain "examples/$name/$name.conf is missing"
    elif [ -e "$build_dir/examples/$name.so" ]; then
        # What it wants installed is beside it.
        sed "s|/etc/sockserverd/|$(realpath "$examples/$name")/|" "$examples/$name/$name.conf" >"$folder/$name.conf"
        "$build_dir/bin/sockserverd" --check --plugin-path "$build_dir/examples:$build_dir/plugins" \
            -c "$folder/$name.conf" >"$folder/judged" 2>&1 ||
            complain "examples/$name/$name.conf is refused: $(cat "$folder/judged")"
    fi
    if [ ! -e "$examples/$name/README.md" ]; then
        complain "examples/$name/README.md is missing"
    elif ! grep -qw -- "$lines" "$examples/$name/README.md"; then
        complain "examples/$name/README.md does not say that it has $lines lines"
    elif [ "$go" != - ] && ! grep -qw -- "$go" "$examples/$name/README.md"; then
        complain "examples/$name/README.md does not say that the same has $go lines in Go"
    fi
    build "$name"
done < <("$examples/count-lines")

[ "$looked" -gt 0 ] || complain "found no example"
[ "$failures" -eq 0 ] || exit 1
echo "$looked examples are listed as they are"
