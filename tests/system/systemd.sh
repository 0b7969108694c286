#!/bin/bash
# SPDX-License-Identifier: MIT
# rig: --beside --systemd --mem 1G --timeout 300
#
# Installed under systemd as a package would do it: the first call starts the broker, which does its
# work behind the fence of its unit, and the launcher. A VM with its limits and its client outlives
# daemon-reload, daemon-reexec, a restart, SIGKILL, a hang and a stop of the broker, and the end of the
# holder; how it ends is known after all that. It outlives the launcher, too. Stopping the scope ends
# the VMs.
set -euo pipefail

readonly unit=provium-broker.service
readonly launcher=provium-launcher.service
readonly scope=/sys/fs/cgroup/provium.slice/provium-vms.scope
passed=0 failed=0 finished=no

# Also when a command fails that must not.
tell_more() {
        [[ $finished == yes && $failed == 0 ]] || journalctl -u $unit -u $launcher --no-pager -q | tail -60
}
trap tell_more EXIT

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
same() {
        [[ $1 == "$2" ]] || { diff <(echo "$1") <(echo "$2") && return 1; }
}
refused() {
        ! "$@" >/dev/null 2>&1
}
# until_deadline SECONDS COMMAND...: 0 as soon as it succeeds.
until_deadline() {
        local deadline=$((SECONDS + $1))
        shift
        until "$@"; do
                ((SECONDS < deadline)) || return 1
                read -rt 0.05 <> <(:) || true
        done
}
state() {
        systemctl show -P ActiveState "$1"
}
is_state() {
        [[ $(state "$1") == "$2" ]]
}
main_pid() {
        systemctl show -P MainPID "${1:-$unit}"
}
# journal_has FIELD=VALUE...: an entry of the journal has them all.
journal_has() {
        journalctl --no-pager -q -o json "$@" | jq -es 'length >= 1' >/dev/null
}
journal_says() {
        journalctl -u $unit --no-pager -q | grep -q -- "$1"
}

# What must not change while the broker comes and goes: the process, what the kernel holds it to, and
# the books. (The start time tells a process from another with its pid.)
facts() {
        local dir file
        dir=$(compgen -G "$scope/demo.slice/*.vm") || { echo 'no VM' && return 0; }
        echo "main $(<"$dir/cgroup.procs") since $(awk '{ print $22 }' "/proc/$(<"$dir/cgroup.procs")/stat")"
        for file in cpu.max cpu.weight memory.max memory.low memory.swap.max pids.max \
                memory.oom.group; do
                echo "$file $(<"$dir/$file")"
        done
        for dir in "$scope" "$scope/demo.slice"; do
                echo "${dir##*/} $(<"$dir/cgroup.subtree_control") low $(<"$dir/memory.low")" \
                        "weight $(<"$dir/cpu.weight") max $(<"$dir/memory.max") $(<"$dir/cpu.max")"
        done
        dir=/sys/fs/cgroup/provium.slice
        echo "provium.slice low $(<$dir/memory.low) weight $(<$dir/cpu.weight)"
        provium resources | awk '$1 == "cpu" || $1 == "memory"'
        provium --json ps | jq -c '[.. | objects | select(has("name")) | {name, state, pid}]'
}
unchanged() {
        local now
        now=$(facts)
        same "$before" "$now"
}

# ---- install ---------------------------------------------------------------------------------------

# CMake is the host's; it cannot write its manifest into the build, and says so at the end.
LD_LIBRARY_PATH=/host/usr/lib/x86_64-linux-gnu /host/usr/bin/cmake --install "$PROVIUM_BUILD" \
        --prefix /usr >/tmp/install 2>&1 || true
for file in /usr/sbin/provium-broker /usr/bin/provium /usr/lib/systemd/system/$unit \
        /usr/lib/systemd/system/provium-broker.socket /usr/lib/systemd/system/$launcher \
        /usr/lib/systemd/system/provium-launcher.socket /usr/lib/systemd/system/provium.slice \
        /usr/lib/provium/slices/default.slice /usr/share/doc/provium/examples/slices/demo.slice; do
        expect "$file is installed" test -f "$file"
done
hash -r
PATH=/usr/sbin:/usr/bin:/sbin:/bin
cp /usr/share/doc/provium/examples/slices/demo.slice /etc/provium/slices/
# This machine is short of CPUs, and nobody here shall wait for that.
mkdir -p /etc/provium/broker.conf.d
printf '[Gates]\nPSI=no\n' >/etc/provium/broker.conf.d/gates.conf
# What needs to be written or opened behind the fence of the unit.
printf '[HTTP]\nListen=127.0.0.1:9787\n' >/etc/provium/broker.conf.d/http.conf
systemctl daemon-reload
expect 'the units are sound' systemd-analyze verify --man=no $unit provium-broker.socket \
        $launcher provium-launcher.socket
systemctl --quiet enable --now provium-broker.socket $unit 2>/tmp/enable || cat /tmp/enable
systemctl stop $unit $launcher 2>/dev/null

# ---- the first call starts the broker --------------------------------------------------------------

expect 'nothing runs before the first call' is_state $unit inactive
expect 'the launcher neither' is_state $launcher inactive
expect 'the first call is answered' provium ps
expect 'by a broker that systemd started for it' is_state $unit active
expect 'which has called the launcher' is_state $launcher active
expect 'whose socket is for root alone' test "$(stat -c %a /run/provium-launcher/socket)" = 600
expect 'the socket is for everybody' test "$(stat -c %a /run/provium/control)" = 666
expect 'the OOM killer is told to spare it' test "$(<"/proc/$(main_pid)/oom_score_adj")" = -1000

# ---- what it may do, and what its VMs have of that --------------------------------------------------

# exposed_at_most UNIT N: in tenths, as in tests/lint/unit.sh; here it is the unit as it was loaded.
exposed_at_most() {
        systemd-analyze security --no-pager "$1" | tail -1 | sed 's/^/          /'
        systemd-analyze security --no-pager --threshold="$2" "$1" >/dev/null
}
expect 'the broker is as little exposed as was measured' exposed_at_most $unit 20
expect 'the launcher, whose children VMs are, not more than before' exposed_at_most $launcher 63
keeps_what_its_unit_says() {
        [[ $(awk '/^Cap(Prm|Eff|Bnd)/ { print $2 }' "/proc/$1/status" | sort -u | wc -l) == 1 ]]
}
expect 'what the unit lets the broker have is what it keeps' keeps_what_its_unit_says "$(main_pid)"
expect 'so it is with the launcher' keeps_what_its_unit_says "$(main_pid $launcher)"
expect 'the broker sees the files of the host read-only' \
        grep -q ' / / ro,' "/proc/$(main_pid)/mountinfo"
finds_no_problem() {
        local problems
        problems=$(provium doctor | grep -A1 '^problem' || true)
        same '' "$problems"
}
expect 'and lacks nothing that it needs: doctor finds no problem' finds_no_problem
expect 'it may switch KSM on' test "$(</sys/kernel/mm/ksm/run)" = 1
tcp_answers() {
        curl -s --max-time 10 http://127.0.0.1:9787/healthz | grep -q ok
}
expect 'readers are served over TCP' until_deadline 20 tcp_answers

small_vm() {
        provium run --slice demo --cpus 0.1 --mem 64M "$@"
}
speaks_ip() {
        local said
        said=$(small_vm -- bash -c 'exec 3<>/dev/tcp/127.0.0.1/9' 2>&1) || true
        grep -q 'Connection refused' <<<"$said"
}
expect 'a VM may speak IP, which the broker may not' speaks_ip
ip link add br7 type bridge
ip link set br7 up
expect 'the broker may make taps' small_vm --net br7 -- true
useradd somebody
as_somebody() {
        setpriv --reuid somebody --clear-groups "$@"
}
expect 'a user may start a VM' as_somebody provium run --slice demo --cpus 0.1 --mem 64M -- true
as_somebody provium run --slice demo --name theirs --cpus 0.1 --mem 64M --detach -- sleep 600 >/dev/null
expect 'and has a console' test "$(stat -c %U /run/provium/console/*)" = somebody
expect 'their VM can be ended' provium kill theirs

provium run --slice demo --name attached --cpus 0.5 --mem 64M -- sleep 600 2>/tmp/client &
client=$!
vm_runs() {
        [[ $(provium ps | grep -c running) == "$1" ]]
}
expect 'a VM starts' until_deadline 20 vm_runs 1
before=$(facts)
echo "$before" | sed 's/^/          /'
vm_pid=$(<"$(compgen -G "$scope/demo.slice/*.vm")/cgroup.procs")
expect 'the io controller is there' grep -qw io "$scope/demo.slice/cgroup.subtree_control"
parent_of() {
        awk '/^PPid/ { print $2 }' "/proc/$1/status"
}
launcher_pid=$(main_pid $launcher)
expect 'the VM is a child of the launcher' same "$launcher_pid" "$(parent_of "$vm_pid")"
expect 'the OOM killer may choose the VM' test "$(<"/proc/$vm_pid/oom_score_adj")" = 0
expect 'its soft limit of files is an ordinary one' \
        test "$(awk '/open files/ { print $4 }' "/proc/$vm_pid/limits")" = 1024
expect 'nothing of the service is left in its environment' \
        refused grep -qE 'NOTIFY_SOCKET|LISTEN_|WATCHDOG|INVOCATION_ID=' "/proc/$vm_pid/environ"

# ---- what it must outlive --------------------------------------------------------------------------

systemctl daemon-reload
expect 'daemon-reload changes nothing' unchanged
systemctl daemon-reexec
expect 'daemon-reexec changes nothing' unchanged

pid=$(main_pid)
systemctl restart $unit
expect 'a restart makes a new broker' test "$(main_pid)" != "$pid"
expect 'and changes nothing' unchanged

pid=$(main_pid)
kill -KILL "$pid"
another_broker() {
        local now
        now=$(main_pid)
        ((now > 0 && now != pid)) && is_state $unit active
}
expect 'a killed broker is replaced' until_deadline 20 another_broker
expect 'and nothing has changed' unchanged

expect 'a broker can be upgraded in place' provium upgrade
pid=$(main_pid)
expect 'it keeps its pid' test "$(state $unit) $(main_pid)" = "active $pid"
expect 'and nothing has changed then' until_deadline 10 unchanged

systemctl stop $unit 2>/dev/null
expect 'a stopped broker leaves its VM' test -e "/proc/$vm_pid"
expect 'whose limit is in force' \
        test "$(<"$(compgen -G "$scope/demo.slice/*.vm")/cpu.max")" = "$(awk '$1 == "cpu.max" { print $2, $3 }' <<<"$before")"
expect 'the next call starts it again' unchanged

# A broker that hangs: the watchdog ends it. 30 s are long for a test.
mkdir -p /run/systemd/system/$unit.d
printf '[Service]\nWatchdogSec=2\n' >/run/systemd/system/$unit.d/watchdog.conf
systemctl daemon-reload
systemctl restart $unit
pid=$(main_pid)
kill -STOP "$pid"
expect 'a broker that hangs is replaced' until_deadline 30 another_broker
expect 'by the watchdog' journal_says 'Watchdog timeout'
expect 'and nothing has changed after it' unchanged
rm -r /run/systemd/system/$unit.d
systemctl daemon-reload
systemctl restart $unit

expect 'a reload succeeds' systemctl reload $unit
echo 'garbage' >/etc/provium/slices/bad.slice
expect 'a reload of a bad file fails' refused systemctl reload $unit
expect 'with file and line in the journal' journal_says '/etc/provium/slices/bad.slice:1:'
expect 'the broker goes on' unchanged
rm /etc/provium/slices/bad.slice
expect 'a reload succeeds again' systemctl reload $unit

kill -KILL "$(<"$scope/holder/cgroup.procs")"
systemctl restart $unit
expect 'a lost holder is replaced' grep -q . "$scope/holder/cgroup.procs"
expect 'and nothing has changed without it' unchanged

expect 'the launcher is the same after all that' same "$launcher_pid" "$(main_pid $launcher)"

# A mistake in the policies while no broker runs: it cannot start, and who asks is told so. (First the
# mistake: the client of the VM comes back at once, and would have it started again.) Meanwhile another VM
# ends by itself.
mkfifo /tmp/end
provium run --slice demo --name brief --cpus 0.1 --mem 32M -- sh -c 'read -r line </tmp/end; exit 7' &
brief=$!
expect 'one more VM starts' until_deadline 20 vm_runs 2
echo 'garbage' >/etc/provium/slices/bad.slice
systemctl stop $unit 2>/dev/null
for _ in 1 2; do
        status=0
        timeout 60 provium ps >/dev/null 2>&1 || status=$?
        expect 'without a broker that can start, a call ends' test $status = 125
done
expect 'the socket stays' is_state provium-broker.socket active
echo >/tmp/end
expect 'a VM ends while there is no broker' until_deadline 20 refused pgrep -f '^sh -c read'
expect 'the VM runs on' test -e "/proc/$vm_pid"
rm /etc/provium/slices/bad.slice
status=0
wait $brief || status=$?
expect 'with the mistake mended its client learns how, from the next broker' same 7 $status
expect 'so does the journal' \
        until_deadline 10 journal_has PROVIUM_VM=brief PROVIUM_KIND=vm_shutdown PROVIUM_EXIT_CODE=7
expect 'and nothing else has changed' unchanged
fds_of_holder() {
        local fd
        for fd in "/proc/$(<"$scope/holder/cgroup.procs")"/fd/*; do
                readlink "$fd"
        done | sort -u
}
expect 'the holder keeps nothing open' same /dev/null "$(fds_of_holder)"

# ---- what happened is in the journal -----------------------------------------------------------------

small_vm --name told -- true
expect 'the journal has what happened to a VM' \
        until_deadline 20 journal_has PROVIUM_VM=told PROVIUM_KIND=claim_released
expect 'in its order' same 'claim_acquired vm_spawned vm_shutdown claim_released' \
        "$(journalctl --no-pager -q -o json PROVIUM_VM=told | jq -sr '[.[].PROVIUM_KIND] | join(" ")')"
fields_of_told() {
        journalctl --no-pager -q -o json PROVIUM_VM=told PROVIUM_KIND=vm_shutdown |
                jq -r '[.PROVIUM_SLICE, .PROVIUM_UID, .PROVIUM_EXIT_CODE, .PRIORITY, .MESSAGE,
                        .SYSLOG_IDENTIFIER, ._SYSTEMD_UNIT] | join(",")'
}
expect 'with its fields' same \
        "demo,0,0,6,vm_shutdown told: reason=exit oom=no exit_code=0,provium-broker,$unit" \
        "$(fields_of_told)"
expect 'a kind has its message id' test "$(journalctl --no-pager -q -o json PROVIUM_KIND=vm_spawned |
        jq -r .MESSAGE_ID | sort -u | grep -cE '^[0-9a-f]{32}$')" = 1
expect 'what comes every second is not there' refused journal_has PROVIUM_KIND=pool_state
# Nobody waits for a journald that takes nothing; it gets all later.
journald=$(systemctl show -P MainPID systemd-journald.service)
kill -STOP "$journald"
for i in 1 2 3 4 5 6 7 8; do
        timeout 60 provium run --slice demo --cpus 0.1 --mem 32M --name "stuck$i" -- true
done
expect 'a stuck journald holds up no VM' provium ps
kill -CONT "$journald"
expect 'and gets all later' until_deadline 20 journal_has PROVIUM_VM=stuck8 PROVIUM_KIND=claim_released
expect 'without a gap' test "$(journalctl --no-pager -q -o json PROVIUM_KIND=vm_shutdown |
        jq -r .PROVIUM_VM | grep -c '^stuck')" = 8

expect 'the client is still there' test -e "/proc/$client"
provium run --slice demo --name second --cpus 0.1 --mem 32M --detach --no-console -- sleep 600 >/dev/null
expect 'a second VM starts' vm_runs 2
expect 'kill ends one' provium kill attached >/dev/null
status=0
wait "$client" || status=$?
# SIGKILL: the first process of a VM's own namespace does not end by another, unless it says so.
expect 'its client learns how it ended, through all brokers' same $((128 + 9)) $status

# ---- a launcher that dies ----------------------------------------------------------------------------

provium run --slice demo --name orphan --cpus 0.1 --mem 32M -- sleep 601 2>/tmp/client &
client=$!
expect 'a VM starts once more' until_deadline 20 vm_runs 2
pid=$(main_pid)
kill -KILL "$launcher_pid"
expect 'VMs outlive the launcher' until_deadline 10 vm_runs 2
expect 'the next VM starts' small_vm -- true
expect 'by another launcher' test "$(main_pid $launcher)" != "$launcher_pid"
expect 'asked for by the same broker' test "$(main_pid)" = "$pid"
expect 'a VM of the former one can be ended' provium kill orphan
status=0
wait "$client" || status=$?
# This kernel tells the exit status of a process to its parent only, which was killed above.
expect 'its client learns that it has ended' test $status = 125
expect 'and that nobody knows how' grep -q 'exit status was lost' /tmp/client
systemctl stop $launcher
expect 'a launcher that was stopped is started by the next VM' small_vm -- true
systemctl stop provium-launcher.socket
expect 'one whose socket is closed stops no broker' provium ps
expect 'but no VM starts' refused small_vm -- true
systemctl start provium-launcher.socket
expect 'until it is open again' until_deadline 20 small_vm -- true
launcher_pid=$(main_pid $launcher)
expect 'both are upgraded in place' provium upgrade
expect 'so the launcher keeps its pid as well' test "$(main_pid $launcher)" = "$launcher_pid"
expect 'and starts VMs' small_vm -- true

# ---- the end -----------------------------------------------------------------------------------------

pid=$(main_pid)
systemctl stop provium-vms.scope
expect 'stopping the scope ends the VMs' refused pgrep -x sleep
expect 'the broker starts over' until_deadline 30 another_broker
expect 'with empty books' test "$(provium ps | wc -l)" = 1
expect 'and a new scope' provium run --slice demo --mem 64M --detach --no-console --name again -- sleep 1000
expect 'in which a VM runs' compgen -G "$scope/demo.slice/*.vm"
expect 'and sees nothing above itself' \
        test "$(provium run --slice demo --mem 64M -- cat /proc/self/cgroup)" = '0::/'
expect 'and is killed' provium kill again

systemctl stop provium-broker.socket provium-launcher.socket $unit $launcher
expect 'the broker stops' is_state $unit inactive
expect 'so does the launcher' is_state $launcher inactive
expect 'the sockets are gone' test ! -e /run/provium/control -a ! -e /run/provium-launcher/socket
systemctl stop provium.slice
until_deadline 10 test ! -e $scope || true
expect 'nothing is left in the slice' test ! -e $scope
expect 'no process is left' refused pgrep -f provium-broker

finished=yes
echo "$passed passed, $failed failed, 0 skipped"
((failed == 0))
