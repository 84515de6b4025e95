#!/usr/bin/env bash
# Measures every suite x engine x data set, each in its own process, one
# after the other, and makes tables of the records. The data sets that take
# minutes come last.
#
#   scripts/tables.sh [FOLDER]     default: target/syncbench/tables
#
# Resumes where it stopped: cells in FOLDER/cells are not measured again. Variables
# of the environment:
#   BUDGET=1s       time for each row; the last repetition is completed
#   REPETITIONS=10  at most, for each row
#   LIMIT=60        seconds for each process; rows that it has not reached are left
#                   out (automerge-paper-x100 needs 600)
#   MINUTES=25      for everything; processes that have not started by then are left out
#   SYNCBENCH=      an executable; otherwise one is built, with every engine
# Everything left out is listed at the end, and in the tables. The Markdown in
# reports/sample was made this way.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${1:-target/syncbench/tables}
mkdir -p "$folder/cells"

syncbench=${SYNCBENCH:-${CARGO_TARGET_DIR:-target}/release/syncbench}
[ -n "${SYNCBENCH:-}" ] || cargo build --release --locked --features all-engines

list=$("$syncbench" cell --list)
list=$(grep -v ' large$' <<<"$list"; grep ' large$' <<<"$list" || true)
total=$(wc -l <<<"$list")
end=$((SECONDS + ${MINUTES:-25} * 60))
limit=${LIMIT:-60} budget=${BUDGET:-1s} repetitions=${REPETITIONS:-10}
done=0

while read -r suite engine dataset _; do
  done=$((done + 1))
  name=$suite/$engine/$dataset
  cell=$folder/cells/$suite.$engine.$dataset
  [ -e "$cell.jsonl" ] && continue
  left=$((end - SECONDS))
  if [ "$left" -le 0 ]; then
    echo "$name (not started)" >"$cell.left-out"
    continue
  fi
  printf '%3d/%d  %4d s  %s\n' "$done" "$total" "$SECONDS" "$name" >&2
  rm -f "$cell.left-out"
  code=0
  timeout $((left < limit ? left : limit)) \
    "$syncbench" cell "$suite" --engine "$engine" --dataset "$dataset" \
    --budget "$budget" --repetitions "$repetitions" \
    >"$cell.part" 2>"$cell.log" </dev/null || code=$?
  case $code in
    # 1: some rows failed, and their records give the reasons.
    0 | 1) ;;
    124) echo "$name (stopped after $limit s, at row $(($(wc -l <"$cell.part") + 1)))" >"$cell.left-out" ;;
    *) echo "$name ($(tail -n 1 "$cell.log"))" >"$cell.left-out" ;;
  esac
  # Only complete lines: a process that was stopped may leave half of one.
  sed -n '/}$/p' "$cell.part" >"$cell.lines"
  rm "$cell.part"
  [ ! -s "$cell.lines" ] || mv "$cell.lines" "$cell.jsonl"
done <<<"$list"

notes=(--note "Measured and made by scripts/tables.sh, with at most $repetitions repetitions and $budget for each row.")
while read -r suite; do
  left_out=$(cat "$folder/cells/$suite".*.left-out 2>/dev/null) || continue
  stopped=$(grep -v '(not started)$' <<<"$left_out" || true)
  # One entry for each data set for which there was no time.
  waiting=$(sed -n 's/^.*\/\(.*\) (not started)$/\1/p' <<<"$left_out" | sort | uniq -c |
    sed 's/^ *\([0-9]*\) \(.*\)$/\2 (\1 engines not started)/')
  left_out=$(printf '%s\n%s\n' "$stopped" "$waiting" | sed '/^$/d')
  printf 'left out: %s\n' "${left_out//$'\n'/; }" >&2
  notes+=(--warn "$suite" "Left out: ${left_out//$'\n'/; }.")
done < <(cut -d ' ' -f 1 <<<"$list" | sort -u)
"$syncbench" report "$folder/cells" -o "$folder" "${notes[@]}"
