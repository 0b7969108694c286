#!/bin/sh
# SPDX-License-Identifier: MIT
#
# collect.sh GROUP: all figures of all VMs below it, as a script for a textfile collector would get them:
# one process reads all the files. Prints "FILE:LINE".
set -eu
cd "$1"
find . -type d -name '*.vm' | while read -r vm; do
        for file in cpu.stat memory.current memory.peak pids.current memory.events io.stat \
                cpu.pressure memory.pressure io.pressure; do
                echo "$vm/$file"
        done
done | xargs grep '' >/dev/null
