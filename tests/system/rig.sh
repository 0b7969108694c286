#!/bin/bash
# SPDX-License-Identifier: MIT
# rig: --beside none
#
# The rig seen from outside: exact exit statuses, exact output, an end for everything that hangs
# or panics, and nothing left over, whoever is killed.
set -euo pipefail

readonly rig=$PROVIUM_SOURCE/tests/rig/rig
passed=0 failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export TMPDIR=$scratch

verdict() {
        if [[ $1 == ok ]]; then
                echo "  ok      $2"
                passed=$((passed + 1))
        else
                echo "  FAILED  $2: $3"
                failed=$((failed + 1))
                cat "$scratch/err" 2>/dev/null || true
        fi
}

# status WANTED SENTENCE RIG-ARGUMENTS...
status() {
        local wanted=$1 sentence=$2 is=0
        shift 2
        "$rig" "$@" >"$scratch/out" 2>"$scratch/err" || is=$?
        if ((is == wanted)); then verdict ok "$sentence"; else
                verdict FAILED "$sentence" "status $is instead of $wanted"
        fi
}

# says TEXT SENTENCE: the last run's messages or output contain TEXT.
says() {
        if grep -q -- "$1" "$scratch/out" "$scratch/err"; then verdict ok "$2"; else
                verdict FAILED "$2" "no '$1' in the output"
        fi
}

processes_of_run() {
        # By our own directory's name in the arguments: other rigs may run beside this one. From a
        # file, lest grep finds itself.
        echo "$scratch/provium-rig" >"$scratch/pattern"
        grep -lFf "$scratch/pattern" /proc/[0-9]*/cmdline 2>/dev/null | wc -l
}

# Processes that were killed become invisible in a moment, which is waited for, but not for long.
nothing_is_left() {
        local deadline=$((SECONDS + 10))
        while (($(processes_of_run) > 0 && SECONDS < deadline)); do
                read -rt 0.05 <> <(:) || true
        done
        if (($(processes_of_run) == 0)); then verdict ok "$1"; else
                verdict FAILED "$1" "$(processes_of_run) processes are left"
        fi
}

# Waits until the guest of a background run has printed something, or the run has ended.
wait_for_output() {
        local pid=$1 file=$2
        until [[ -s $file || ! -e /proc/$pid ]]; do
                read -rt 0.05 <> <(:) || true
        done
}

status 0 'a command that succeeds' -- true
status 7 'a command that fails with 7' -- sh -c 'exit 7'
status 255 'a command that fails with 255' -- sh -c 'exit 255'
status 137 'a command that dies of SIGKILL' -- sh -c 'kill -KILL $$'
status 127 'a command that does not exist' -- /nonexistent/command
status 126 'a command that cannot be executed' -- /etc/passwd
# On a busy machine it takes more than five seconds until there is a command.
status 124 'a command that hangs' --timeout 20 -- sleep 1000
says 'sleep 1000' 'the report of a hang names the process'
status 125 'a guest that panics' -- sh -c 'echo c >/proc/sysrq-trigger; sleep 100'
says 'sysrq' 'the report of a panic shows the kernel log'
# As the kernel says it; the real thing cannot be had for the asking.
status 122 'an emulated processor that has stopped is told apart' --timeout 60 -- \
        sh -c "for i in 1 2; do
                       echo \"<3>rcu: rcu_preempt kthread timer wakeup didn't happen for 5 jiffies\" >/dev/kmsg
               done; while :; do :; done"
status 122 'so are two that wait for each other for ever' --timeout 60 -- \
        sh -c "for i in 1 2 3 4 5 6 7 8; do
                       echo '<0>watchdog: BUG: soft lockup - CPU#1 stuck for 23s! [x:1]' >/dev/kmsg
               done; while :; do :; done"
status 0 'one that was only slow is none' --timeout 60 -- \
        sh -c "for i in 1 2 3 4 5; do
                       echo '<0>watchdog: BUG: soft lockup - CPU#0 stuck for 23s! [x:1]' >/dev/kmsg
               done; sleep 12"
# Static keys of the scheduler, over and over, with both processors in it: see `thread=single` in the rig.
status 0 'a kernel that patches its own code goes on' --timeout 200 -- \
        sh -c 'cd /sys/fs/cgroup; echo +cpu >cgroup.subtree_control; mkdir g
                for i in 1 2 3; do (while :; do sleep 0.001; done) & done
                for i in $(seq 800); do echo "50000 100000" >g/cpu.max; echo max >g/cpu.max; done'
status 125 'a mistake in the options' --mem nonsense -- true
status 125 'a forward without a port' --forward 80 -- true

# What leads in: lines, and a port. The guest says when it reads and listens.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkfifo "$scratch/in"
"$rig" --stdin --forward "$port:7" -- sh -c 'socat TCP-LISTEN:7,fork EXEC:cat &
        socat -u /dev/null TCP:127.0.0.1:7,retry=100,interval=0.1
        echo ready; read -r line; echo "read $line"' <"$scratch/in" >"$scratch/lines" 2>&1 &
pid=$!
exec 5>"$scratch/in"
wait_for_output $pid "$scratch/lines"
echoed=$(echo 'through a port' | timeout 60 socat -t 50 - "TCP:127.0.0.1:$port") || true
if [[ $echoed == 'through a port' ]]; then verdict ok 'a forwarded port leads into the guest'; else
        verdict FAILED 'a forwarded port leads into the guest' "'$echoed' came back"
fi
echo 'a line' >&5
wait $pid || true
exec 5>&-
if grep -q '^read a line' "$scratch/lines"; then verdict ok 'standard input leads into the guest'; else
        verdict FAILED 'standard input leads into the guest' "$(<"$scratch/lines")"
fi

head -c 300000 /dev/urandom >"$scratch/random"
status 0 'binary output' -- cat "$scratch/random"
if cmp -s "$scratch/random" "$scratch/out"; then verdict ok 'output arrives byte for byte'; else
        verdict FAILED 'output arrives byte for byte' 'it differs'
fi

status 0 'a guest that tries to write' -- sh -c "echo x >'$scratch/written'; rm -rf '$scratch/random'"
if [[ ! -e $scratch/written && -s $scratch/random ]]; then
        verdict ok 'the host does not see what the guest wrote'
else
        verdict FAILED 'the host does not see what the guest wrote' 'it does'
fi

"$rig" -- sh -c 'echo ready; sleep 1000' >"$scratch/term" 2>&1 &
pid=$!
wait_for_output $pid "$scratch/term"
kill -TERM $pid
is=0
wait $pid || is=$?
if ((is == 143)); then verdict ok 'SIGTERM ends the rig'; else
        verdict FAILED 'SIGTERM ends the rig' "status $is"
fi
nothing_is_left 'no process is left after SIGTERM'
if compgen -G "$scratch/provium-rig.*" >/dev/null; then
        verdict FAILED 'no file is left after SIGTERM' "$(ls "$scratch")"
else
        verdict ok 'no file is left after SIGTERM'
fi

"$rig" -- sh -c 'echo ready; sleep 1000' >"$scratch/kill" 2>&1 &
pid=$!
wait_for_output $pid "$scratch/kill"
kill -KILL $pid
wait $pid 2>/dev/null || true
nothing_is_left 'no process is left after SIGKILL'
status 0 'a rig after one that was killed' -- true
if compgen -G "$scratch/provium-rig.*" >/dev/null; then
        verdict FAILED 'it sweeps what the killed one left' "$(ls "$scratch")"
else
        verdict ok 'it sweeps what the killed one left'
fi

pids=()
for n in 11 12 13; do
        "$rig" -- sh -c "exit $n" &
        pids+=($!)
done
statuses=()
for pid in "${pids[@]}"; do
        is=0
        wait "$pid" || is=$?
        statuses+=("$is")
done
if [[ ${statuses[*]} == '11 12 13' ]]; then verdict ok 'three rigs at once'; else
        verdict FAILED 'three rigs at once' "statuses ${statuses[*]}"
fi

echo "$passed passed, $failed failed, 0 skipped"
((failed == 0))
