#!/bin/bash
# SPDX-License-Identifier: MIT
# rig: --beside none
#
# The dashboard in a real browser: the broker and its VMs are in the rig, Chromium is here, for under
# emulation it would take minutes. See dashboard.py.
set -euo pipefail
exec python3 "$PROVIUM_SOURCE/tests/system/dashboard.py"
