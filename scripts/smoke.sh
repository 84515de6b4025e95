#!/usr/bin/env bash
# One short run of the main job with the program $1. Exit code 7 passes: on a
# machine that is busy with other work, syncbench must report that its figures are
# invalid.
set -euo pipefail
program=${1:?usage: scripts/smoke.sh PROGRAM}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
code=0
"$program" run --duration 3s --rate 400 -o "$folder" || code=$?
if [ "$code" -ne 0 ] && [ "$code" -ne 7 ]; then
  echo "syncbench run ended with exit code $code" >&2
  exit 1
fi
test -s "$folder/record.json"
test -s "$folder/report.html"
