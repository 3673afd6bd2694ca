#!/bin/bash
# What an author does with sockserverd --new: three commands to a passing test, in each language, from an
# installation under a prefix of its own, and from the build folder.
#
# new.sh SOURCE_DIR BUILD_DIR
set -euo pipefail
build=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder" # root's workers run as somebody else, who reads a script in Python himself

fail() {
    echo "$*"
    exit 1
}

# Nothing is written outside of another prefix, and the daemon finds what lies there.
prefix=$folder/prefix
before=$(stat -c '%Y %i' /etc/sockserverd /etc/sockserverd/sockserverd.conf 2>&1 || true)
cmake --install "$build" --prefix "$prefix" >"$folder/install.log"
[ "$before" = "$(stat -c '%Y %i' /etc/sockserverd /etc/sockserverd/sockserverd.conf 2>&1 || true)" ] ||
    fail "an installation under $prefix has changed /etc/sockserverd"
[ -e "$prefix/etc/sockserverd/sockserverd.conf" ] || fail "not installed: $prefix/etc/sockserverd"
plugindir=$(PKG_CONFIG_PATH=$prefix/share/pkgconfig pkg-config --variable=plugindir sockserver)
"$prefix/bin/sockserverd" --describe echo | grep -q "^file *$(realpath "$plugindir")/echo.so$" ||
    fail "the daemon does not look for plugins in $plugindir"
"$prefix/bin/sockserverd" --describe echo.so >/dev/null || fail "echo.so is not the plugin echo"

# tried NAME LANGUAGE: made, tested, and again with CMake; then made once more, which must fail.
tried() {
    echo "$2, PKG_CONFIG_PATH=$PKG_CONFIG_PATH"
    "$daemon" --new "$1" --language "$2" >made || fail "--new $1 --language $2 failed"
    (cd "$1" && make test CFLAGS='-Wall -Wextra -Werror' CXXFLAGS='-std=c++20 -Wall -Wextra -Werror') \
        >log 2>&1 || fail "$(cat log)"
    grep -rq @NAME@ "$1" && fail "$(grep -r @NAME@ "$1")"
    if [ "$2" != python ]; then
        "$daemon" --describe "./$1/$1.so" >log || fail "$1.so cannot be described"
        grep -q '^note' log && fail "$(cat log)"
        echo one | "$daemon" --stdio "./$1/$1.so" | grep -q '^1: one$' || fail "$1 does not serve"
    fi
    cp "$1/Makefile" before
    "$daemon" --new "$1" --language "$2" 2>log && fail "--new $1 has overwritten what there was"
    grep -q "is not overwritten; give another name" log || fail "$(cat log)"
    cmp before "$1/Makefile" || fail "--new $1 has changed $1/Makefile"
}

for place in "$build" "$prefix/share/pkgconfig"; do
    export PKG_CONFIG_PATH=$place
    daemon=$(pkg-config --variable=sockserverd sockserver)
    mkdir "$folder/author"
    cd "$folder/author"
    tried hello c
    command -v g++ >/dev/null && CXX=g++ tried hello_cpp c++
    if "$daemon" --describe python >/dev/null 2>&1 && command -v python3 >/dev/null; then
        tried hello_python python
    fi
    cd "$folder"
    [ "$place" = "$build" ] && rm -r author
done

# What it says is next works as it stands, also where pkg-config does not look by itself.
for program in "$build/bin/sockserverd" "$prefix/bin/sockserverd"; do
    (
        unset PKG_CONFIG_PATH
        "$program" --new next "$folder/next" >made || fail "--new next failed"
        eval "$(sed -n 's/^next: //p' made)" >log 2>&1 || fail "$(cat made log)"
    )
    rm -r "$folder/next"
done

# The other build file, from the installation.
for name in hello hello_cpp; do
    [ -d "author/$name" ] || continue
    (cd "author/$name" && cmake -B out -DCMAKE_PREFIX_PATH="$prefix" && cmake --build out &&
        ctest --test-dir out --no-tests=error) >log 2>&1 || fail "$(cat log)"
done

# What cannot be: nothing is made.
cd "$folder/author"
while IFS='|' read -r arguments expected; do
    "$daemon" --new $arguments 2>log && fail "--new $arguments has made something"
    grep -qF -- "$expected" log || fail "--new $arguments: $(cat log)"
done <<'END'
3rd|"3rd" cannot be a plugin's name
a/b|"a/b" cannot be a plugin's name
fine --language go|unknown language "go"; expected c, c++ or python
fine --language pyton|did you mean "python"?
socket --language python|"socket" is a module of Python's own
fine /proc/none|cannot make the folder /proc/none
fine ../install.log|is there and is no folder
END
[ ! -e fine ] || fail "a folder was left"

# Of what cannot be made as a whole, nothing stays. A file may have 1024 bytes.
(trap '' XFSZ && ulimit -f 1 && exec "$daemon" --new whole 2>&1) | cat >log || true
grep -q "File too large" log || fail "--new in too little room: $(cat log)"
[ ! -e whole ] || fail "a part of a plugin was left: $(ls whole)"
