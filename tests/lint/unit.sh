#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The units give broker and launcher the capabilities that broker/rights.c has reasons for, and leave
# neither more exposed, by systemd's own measure, than it was.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# In tenths. What a hypervisor, as the launcher's child, would inherit cannot be set there: see its unit.
declare -rA exposure_max=([broker]=20 [launcher]=63)

# capabilities_in_code ARRAY: those of one table, a line each.
capabilities_in_code() {
        sed -n "/ $1\[\] = {/,/^};/p" broker/rights.c | grep -o '^ *{CAP_[A-Z_]*' | tr -d ' {' | sort
}

for name in broker launcher; do
        unit=systemd/provium-$name.service.in
        in_code=$(capabilities_in_code "of_$name")
        in_unit=$(sed -n 's/^CapabilityBoundingSet=//p' "$unit" | tr ' ' '\n' | sort)
        if [[ -z $in_code || $in_code != "$in_unit" ]]; then
                echo "$unit and of_$name of broker/rights.c (>) do not name the same capabilities:"
                diff <(echo "$in_unit") <(echo "$in_code")
                exit 1
        fi
done

command -v systemd-analyze >/dev/null || {
        echo 'SKIPPED: systemd-analyze is missing, so the exposure of the units is not measured'
        exit 77
}
directory=$(mktemp -d)
trap 'rm -r "$directory"' EXIT
for name in broker launcher; do
        sed 's,@SBINDIR@,/usr/sbin,; s,@BINDIR@,/usr/bin,' systemd/provium-$name.service.in \
                >"$directory/provium-$name.service"
        systemd-analyze security --no-pager --offline=yes --threshold="${exposure_max[$name]}" \
                "$directory/provium-$name.service" >"$directory/report" || {
                cat "$directory/report"
                echo "the unit is more exposed than ${exposure_max[$name]} tenths"
                exit 1
        }
        tail -1 "$directory/report"
done
