#!/bin/bash
# SPDX-License-Identifier: MIT
#
# cppcheck over the sources of both programs. Its build directory makes a second run quick.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_tool cppcheck

folders=()
for folder in base admission policies cgroup tc launcher proto broker cli tests/support tests/rig; do
        compgen -G "$folder/*.c" >/dev/null && folders+=("$folder")
done
build=${PROVIUM_BUILD:-build/gcc}/cppcheck
mkdir -p "$build"
# Not errors here: headers of the system are not read (missingInclude); a check that gives up on
# a file's size or number of configurations says so as "information".
exec cppcheck --quiet --error-exitcode=1 -j "$(nproc)" --cppcheck-build-dir="$build" \
        --std=c11 --language=c --platform=unix64 --enable=warning,performance,portability \
        --inline-suppr --suppress=missingInclude --suppress=missingIncludeSystem \
        --suppress=unknownMacro --suppressions-list=tests/lint/cppcheck.suppress \
        --library=tests/lint/cppcheck.cfg -D__x86_64__ -D_GNU_SOURCE -I. \
        --template='{file}:{line}: [{id}] {message}' "${folders[@]}"
