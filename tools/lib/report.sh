# SPDX-License-Identifier: GPL-2.0-or-later
# How the domus command speaks: what it is doing and since when, and how it fails.

# Tenths of a second since the domus command started.
domus_start=${DOMUS_START:-${EPOCHREALTIME/[.,]/}}
export DOMUS_START=$domus_start

say() {     # say TEXT...
    local tenths=$(( (${EPOCHREALTIME/[.,]/} - domus_start) / 100000 ))
    printf '[%5d.%d s] %s\n' $((tenths / 10)) $((tenths % 10)) "$*"
}

die() {     # die TEXT...
    printf 'domus: %s\n' "$*" >&2
    exit 1
}

# step LOG TEXT COMMAND...: run a command with its output in LOG; if it fails, show LOG's end and stop.
step() {
    local log=$1 text=$2
    shift 2
    say "$text"
    mkdir -p "${log%/*}"
    if ! "$@" >"$log" 2>&1 </dev/null; then
        tail -n 15 "$log" | sed 's/^/    /' >&2
        die "failed: ${text%…}. The whole log: $log"
    fi
}
