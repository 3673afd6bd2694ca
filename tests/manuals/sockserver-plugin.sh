#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# sockserver-plugin.sh - the header, its manual and the example plugin say the same
#
# Every function and every SS_ name that the header offers has an entry (.It) in
# the manual with the header's own signature, and the other way round. The
# plugin shown in the header's comment, in the manual and in plugins/upper is
# one, and compiles without a warning, and so does a plugin in C++. The manual
# passes mandoc's lint.
#
# usage: sockserver-plugin.sh SOURCE_DIR

set -u -o pipefail
source_dir=$1
header=$source_dir/include/sockserver/plugin.h
manual=$source_dir/include/sockserver/sockserver-plugin.3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failures=0

fail() {
    echo "FAIL: $*" >&2
    failures=$((failures + 1))
}

# same CLAIM FILE FILE: the two files have the same lines
same() {
    diff -u "$2" "$3" >&2 || fail "$1"
}

# "int ss_write(struct ss_request *request, const void *data, size_t size)", one a line
header_functions() {
    awk '/^SS_EXPORT .*\(/ { text = "" ; taking = 1 }
         taking { sub(/\/\*.*/, ""); text = text " " $0 }
         taking && /;/ { print text; taking = 0 }' "$header" |
        sed -E 's/^ *SS_EXPORT //; s/ *__attribute__.*//; s/;.*//; s/ +/ /g; s/ +$//' | sort
}

# .It Ft const char * Ns Fn ss_server_name "struct ss_server *server"
manual_functions() {
    sed -nE 's/^\.It Ft (.*) Fn ([a-z_]+) "(.*)"$/\1 \2(\3)/p' "$manual" |
        sed -E 's/\* Ns /*/; s/" "/, /g' | sort
}

# All SS_ names of the header but its include guard.
header_names() {
    sed -nE 's/^#define (SS_[A-Z_]+).*/\1/p; s/^ +(SS_[A-Z_]+)( = 1)?(,.*| .*)$/\1/p' "$header" |
        sort -u
}

manual_names() {
    grep -oE '^\.(It Dv|Dv|Fn) SS_[A-Z_]+' "$manual" | sed 's/.* //' | sort -u
}

header_example() {
    sed -nE '/^ \*     #include <ctype.h>/,/^ \* Build it/ s/^ \*( {5}(.*))?$/\2/p' "$header"
}

manual_example() {
    sed -n '/compiled by the tests/,/^\.Ed/ { /^[.]/d; s/\\e/\\/g; p }' "$manual"
}

# Without white space at the ends of lines and without line breaks, which the width decides.
squeezed() {
    tr -s ' \n' '  ' | sed 's/^ //; s/ $//' && echo
}

header_functions >"$folder/header-functions"
manual_functions >"$folder/manual-functions"
[ "$(wc -l <"$folder/header-functions")" -ge 40 ] || fail "few functions found in the header"
same "a function differs between header (-) and manual (+)" \
    "$folder/header-functions" "$folder/manual-functions"

header_names >"$folder/header-names"
manual_names >"$folder/manual-names"
[ "$(wc -l <"$folder/header-names")" -ge 12 ] || fail "few SS_ names found in the header"
same "an SS_ name differs between header (-) and manual (+)" \
    "$folder/header-names" "$folder/manual-names"

header_example >"$folder/header.c"
manual_example >"$folder/manual.c"
sed '1,/^ \*\/$/d; /clang-format/d' "$source_dir/plugins/upper/upper.c" >"$folder/upper.c"
for name in header manual upper; do
    squeezed <"$folder/$name.c" >"$folder/$name.squeezed"
    "${CC:-cc}" -Wall -Wextra -Werror -shared -fPIC -I"$source_dir/include" \
        -o "$folder/$name.so" "$folder/$name.c" || fail "the plugin of the $name does not compile"
    grep -q 'int handle' "$folder/$name.c" || fail "no plugin found in the $name"
done
same "the plugin differs between header (-) and manual (+)" \
    "$folder/header.squeezed" "$folder/manual.squeezed"
same "the plugin differs between header (-) and plugins/upper (+)" \
    "$folder/header.squeezed" "$folder/upper.squeezed"

"${CXX:-c++}" -std=c++20 -fvisibility=hidden -Wall -Wextra -Werror -shared -fPIC \
    -I"$source_dir/include" -o "$folder/cplusplus.so" "$source_dir/tests/manuals/cplusplus.cc" ||
    fail "the C++ plugin does not compile"
[ "$(nm -D --defined-only "$folder/cplusplus.so" | grep -cE ' (handle|ss_plugin_record)$')" -eq 2 ] ||
    fail "the C++ plugin does not export its hook and its record by their plain names"

if command -v mandoc >/dev/null; then
    mandoc -T lint -W warning "$manual" >&2 || fail "mandoc finds fault with the manual"
elif [ "$failures" -eq 0 ]; then
    echo "skipped: mandoc is not installed, the manual was not looked at by it" >&2
    exit 77
fi
[ "$failures" -eq 0 ]
