#!/bin/bash
# SPDX-License-Identifier: MIT
#
# clang-tidy over the sources of both programs (checks and reasons: .clang-tidy). A file that was
# good is looked at again only when it, a header of ours that it reads, or the checks change: the
# analyzer takes 1 to 2 s for each (75 s for 79 files, two at a time; 1 s when nothing changed).
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_tool clang-tidy

export build=${PROVIUM_BUILD:-build/gcc}
export stamps=$build/clang-tidy
[[ -e $build/compile_commands.json ]] || {
        echo "no $build/compile_commands.json: build first"
        exit 1
}
mkdir -p "$stamps"

# Prints "FILE KEY" for what the build compiles, with a key of all that the file reads: ninja has
# noted that for itself.
keys() {
        clang-tidy --version | cat - .clang-tidy | sha256sum >"$stamps/.checks"
        ninja -C "$build" -t deps | python3 -c '
import hashlib, json, os, sys
build, root = os.environ["build"], os.getcwd()
rooms = "base admission policies cgroup tc launcher proto broker cli".split()
with open(os.environ["stamps"] + "/.checks", "rb") as file:
    checks = file.read()
digests, reads, current = {}, {}, None
def digest(path):
    if path not in digests:
        with open(path, "rb") as file:
            digests[path] = hashlib.sha256(file.read()).digest()
    return digests[path]
for line in sys.stdin:
    path = line.strip()
    if not line.startswith(" "):
        current = []
        continue
    path = os.path.relpath(os.path.join(build, path))
    if not current:
        reads[path] = current       # the first is the source itself
    if not path.startswith("..") and os.path.exists(path):
        current.append(path)
for entry in json.load(open(build + "/compile_commands.json")):
    name = os.path.relpath(entry["file"])
    if not name.endswith(".c") or name.split("/")[0] not in rooms or not os.path.exists(name):
        continue
    key = hashlib.sha256(checks + entry["command"].encode())
    for path in reads.get(name, [name]):
        key.update(digest(path))
    print(name, key.hexdigest())
'
}

one() {
        local file=$1 key=$2 stamp=$stamps/${1//\//_} text
        if [[ -e $stamp && $(head -n 1 "$stamp") == "$key" ]]; then
                tail -n +2 "$stamp"
                return 0
        fi
        # In one piece, so that two at a time do not mix.
        if ! text=$(clang-tidy --quiet -p "$build" --extra-arg=-Wno-unknown-warning-option \
                "$file" 2>/dev/null); then
                printf '%s\n' "$text"
                return 1
        fi
        text=$(grep -E ': warning: ' <<<"$text") || true
        { echo "$key" && [[ -z $text ]] || echo "$text"; } >"$stamp"
        [[ -z $text ]] || echo "$text"
}
export -f one

keys >"$stamps/.files"
echo "$(wc -l <"$stamps/.files") files"
xargs -n 2 -P "$(nproc)" bash -euo pipefail -c 'one "$1" "$2"' one <"$stamps/.files"
