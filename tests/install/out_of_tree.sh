#!/bin/bash
# What an author does who has only the installed files: build a plugin with one line of pkg-config,
# with CMake, in C and in C++, with each compiler at hand, and see it serve.
#
# out_of_tree.sh SOURCE_DIR BUILD_DIR
set -euo pipefail
source=$1 build=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() {
    echo "$*"
    exit 1
}

# A packager's way (DESTDIR and an absolute prefix) and a user's (--prefix).
DESTDIR=$folder/root cmake --install "$build" --prefix /usr >"$folder/install.log"
prefix=$folder/root/usr
export PKG_CONFIG_PATH=$prefix/share/pkgconfig
daemon=$prefix/bin/sockserverd

for file in bin/sockserverd include/sockserver/plugin.h lib/sockserverd/plugins/upper.so \
    share/sockserverd/template/c/NAME.c share/doc/sockserverd/CHANGES.md; do
    [ -e "$prefix/$file" ] || fail "not installed: $file"
done
while read -r manual; do
    [ -e "$prefix/share/man/man${manual##*.}/${manual##*/}" ] || fail "not installed: $manual"
done < <(find "$source"/{daemon,include,plugins} -name '*.[1-8]')
[ -e "$(find "$folder/root" -path '*etc/sockserverd/sockserverd.conf')" ] ||
    fail "not installed: sockserverd.conf"
for document in "$source"/docs/*.md; do
    [ -e "$prefix/share/doc/sockserverd/${document##*/}" ] || fail "not installed: $document"
done
plugindir=$(pkg-config --variable=plugindir sockserver)
[ "$plugindir" -ef "$prefix/lib/sockserverd/plugins" ] || fail "plugindir is $plugindir"

# An operator's file survives the next installation.
conf=$(find "$folder/root" -path '*etc/sockserverd/sockserverd.conf')
echo '# mine' >"$conf"
DESTDIR=$folder/root cmake --install "$build" --prefix /usr >"$folder/install.log"
[ "$(cat "$conf")" = '# mine' ] || fail "the second installation overwrote $conf"

# serves PLUGIN INPUT EXPECTED
serves() {
    local answer
    answer=$(printf '%s' "$2" | "$daemon" --stdio "$1" 2>"$folder/errors") ||
        fail "$1 does not serve: $(cat "$folder/errors")"
    [ "$answer" = "$3" ] || fail "$1 answers \"$answer\" to \"$2\", not \"$3\""
}

# The line in plugin.h, on the plugin in plugin.h.
mkdir "$folder/author"
cd "$folder/author"
sed -n '/^ \*     #include <ctype/,/^ \*     }$/s/^ \*\( \{5\}\)\{0,1\}//p' \
    "$prefix/include/sockserver/plugin.h" >upper.c
for compiler in gcc clang; do
    command -v $compiler >/dev/null || continue
    $compiler -Wall -Wextra -Werror -shared -fPIC $(pkg-config --cflags sockserver) \
        -o upper.so upper.c
    serves ./upper.so $'hello\n' HELLO
done

# C++, as picky as it gets.
cat >shout.cpp <<'END'
#include <sockserver/plugin.h>

static const ss_option options[] = {
    {.name = "mark", .type = SS_STRING, .fallback = "!", .min = 0, .max = 8, .help = "put behind"},
    {},
};

SS_PLUGIN(.name = "shout", .summary = "puts a mark behind each line",
          .transports = SS_STREAM, .mixins = SS_THREADING, .options = options)

int
handle(ss_request *request)
{
    char *line;
    ssize_t size;

    while ((size = ss_readline(request, &line)) > 0) {
        if (line[size - 1] == '\n')
            line[size - 1] = '\0';
        ss_printf(request, "%s%s\n", line, ss_option_string(ss_server(request), "mark"));
    }
    return static_cast<int>(size);
}
END
for compiler in g++ clang++; do
    command -v $compiler >/dev/null || continue
    $compiler -std=c++20 -Wall -Wextra -Wno-missing-field-initializers -Werror -shared -fPIC \
        $(pkg-config --cflags sockserver) -o shout.so shout.cpp
    serves ./shout.so $'hello\n' 'hello!'
done

# The CMake package.
cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.25)
project(author LANGUAGES C CXX)
set(CMAKE_CXX_STANDARD 20)
find_package(sockserver 0.1 REQUIRED)
sockserver_plugin(upper upper.c)
sockserver_plugin(shout shout.cpp)
install(TARGETS upper shout DESTINATION ${SOCKSERVER_PLUGIN_DIR})
END
cmake -S . -B out -DCMAKE_PREFIX_PATH="$prefix" >cmake.log
cmake --build out >>cmake.log || fail "$(cat cmake.log)"
serves out/upper.so $'hello\n' HELLO
serves out/shout.so $'hello\n' 'hello!'
cmake --install out >>cmake.log
[ -e "$prefix/lib/sockserverd/plugins/shout.so" ] ||
    fail "shout.so was not installed beside the others"
