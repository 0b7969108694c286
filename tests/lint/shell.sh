#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Every script parses, and starts with "set -e" in some form, or says why not by being sourced.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

bad=0 n=0
while IFS= read -rd '' file; do
        read -r first <"$file" 2>/dev/null || continue
        case $first in
        '#!/bin/bash'* | '#!/usr/bin/env bash'*)
                bash -n "$file" || bad=$((bad + 1))
                ;;
        '#!/bin/sh'*)
                sh -n "$file" || bad=$((bad + 1))
                ;;
        *)
                [[ $file == *.sh ]] || continue
                bash -n "$file" || bad=$((bad + 1))
                n=$((n + 1))
                continue
                ;;
        esac
        n=$((n + 1))
        if ! grep -qE '^\s*(set -[a-z]*e|source .*lib[^/]*\.sh|\. .*lib[^/]*\.sh)' "$file"; then
                echo "$file: does not stop at errors (set -euo pipefail)"
                bad=$((bad + 1))
        fi
        if [[ ! -x $file ]]; then
                echo "$file: has an interpreter line and is not executable"
                bad=$((bad + 1))
        fi
done < <(project_files)
echo "$n scripts"
((bad == 0))
