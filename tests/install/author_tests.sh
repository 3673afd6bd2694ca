#!/bin/bash
# SPDX-License-Identifier: MIT
# What an author does to test and fuzz a plugin, with the installed files only: one line of
# pkg-config, in C and C++, under the sanitizers and valgrind; the CMake package; and a fuzzer that
# finds what was put in, and whose finding is replayed.
#
# author_tests.sh SOURCE_DIR BUILD_DIR
set -euo pipefail
source=$1 build=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fail() {
    echo "$*"
    exit 1
}

if grep -Eq '^(SANITIZE:.*=.+|COVERAGE:BOOL=ON)' "$build/CMakeCache.txt"; then
    echo "skipped: the library is instrumented, which an author's program is not"
    exit 77
fi
DESTDIR=$folder/root cmake --install "$build" --prefix /usr >"$folder/install.log"
export PKG_CONFIG_PATH=$folder/root/usr/share/pkgconfig PATH=$folder/root/usr/bin:$PATH
cd "$folder"
cp "$source/plugins/upper/upper.c" .
cat >test_upper.c <<'END'
#include <sockserver/test.h>

int main(void)
{
    struct ss_test *test = ss_test_new();
    struct ss_test *other = ss_test_another(test);

    ss_test_set(test, "mixin", "threading");
    ss_test_send(test, "hello\n");
    ss_test_send(other, "world\n");
    ss_test_expect(test, "HELLO\n");
    ss_test_expect(other, EXPECTED);
    ss_test_done(test);
    return 0;
}
END
cp test_upper.c test_upper.cc

# try WHAT COMPILER FLAG...: the right expectation holds, the wrong one does not.
try() {
    local what=$1 compiler=$2
    shift 2
    command -v "$compiler" >/dev/null || return 0
    echo 'int main(void) { return 0; }' >empty.c
    cc "$@" -o empty empty.c 2>/dev/null && ./empty 2>/dev/null || return 0 # no such runtime here
    cc -g "$@" -c $(pkg-config --cflags sockserver-test) -o upper.o upper.c
    "$compiler" -g -Wall -Wextra -Werror "$@" '-DEXPECTED="WORLD\n"' -o right \
        test_upper."${3:-c}" upper.o $(pkg-config --cflags --libs sockserver-test)
    ./right >out 2>&1 || fail "$what: the test fails: $(cat out)"
    "$compiler" -g "$@" '-DEXPECTED="WORLX\n"' -o wrong \
        test_upper."${3:-c}" upper.o $(pkg-config --cflags --libs sockserver-test)
    if ./wrong >out 2>&1; then fail "$what: a wrong expectation holds"; fi
    grep -q 'expected: "WORLX\\n"' out || fail "$what: it does not say why: $(cat out)"
}

try C cc
try "the address sanitizer" cc -fsanitize=address,undefined
try "the race detector" cc -fsanitize=thread
if command -v g++ >/dev/null; then
    cc -g -c $(pkg-config --cflags sockserver-test) -o upper.o upper.c
    g++ -g -Wall -Wextra -Werror '-DEXPECTED="WORLD\n"' -o right test_upper.cc upper.o \
        $(pkg-config --cflags --libs sockserver-test)
    ./right || fail "C++: the test fails"
fi
if command -v valgrind >/dev/null; then
    cc -g '-DEXPECTED="WORLD\n"' -o right test_upper.c upper.c \
        $(pkg-config --cflags --libs sockserver-test)
    valgrind -q --error-exitcode=9 ./right >out 2>&1 || fail "valgrind: $(cat out)"
fi

# Memory that is left, and a race, are found.
sed 's|char \*line;|char *line = malloc(7); (void)line;|; s|<ctype.h>|<ctype.h>\n#include <stdlib.h>|' \
    upper.c >leak.c
if cc -g -fsanitize=address '-DEXPECTED="WORLD\n"' -o leak test_upper.c leak.c \
    $(pkg-config --cflags --libs sockserver-test) 2>/dev/null; then
    if ASAN_OPTIONS=detect_leaks=1 ./leak >out 2>&1; then fail "a leak is not found"; fi
    grep -q 'memory was left\|detected memory leaks' out || fail "a leak is not told: $(cat out)"
fi

# The CMake package.
cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.25)
project(author LANGUAGES C)
find_package(sockserver 0.1 REQUIRED)
add_executable(test_upper test_upper.c upper.c)
target_compile_definitions(test_upper PRIVATE "EXPECTED=\"WORLD\\n\"")
target_link_libraries(test_upper PRIVATE sockserver::test)
END
cmake -S . -B made -DCMAKE_PREFIX_PATH="$folder/root/usr" >cmake.log
cmake --build made >>cmake.log 2>&1 || fail "$(cat cmake.log)"
made/test_upper || fail "the test that CMake has built fails"

# The fuzzer finds what only three bytes in a row reach, and says what it was not given.
command -v sockserverd-fuzz >/dev/null || { echo "the fuzzer is left out of this build"; exit 0; }
cat >bug.c <<'END'
#include <sockserver/plugin.h>
#include <stdlib.h>

SS_PLUGIN(.name = "bug", .summary = "has one", .transports = SS_STREAM, .mixins = 0)

int
handle(struct ss_request *request)
{
    char *line;

    if (ss_readline(request, &line) > 3 && line[0] == 'B')
        if (line[1] == 'U')
            if (line[2] == 'G')
                abort();
    return 0;
}
END
clang -g -O1 -shared -fPIC -fsanitize=fuzzer-no-link,address $(pkg-config --cflags sockserver) \
    -o bug.so bug.c
if timeout 300 sockserverd-fuzz ./bug.so -max_total_time=250 -artifact_prefix=found- >out 2>&1; then
    fail "the fuzzer finds nothing: $(tail -3 out)"
fi
grep -aq '^BUG' found-crash-* || fail "the fuzzer finds something else: $(cat out)"
if sockserverd-fuzz ./bug.so found-crash-* >out 2>&1; then fail "the finding is not replayed"; fi
cc -g -shared -fPIC $(pkg-config --cflags sockserver) -o bug.so bug.c
if sockserverd --stdio ./bug.so <"$(ls found-crash-*)" >out 2>&1; then
    fail "sockserverd --stdio does not replay the finding"
fi
sockserverd-fuzz ./bug.so -runs=1 >out 2>&1
grep -q 'was not compiled with -fsanitize=fuzzer-no-link' out || fail "it does not say: $(cat out)"
status=0
sockserverd-fuzz >out 2>&1 || status=$?
[ "$status" = 64 ] || fail "without a plugin, its status is $status"
