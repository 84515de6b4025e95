#!/usr/bin/env bash
# timed.sh OUT CORES LIMIT COMMAND...: runs the command on those cores for at most
# LIMIT seconds, its output in OUT.out and OUT.log. Afterwards OUT.cpu holds the
# user and the system CPU seconds of the command and all its children.
set -euo pipefail
out=$1 cores=$2 limit=$3
shift 3
# The usage is written even if the whole group is stopped.
trap : TERM INT
TIMEFORMAT='%U %S'
code=0
{
  time timeout --foreground -k 5 "$limit" taskset -c "$cores" "$@" \
    >"$out.out" 2>"$out.log" </dev/null
} 2>"$out.cpu" || code=$?
exit "$code"
