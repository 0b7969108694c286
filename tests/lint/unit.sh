#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The broker's unit gives it the capabilities that broker/rights.c has reasons for, and leaves it no
# more exposed, by systemd's own measure, than it was.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# In tenths. What a hypervisor, as a child, would inherit cannot be set: see the unit.
readonly exposure_max=63
readonly unit=systemd/provium-broker.service.in

in_code=$(grep -o '^ *{CAP_[A-Z_]*' broker/rights.c | tr -d ' {' | sort)
in_unit=$(sed -n 's/^CapabilityBoundingSet=//p' "$unit" | tr ' ' '\n' | sort)
if [[ $in_code != "$in_unit" ]]; then
        echo "$unit and broker/rights.c (>) do not name the same capabilities:"
        diff <(echo "$in_unit") <(echo "$in_code")
        exit 1
fi

command -v systemd-analyze >/dev/null || {
        echo 'SKIPPED: systemd-analyze is missing, so the exposure of the unit is not measured'
        exit 77
}
directory=$(mktemp -d)
trap 'rm -r "$directory"' EXIT
sed 's,@SBINDIR@,/usr/sbin,; s,@BINDIR@,/usr/bin,' "$unit" >"$directory/provium-broker.service"
systemd-analyze security --no-pager --offline=yes --threshold=$exposure_max \
        "$directory/provium-broker.service" >"$directory/report" || {
        cat "$directory/report"
        echo "the unit is more exposed than $exposure_max tenths"
        exit 1
}
tail -1 "$directory/report"
