#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What a careful shell script does for one VM: launch.sh GROUP PROGRAM. The same group, limits and end as
# the floor (bench/floor.c).
set -eu
group=$1/vm.$$
mkdir "$group"
echo 16777216 >"$group/memory.max"
echo 16777216 >"$group/memory.high"
echo 0 >"$group/memory.swap.max"
echo 16777216 >"$group/memory.low"
echo 1 >"$group/memory.oom.group"
echo 80 >"$group/pids.max"
echo 6 >"$group/cpu.weight"
echo '104000 100000' >"$group/cpu.max"
(
        echo 0 >"$group/cgroup.procs"
        exec "$2"
)
rmdir "$group"
