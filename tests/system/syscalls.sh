#!/bin/bash
# SPDX-License-Identifier: MIT
#
# rig: --mem 1G --timeout 200
#
# A gate without noise: what one VM's life costs the broker and the launcher in system calls, from
# directory to directory.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec bench/syscalls --max 58 --max-launcher 14
