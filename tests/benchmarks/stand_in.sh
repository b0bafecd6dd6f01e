#!/bin/sh
# Stands in for `farrier-release` on a host that takes its time and next to no processor: it sleeps, and gives the answers that
# `away.py` has made of recorded ones. It keeps nothing: the order that it hands out says when the run will have ended.
# One file for each phase in its directory: hundredths of a second of the call, of the run after it, the answer, the run's answer.
set -eu

answers=${STAND_IN:-/var/lib/farrier-stand-in}
follow_at_most=1000

fail() {
    echo "stand-in: $*" >&2
    exit 64
}

# Without a process of its own.
now() {
    read -r uptime _ </proc/uptime
    now=${uptime%.*}${uptime#*.}
}

pause() {
    [ "$1" -gt 0 ] || return 0
    hundredths=$(($1 % 100 + 100))
    sleep "$(($1 / 100)).${hundredths#1}"
}

look_up() {
    [ -f "$answers/$1" ] || fail "there is no answer for: $called"
    { read -r call_takes && read -r run_takes && read -r answer && read -r run_answer; } <"$answers/$1"
}

running() {
    printf '{"changed": true, "running": true, "step": "%s", "lines": [], "offset": 0, "order": "%s"}\n' "$1" "$2"
}

called=$*
[ "${1-}" = --app ] && [ $# -ge 3 ] || fail "expected --app NAME PHASE, not: $called"
phase=$3
shift 3
name=$phase output='' order=''
while [ $# -gt 0 ]; do
    case $1 in
        --json | --migrate) ;;
        --check) name=$phase-check ;;
        --output) output=$2 && shift ;;
        --order) order=$2 && shift ;;
        --request | --token | --offset | --index | --index-sha256 | --pack) shift ;;
        *) fail "it does not know $1, in: $called" ;;
    esac
    shift
done

if [ "$phase" = follow ]; then
    look_up "${order%.*}"
    now
    left=$((${order##*.} - now))
    if [ "$left" -gt "$follow_at_most" ]; then
        pause "$follow_at_most"
        running "${order%.*}" "$order"
    else
        pause "$left"
        printf '%s\n' "$run_answer"
    fi
    exit
fi
look_up "$name"
[ -z "$output" ] || cp "$answers/$phase.output" "$output"
pause "$call_takes"
if [ "$run_takes" -gt 0 ]; then
    now
    running '' "$phase.$((now + run_takes))"
else
    printf '%s\n' "$answer"
fi
