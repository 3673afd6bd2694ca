#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# cplusplus.sh - a plugin in C++, as sockserver-languages(7) says it is to be written, has symbols
#
# usage: cplusplus.sh SOURCE_DIR

set -u -o pipefail
source_dir=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() {
    echo "FAIL: $*" >&2
    exit 1
}

"${CXX:-c++}" -std=c++20 -fvisibility=hidden -Wall -Wextra -Werror -shared -fPIC \
    -I"$source_dir/include" -o "$folder/cplusplus.so" "$source_dir/tests/manuals/cplusplus.cc" ||
    fail "the C++ plugin does not compile"
[ "$(nm -D --defined-only "$folder/cplusplus.so" | grep -cE ' (handle|ss_plugin_record)$')" -eq 2 ] ||
    fail "the C++ plugin does not export its hook and its record by their plain names"
