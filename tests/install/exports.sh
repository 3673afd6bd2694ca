#!/bin/bash
# The programs that load plugins export the functions that plugin.h declares and not one symbol
# more: a host that exports, say, a setup() of its own would hijack every plugin's.
#
# exports.sh SOURCE_DIR BUILD_DIR
set -euo pipefail
source=$1 build=$2

if grep -Eq '^SANITIZE:.*=.+' "$build/CMakeCache.txt"; then
    echo "skipped: a sanitizer's runtime exports symbols of its own"
    exit 77
fi

# "SS_EXPORT type ss_name(": the calls. Hooks are the plugin's and carry no ss_.
declared=$(grep -E '^SS_EXPORT' "$source/include/sockserver/plugin.h" |
    grep -oE '\bss_[a-z_]+\(' | tr -d '(' | sort)
[ "$(wc -l <<<"$declared")" -gt 30 ] || { echo "plugin.h: only found: $declared"; exit 1; }

for program in "$build/bin/sockserverd" "$build"/lib/sockserverd/worker; do
    # Not ours: a copy of another library's variable (stderr@GLIBC_2.2.5), the linker's marks.
    # On purpose, ahead of the C library's: __register_atfork, see daemon/worker/mixin/fork.c.
    exported=$(nm -D --defined-only "$program" |
        awk '$3 !~ /@|^(__bss_start|_edata|_end|__register_atfork)$/ { print $3 }' | sort)
    diff <(echo "$declared") <(echo "$exported") ||
        { echo "left: declared in plugin.h; right: exported by $program"; exit 1; }
done
