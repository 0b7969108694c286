# SPDX-License-Identifier: MIT
# Shared by the checks: which files are ours.
set -euo pipefail
cd "${PROVIUM_SOURCE:-$(dirname "${BASH_SOURCE[0]}")/../..}"

# Paths of the project's files, NUL-terminated: those git knows or would know; without git, all
# but the builds.
project_files() {
        if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
                git ls-files -z --cached --others --exclude-standard -- "$@" |
                        while IFS= read -rd '' file; do
                                # Also lists what was deleted but not yet told to git.
                                [[ -f $file && ! -L $file ]] && printf '%s\0' "$file"
                        done
        else
                find . -path ./build -prune -o -path ./.git -prune -o -type f -printf '%P\0'
        fi
}

# Skipped means failed where everything was promised (./check installs the tools).
need_tool() {
        command -v "$1" >/dev/null || {
                echo "$1 is missing: tools/install-deps --test"
                exit 1
        }
}
