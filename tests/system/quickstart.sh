#!/bin/bash
# SPDX-License-Identifier: MIT
# rig: --beside --mem 768M
#
# The inner half of ./quickstart (see there): it shows what it promises, tells when it fails, and
# whatever ends it, no group and no process of it is left.
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

readonly scratch=$(mktemp -d)
readonly group=/sys/fs/cgroup/provium-quickstart
trap 'rm -rf "$scratch"' EXIT
"$PROVIUM_SOURCE/tests/rig/guest/build" "$scratch/guest"
ln -s "$PROVIUM_BUILD/provium" "$PROVIUM_BUILD/provium-broker" "$scratch/"
export QUICKSTART_BUILD=$scratch QUICKSTART_ACCEL=tcg,tb-size=32 QUICKSTART_GUEST=tiny
export QUICKSTART_KERNEL=none QUICKSTART_TTY=0
cd "$PROVIUM_SOURCE"

says() {
        grep -q -- "$1" "$scratch/log"
}
nothing_left() {
        if [[ -e $group ]]; then
                find "$group" -type d
                return 1
        fi
        ! grep -l "$scratch" /proc/[0-9]*/cmdline 2>/dev/null
}
until_vm() {
        local deadline=$((SECONDS + 60))
        until compgen -G "$group/demo.slice/*.vm" >/dev/null; do
                ((SECONDS < deadline)) || return 1
                read -rt 0.05 <> <(:) || true
        done
}
status_is() {
        local wanted=$1 is=0
        shift
        "$@" || is=$?
        ((is == wanted)) || { echo "status $is" && cat "$scratch/log" && return 1; }
}
run() {
        ./quickstart --inside >"$scratch/log" 2>&1
}

expect 'it works' status_is 0 run
expect 'the claim is the limit, with headroom' says '^cpu.max  *104000 100000'
expect 'and memory with the overhead' says '^memory.max  *373293056'
expect 'the guest speaks' says 'guest | Hello from a guest'
expect 'the guest ends by itself' says 'reason=exit oom=false exit_code=0'
expect 'too large a claim is refused' says '(status 77)'
expect 'nothing is left' nothing_left

QUICKSTART_ACCEL=none expect 'a hypervisor that fails is a failure' status_is 1 run
expect 'which is said' says 'ended with status 1'
expect 'nothing is left of it' nothing_left

exec_it() {
        exec ./quickstart --inside >"$scratch/log" 2>&1
}
ended_within() {
        local deadline=$((SECONDS + $1))
        until [[ $(ps -o stat= -p "$2") == Z* || ! -e /proc/$2 ]]; do
                ((SECONDS < deadline)) || return 1
                sleep 0.05
        done
}
# In a process group of its own, as a terminal's: INT would be ignored in the background otherwise.
end_with() {
        local pid is=0
        set -m
        exec_it &
        pid=$!
        set +m
        until_vm || echo 'no VM came'
        kill -"$1" -- -$pid
        # Bash takes an INT that comes as a command of it ends for the command's own, and goes on: whoever
        # sits before it presses Ctrl-C again.
        while ! ended_within 2 $pid; do
                kill -"$1" -- -$pid 2>/dev/null || break
        done
        wait $pid || is=$?
        ((is == $2)) || { echo "status $is" && cat "$scratch/log" && return 1; }
}
expect 'SIGTERM ends it' end_with TERM 143
expect 'nothing is left after SIGTERM' nothing_left
expect 'SIGINT ends it' end_with INT 130
expect 'nothing is left after SIGINT' nothing_left

echo "$passed passed, $failed failed, 0 skipped"
((failed == 0))
