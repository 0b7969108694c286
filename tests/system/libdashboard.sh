#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The guest's side of dashboard.py: a broker with small, round capacities, its socket at port 8080 as
# `ssh -L` would bring it, and a shell for the lines that come in. After each it says "done STATUS".
set -euo pipefail

readonly house=/run/house
export PROVIUM_SOCKET=$house/run/control
mkdir -p $house/etc/slices $house/vendor/broker.conf.d $house/run
cat >$house/etc/broker.conf <<'END'
[Capacity]
CPU=4
Memory=400M
Disk=1G
Network=1Gbps
[Ratio]
CPU=2
[Claim]
CPU=0.1
Memory=16M
DiskIO=0
[Enforce]
MemoryOverhead=0
END
printf '[Broker]\nKSM=no\n[Gates]\nPSI=no\n' >$house/vendor/broker.conf.d/test.conf
slice() {
        printf '[Slice]\nDescription=%s\n%s\n[Access]\nUsers=*\n[Sandbox]\nAllowRoot=yes\nDropCapabilities=no\nPrivateDevices=no\nPrivatePIDs=no\nPrivateIPC=no\nPrivateHostname=no\nPrivateCgroups=no\nPrivateNetwork=no\nSeccomp=none\n' \
                "$2" "$3" >"$house/etc/slices/$1.slice"
}
# A text of the operator's that a page must take as text.
slice t '<img src=x onerror="document.title=1"><script>document.title=2</script>' ''
slice small 'may have little' 'Memory=64M'

answers() {
        curl -fsS -o /dev/null --unix-socket $house/run/http http://localhost/healthz 2>/dev/null
}
start_broker() {
        provium-broker --config-dir $house/etc --vendor-dir $house/vendor --run-dir $house/run \
                --cgroup-root house --no-systemd >>$house/log 2>&1 &
        broker=$!
        until answers; do
                kill -0 $broker || { cat $house/log && return 1; }
                read -rt 0.1 <> <(:) || true
        done
}
kill_broker() {
        kill -KILL "$broker"
        wait "$broker" || true
}
vm() {
        local name=$1
        shift
        provium run --slice t --name "$name" --detach --no-console "$@" >/dev/null
}

start_broker
socat TCP-LISTEN:8080,fork,reuseaddr UNIX-CONNECT:$house/run/http &
echo ready
while read -r line; do
        status=0
        eval "$line" || status=$?
        echo "done $status"
done
