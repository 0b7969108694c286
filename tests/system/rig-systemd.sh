#!/bin/bash
# SPDX-License-Identifier: MIT
# rig: --beside --systemd --disk 16M
#
# What tests with systemd take for granted in the rig.
set -euo pipefail

passed=0 failed=0
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
        ! "$@" 2>/dev/null
}

if [[ ${PROVIUM_RIG:-} != guest ]]; then
        echo 'this does not run in the rig'
        exit 77
fi
expect 'systemd is process 1' test "$(ps -p 1 -o comm=)" = systemd
expect 'the boot ends well' systemctl is-system-running --wait
expect 'this is a unit' grep -q system.slice/rig.service /proc/self/cgroup
expect 'cgroup is version two' test "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs
expect 'the sources are in their place' test -r "$PROVIUM_SOURCE/check"
expect 'so is the build' test -d "$PROVIUM_BUILD/tests"
expect 'the host is below /host' test -r "/host$PROVIUM_SOURCE/check"
expect 'it cannot be written' refused touch /host/etc/rig-was-here
expect 'nor can the sources' refused touch "$PROVIUM_SOURCE/rig-was-here"
expect 'a unit can be started' systemd-run --quiet --wait --pipe true
expect 'our libraries are there' test -e /usr/lib/x86_64-linux-gnu/libcgroup.so.2
expect 'the disk is the second one' test "$RIG_DISKS" = /dev/vdb -a -b /dev/vdb
echo "$passed passed, $failed failed, 0 skipped"
((failed == 0))
