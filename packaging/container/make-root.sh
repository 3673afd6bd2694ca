#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Makes the root file system of a container from a build: the programs, the plugins, the libraries that
# they are linked with, a configuration, and the two files that name users and groups.
#
#     make-root.sh BUILD ROOT
#
# ROOT must not exist. The plugin "python" is left out, as it needs Python's whole library, and so are
# those that only show something to authors.
set -eu

build=$(realpath "$1") root=$2
here=$(dirname "$(realpath "$0")")
[ ! -e "$root" ] || { echo "make-root.sh: $root exists; remove it, or name another folder" >&2; exit 1; }

# As Debian has it, /lib is a part of /usr: one place for each library.
make_folders() {
    install -d -m 755 "$root"/{etc/sockserverd,etc/ssl/certs,usr/bin,usr/lib/sockserverd/plugins,usr/lib64,proc,sys,dev}
    install -d -m 1777 "$root"/{tmp,run,run/sockserverd} # for any user
    ln -s usr/lib "$root/lib"
    ln -s usr/lib64 "$root/lib64"
}

copy_programs() {
    install -m 755 "$build"/bin/{sockserverd,sockserverctl} "$root/usr/bin/"
    install -m 755 "$build/lib/sockserverd/worker" "$root/usr/lib/sockserverd/"
    [ ! -e "$build/lib/sockserverd/tls.so" ] ||
        install -m 644 "$build/lib/sockserverd/tls.so" "$root/usr/lib/sockserverd/"
    for plugin in "$build"/plugins/*.so; do
        case ${plugin##*/} in
        python.so | example_*) continue ;;
        esac
        install -m 644 "$plugin" "$root/usr/lib/sockserverd/plugins/"
    done
    if command -v strip >/dev/null; then
        find "$root/usr" -type f -exec strip --strip-unneeded {} +
    fi
}

# The loader lists what each file needs, with all that this needs in turn.
copy_libraries() {
    local listed library
    listed=$(find "$root/usr" -type f -exec ldd {} +)
    if grep 'not found' <<<"$listed" >&2; then
        echo "make-root.sh: these libraries are missing here" >&2
        exit 1
    fi
    awk '$2 == "=>" { print $3 } $1 ~ /^\// && $1 !~ /:$/ { print $1 }' <<<"$listed" | sort -u |
        while read -r library; do
            case $library in
            "$root"/*) continue ;;
            /usr/*) install -D -m 755 "$library" "$root$library" ;;
            *) install -D -m 755 "$library" "$root/usr$library" ;;
            esac
        done
}

write_configuration() {
    install -m 644 "$here/sockserverd.conf" "$root/etc/sockserverd/"
    printf '%s\n' 'root:x:0:0::/:' 'nobody:x:65534:65534::/:' 'sockserverd:x:65532:65532::/:' >"$root/etc/passwd"
    printf '%s\n' 'root:x:0:' 'nogroup:x:65534:' 'sockserverd:x:65532:' >"$root/etc/group"
    printf '%s\n' 'passwd: files' 'group: files' 'hosts: files dns' >"$root/etc/nsswitch.conf"
    chmod 644 "$root"/etc/{passwd,group,nsswitch.conf}
    # Whom TLS to other servers trusts, and the types of files, if this machine knows them.
    for file in /etc/ssl/certs/ca-certificates.crt /etc/mime.types; do
        [ ! -e "$file" ] || install -m 644 "$file" "$root$file"
    done
}

make_folders
copy_programs
copy_libraries
write_configuration
