#!/bin/bash
# SPDX-License-Identifier: MIT
# rig: --beside none
#
# The Debian package: it can be built and installed, runs at once, lets VMs, limits and the broker's
# process live through an upgrade, keeps what the operator wrote, and leaves when it is told to.
#
# Builds here, and runs itself once more in Debian with systemd for the rest.
set -euo pipefail

if [[ ${1:-} != --inside ]]; then
        "$PROVIUM_SOURCE/tools/build-deb"
        exec "$PROVIUM_SOURCE/tests/rig/rig" --systemd --mem 1G --timeout 300 --env PROVIUM_SOURCE \
                --bind "$PROVIUM_SOURCE" -- bash "${BASH_SOURCE[0]}" --inside
fi

readonly unit=provium-broker.service
readonly launcher=provium-launcher.service
readonly scope=/sys/fs/cgroup/provium.slice/provium-vms.scope
passed=0 failed=0
PATH=/usr/sbin:/usr/bin:/sbin:/bin

expect() {
        local sentence=$1
        shift
        if "$@"; then
                echo "  ok      $sentence"
                passed=$((passed + 1))
        else
                echo "  FAILED  $sentence"
                failed=$((failed + 1))
        fi
}
refused() {
        ! "$@" >/dev/null 2>&1
}
until_deadline() {
        local deadline=$((SECONDS + $1))
        shift
        until "$@"; do
                ((SECONDS < deadline)) || return 1
                read -rt 0.05 <> <(:) || true
        done
}
main_pid() {
        systemctl show -P MainPID "${1:-$unit}"
}
install_package() {
        DEBIAN_FRONTEND=noninteractive dpkg -i "$PROVIUM_SOURCE"/build/deb/provium-broker_*.deb
}

expect 'the package can be installed' install_package
expect 'it makes a group' getent group provium
expect 'the socket is enabled' systemctl --quiet is-enabled provium-broker.socket
expect 'so is the service' systemctl --quiet is-enabled $unit
expect 'the broker runs' systemctl --quiet is-active $unit
expect 'the socket of the launcher is enabled' \
        systemctl --quiet is-enabled provium-launcher.socket
expect 'the launcher runs' systemctl --quiet is-active $launcher
expect 'and answers' provium ps
expect 'the policies are valid' provium policy check

mkdir /etc/provium/slices/default.slice.d
# However busy this emulated host is with what was just installed.
printf '[Gates]\nPSI=no\n' >/etc/provium/broker.conf.d/gates.conf
printf '[Access]\nGroups=provium\n' >/etc/provium/slices/default.slice.d/access.conf
expect 'a policy of our own is taken' systemctl reload $unit
useradd --groups provium somebody
expect 'a member of the group may start a VM' \
        setpriv --reuid somebody --init-groups provium run --mem 32M -- true
expect 'somebody else may not' refused setpriv --reuid nobody --clear-groups provium run --no-wait -- true

provium run --detach --no-console --name one --mem 32M -- sleep 600 >/dev/null
vm_pid=$(<"$(compgen -G "$scope/default.slice/*.vm")/cgroup.procs")
limits() {
        grep -H . "$scope"/default.slice/*.vm/{cpu.max,memory.max,memory.low,cgroup.procs}
        provium resources | awk '$1 == "cpu" || $1 == "memory"'
}
before=$(limits)
pid=$(main_pid)
launcher_pid=$(main_pid $launcher)
echo '# the operator was here' >>/etc/provium/broker.conf
expect 'the package can be installed over itself' install_package
upgraded() {
        [[ $(readlink "/proc/$1/exe") == /usr/sbin/provium-broker ]]
}
expect 'the broker executes the new file' until_deadline 20 upgraded "$pid"
expect 'as the same process' test "$(main_pid)" = "$pid"
expect 'so does the launcher' until_deadline 20 upgraded "$launcher_pid"
expect 'as the same process, too' test "$(main_pid $launcher)" = "$launcher_pid"
expect 'nothing has changed' test "$(limits)" = "$before"
expect 'the configuration is kept' grep -q 'the operator was here' /etc/provium/broker.conf

expect 'it can be removed' dpkg --remove provium-broker
expect 'the broker is gone' refused pgrep -f /usr/sbin/provium-broker
expect 'so is the socket' test ! -e /run/provium/control
expect 'and that of the launcher' test ! -e /run/provium-launcher/socket
expect 'the VM runs on' test -e "/proc/$vm_pid"
expect 'stopping the scope ends it' systemctl stop provium-vms.scope
expect 'really' until_deadline 10 test ! -e "/proc/$vm_pid"
rm -r /etc/provium/slices/default.slice.d /etc/provium/broker.conf.d/gates.conf
expect 'it can be purged' dpkg --purge provium-broker
expect 'nothing is left in /etc' test ! -e /etc/provium

((failed == 0)) || journalctl -u $unit -u $launcher --no-pager -q | tail -40
echo "$passed passed, $failed failed, 0 skipped"
((failed == 0))
