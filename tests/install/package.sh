#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Installs, uses, upgrades, removes and purges the Debian packages under a systemd of their own: all
# happens in tests/systemd/box.sh, on private overlays of /etc, /usr and /var.
#
#     package.sh SOURCE BUILD
#
# The packages are those in BUILD, or in SOURCE/build-package, where ./dev package leaves them.
set -u

source=$(realpath "$1") build=$(realpath "$2")
name=sockserverd

if [ "${IN_PACKAGE_BOX:-}" != yes ]; then
    ls "$build"/$name*.deb >/dev/null 2>&1 || build=$source/build-package
    if ! ls "$build"/$name*.deb >/dev/null 2>&1; then
        echo "skipped: there are no packages; ./dev package makes them"
        exit 77
    fi
    IN_PACKAGE_BOX=yes exec "$source/tests/systemd/box.sh" "$0" "$source" "$build"
fi

# ---- telling ---------------------------------------------------------------------------------

. "$source/tests/support/expect.sh"

quietly() { # COMMAND...: its output only if it fails
    local output status
    output=$("$@" 2>&1 </dev/null)
    status=$?
    [ "$status" = 0 ] || echo "$output"
    return "$status"
}

ask() { # PORT TEXT
    local answer
    exec 9<>"/dev/tcp/127.0.0.1/$1" || return 1
    printf '%s\n' "$2" >&9
    IFS= read -r -t 5 answer <&9
    exec 9>&-
    printf '%s' "$answer"
} 2>/dev/null

# Asks again and again until told to stop, and writes how often it went well and how often not.
load() { # PORT FILE
    local good=0 bad=0
    while [ ! -e "$2.stop" ]; do
        if [ "$(ask "$1" hello)" = hello ]; then good=$((good + 1)); else bad=$((bad + 1)); fi
    done
    echo "$good $bad" >"$2"
}

# Every file of the folders that a package can touch, but for what dpkg, systemd and the user
# database write about packages, boots and users that come and go.
files() {
    find /etc /usr /lib/systemd /run/$name /var -xdev \( \
        -path /var/lib/dpkg -o -path /var/cache -o -path /var/log/journal -o -path /var/log/dpkg.log \
        -o -path /var/log/alternatives.log -o -path /etc/.pwd.lock \
        -o -path '/etc/*-' -o -path /var/lib/systemd -o -path /var/tmp \) -prune -o -print \
        2>/dev/null | sort
}

in_state() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null; }

# ---- a machine that has never seen it -----------------------------------------------------------

work=/run/test-package # not /tmp: the first start of a service in this world empties it
mkdir $work
export DEBIAN_FRONTEND=noninteractive
rm -f /usr/sbin/policy-rc.d # of containers: would forbid that installing starts a service
if id $name >/dev/null 2>&1; then userdel $name; fi
systemd-tmpfiles --boot --create >/dev/null 2>&1 # of other packages: installing ours would make them
files >$work/before
getent passwd | sort >$work/users.before

# ---- install ------------------------------------------------------------------------------------

quietly dpkg -i "$build"/${name}_*.deb
expect "installing succeeds" $? 0
expect "the service runs" "$(systemctl is-active $name)" active
expect "and will after a boot" "$(systemctl is-enabled $name)" enabled
expect "the sample configuration is served" "$(ask 7007 hello)" hello
expect "its user is there" "$(getent passwd $name | cut -d: -f6,7)" \
    "/var/lib/$name:/usr/sbin/nologin"
expect "the configuration is the operator's" \
    "$(dpkg-query -W -f '${Conffiles}' $name | awk '{print $1}')" "/etc/$name/$name.conf"
$name --check >$work/check 2>&1
expect "--check accepts it" "$? $(cat $work/check)" "0 configuration OK"
if [ -x /usr/bin/sockserverctl ]; then
    quietly sockserverctl status
    expect "sockserverctl status answers" $? 0
fi
systemctl reload $name
expect "systemctl reload succeeds" $? 0
expect "everything that was installed is unchanged" "$(dpkg --verify $name)" ""

# ---- an author -------------------------------------------------------------------------------------

quietly dpkg -i "$build"/$name-dev_*.deb
expect "installing $name-dev succeeds" $? 0
(cd $work && quietly $name --new first)
expect "a new plugin can be made" $? 0
quietly make -C $work/first test install
expect "it compiles, passes its test and installs" $? 0
[ -e /usr/lib/$name/plugins/first.so ]
expect "where the daemon looks for it" $? 0
cat >/etc/$name/$name.conf.d/first.conf <<'TEXT'
listeners = {
    first = { address = "tcp://127.0.0.1:7100"; plugin = "first"; mixin = "threading"; };
};
TEXT
systemctl reload $name
expect "a reload takes a drop-in" $? 0
exec 8<>/dev/tcp/127.0.0.1/7100
expect "its listener is there" $? 0
exec 8>&-

# ---- upgrade ---------------------------------------------------------------------------------------

# The same package as a later version with another sample, beside an operator's own settings.
sed -i 's/^# sockserverd.conf .*/# settings of my own/' /etc/$name/$name.conf
mkdir $work/newer
dpkg-deb -R "$build"/${name}_*.deb $work/newer
sed -i 's/^Version: .*/&+later/' $work/newer/DEBIAN/control
echo '# a better sample' >>$work/newer/etc/$name/$name.conf
quietly dpkg-deb -b $work/newer $work/newer.deb

main=$(systemctl show -P MainPID $name)
load 7007 $work/load &
loader=$!
quietly dpkg -i --force-confold $work/newer.deb
expect "upgrading succeeds" $? 0
touch $work/load.stop
wait "$loader"
read -r good bad <$work/load
expect "failed of $good requests meanwhile" "$bad" 0
[ "$good" -ge 5 ]
expect "there were some" $? 0
[ "$(systemctl show -P MainPID $name)" != "$main" ]
expect "the new version runs" "$? $(systemctl is-active $name)" "0 active"
expect "with the operator's settings" "$(head -n 1 /etc/$name/$name.conf)" "# settings of my own"
expect "in the drop-ins, too" "$(ls /etc/$name/$name.conf.d)" first.conf

# ---- remove, and come back -----------------------------------------------------------------------

rm /usr/lib/$name/plugins/first.so
quietly dpkg -r $name-dev $name
expect "removing succeeds" $? 0
expect "nothing runs" "$(systemctl is-active $name) $(pgrep -c -x $name) $(pgrep -c -x worker)" \
    "inactive 0 0"
expect "nothing listens" "$(ask 7007 hello || echo refused)" refused
expect "settings are kept" "$(head -n 1 /etc/$name/$name.conf)" "# settings of my own"
expect "nothing but settings, data and logs is left" \
    "$(files | comm -13 $work/before - | grep -v "^/etc/$name\|^/var/l[io][bg]/$name\|^/etc/systemd")" ""
rm /etc/$name/$name.conf.d/first.conf
quietly dpkg -i --force-confold "$build"/${name}_*.deb
expect "installing again serves again" "$? $(ask 7007 hello)" "0 hello"
expect "with the kept settings" "$(head -n 1 /etc/$name/$name.conf)" "# settings of my own"

# ---- purge ---------------------------------------------------------------------------------------

echo data >/var/lib/$name/data
echo line >/var/log/$name/log
quietly dpkg -P $name $name-dev
expect "purging succeeds" $? 0
expect "no file is left" "$(files | comm -13 $work/before -)" ""
expect "and none is missing" "$(files | comm -23 $work/before -)" ""
expect "no user is left" "$(getent passwd | sort | comm -13 $work/users.before -)" ""
expect "dpkg and systemd have forgotten it" \
    "$(in_state $name)$(in_state $name-dev) $(find /var/lib/systemd -name "*$name*" | wc -l) $(systemctl show -P LoadState $name)" \
    " 0 not-found"

echo
[ "$failures" = 0 ] && echo "all well after $SECONDS s" || echo "$failures failures"
[ "$failures" = 0 ]
