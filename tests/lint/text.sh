#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Every text file: says its license, ends in a newline, has no trailing blanks, no tabs in C, and
# no conflict markers.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

bad=0
complain() {
        echo "$1"
        bad=$((bad + 1))
}

while IFS= read -rd '' file; do
        case $file in
        LICENSE | debian/changelog | debian/copyright | debian/source/* | .gitignore | tests/fuzz/corpus/* | *.png | *.svg | *.deb | *.json | *.bin) continue ;;
        esac
        grep -Iq . "$file" || continue                  # empty, or binary
        head -n 5 "$file" | grep -q 'SPDX-License-Identifier: ' ||
                complain "$file:1: no SPDX line"
        while IFS= read -r line; do
                complain "$file:$line: blanks at the end"
        done < <(grep -nE '[[:blank:]]+$' "$file" | cut -d: -f1)
        if [[ $file == *.[ch] ]]; then
                while IFS= read -r line; do
                        complain "$file:$line: a tab"
                done < <(grep -nP '\t' "$file" | cut -d: -f1)
        fi
        while IFS= read -r line; do
                complain "$file:$line: a conflict marker"
        done < <(grep -nE '^(<{7} |>{7} |={7}$)' "$file" | cut -d: -f1)
        [[ -z $(tail -c 1 "$file") ]] || complain "$file: no newline at the end"
done < <(project_files)
((bad == 0))
