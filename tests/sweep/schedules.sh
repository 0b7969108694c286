#!/bin/bash
# SPDX-License-Identifier: MIT
# rig: none --timeout 600
#
# A million random schedules through the pure part of admission: the unit test runs fewer of the
# same. Takes half a minute of one processor.
set -euo pipefail

PROVIUM_SCHEDULES=1000000 exec "${PROVIUM_BUILD:?}/tests/bin/unit.admission.schedules"
