#!/bin/bash
# SPDX-License-Identifier: MIT
# rig: none --timeout 600 --beside
#
# A million random schedules through the pure part of admission, and every order of what can happen
# with four claims: the unit tests run fewer of the same. Takes a minute of one processor.
set -euo pipefail

bin=${PROVIUM_BUILD:?}/tests/bin
PROVIUM_SCHEDULES=1000000 "$bin/unit.admission.schedules" no_schedule
PROVIUM_CLAIMS=4 exec "$bin/unit.admission.small_worlds"
