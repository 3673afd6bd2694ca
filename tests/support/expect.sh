# SPDX-License-Identifier: MIT
# For the tests that are shell scripts: they source it, and end with a status by `failures`.
# shellcheck shell=bash

failures=0
expect() { # TEXT FOUND WANTED
    if [ "$2" = "$3" ]; then
        echo "ok       $1"
    else
        echo "NOT OK   $1: found '$2', expected '$3'"
        failures=$((failures + 1))
    fi
}
