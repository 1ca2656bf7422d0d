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

# refuse_unknown_words COMMAND OPTIONS WORD...: stop if a word is no option of OPTIONS, where NAME= is one with a value.
refuse_unknown_words() {
    local command=$1 options=" $(echo $2) "
    shift 2
    while [ $# -gt 0 ]; do
        if [[ $1 == --*=* && $options == *" ${1%%=*}= "* ]]; then
            shift
        elif [[ $options == *" $1= "* ]]; then
            [ $# -ge 2 ] || die "$command $1 takes a value. Try: ./domus help"
            shift 2
        elif [[ $options == *" $1 "* ]]; then
            shift
        else
            die "'$1' is no option of $command. Try: ./domus help"
        fi
    done
}

# step LOG TEXT COMMAND...: run a command with its output in LOG; if it fails, show LOG's end and stop.
step() {
    local log=$1 text=$2
    shift 2
    say "$text"
    mkdir -p "${log%/*}"
    : >"$log"
    with_progress "$log" "$@" && return
    tail -n 15 "$log" | sed 's/^/    /' >&2
    die "failed: ${text%…}. The whole log: $log"
}

# with_progress LOG COMMAND...: run a command with its output added to LOG, and tell how far it is.
with_progress() {
    local log=$1 status=0
    shift
    show_progress "$log" &
    "$@" >>"$log" 2>&1 </dev/null || status=$?
    kill $! 2>/dev/null && wait $! 2>/dev/null || true
    return $status
}

# show_progress LOG: every ten seconds the log's last line, if it is a new one, for as long as this shell lives.
show_progress() {
    local line shown=
    # The sleep may outlive us: it must not hold whatever our output goes to.
    while sleep 10 >/dev/null 2>&1 </dev/null && kill -0 $$ 2>/dev/null; do
        line=$(tail -n 1 "$1" | tr -d '\r' | cut -c 1-100)
        [ -n "$line" ] && [ "$line" != "$shown" ] && say "  $line"
        shown=$line
    done
}
