#!/bin/bash
# A hook with a wrong signature does not compile, in C and in C++.
#
# wrong_signature.sh SOURCE_DIR BUILD_DIR
set -euo pipefail
source=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# compiles LANGUAGE DEFINITION
compiles() {
    printf '#include <sockserver/plugin.h>\n%s\n' "$2" >"$folder/plugin.$1"
    case $1 in
    c) cc -I "$source/include" -fsyntax-only "$folder/plugin.c" ;;
    cpp) c++ -std=c++20 -I "$source/include" -fsyntax-only "$folder/plugin.cpp" ;;
    esac 2>"$folder/messages"
}

right='int handle(struct ss_request *request) { return ss_flush(request); }'
wrong=(
    'void handle(struct ss_request *request) { ss_flush(request); }'
    'int handle(struct ss_request *request, int extra) { return extra + ss_flush(request); }'
    'int setup(struct ss_server *server) { return ss_server_name(server) != 0; }'
    'int finish(struct ss_request *request) { return ss_flush(request); }'
    'int verify_request(struct ss_request *request) { return ss_flush(request); }'
    'void handle_error(struct ss_request *request) { ss_flush(request); }'
    'void server_activate(struct ss_server *server) { ss_server_stop(server); }'
    'static int handle(struct ss_request *request) { return ss_flush(request); }'
)

for language in c cpp; do
    compiles $language "$right" || { cat "$folder/messages"; exit 1; }
    for definition in "${wrong[@]}"; do
        # C++ overloads by parameters; extern "C" makes it the same function again.
        [ $language = c ] || definition="extern \"C\" { $definition }"
        if compiles $language "$definition"; then
            echo "this compiles as $language and must not: $definition"
            exit 1
        fi
        grep -q 'error:' "$folder/messages"
    done
done
