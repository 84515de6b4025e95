#!/usr/bin/env bash
# Measures every suite x engine x data set, each in a process of its own, one
# after the other, and makes tables of the records.
#
#   scripts/tables.sh [FOLDER]     default: target/syncbench/tables
#
# Goes on where it stopped: what FOLDER/cells holds is not measured again. Set in
# the environment:
#   BUDGET=2s       time for each row; a repetition under way is finished
#   REPETITIONS=10  at most, for each row
#   LIMIT=90        seconds for each process; the rows it has not come to are left out
#   MINUTES=25      for all of it; processes that have not started then are left out
#   LARGE=          any text adds the data sets that take minutes
# What is left out is named at the end and in FOLDER/left-out.txt.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${1:-target/syncbench/tables}
mkdir -p "$folder/cells"

cargo build --release --locked --features all-engines
syncbench=${CARGO_TARGET_DIR:-target}/release/syncbench

list=$("$syncbench" cell --list)
[ -n "${LARGE:-}" ] || list=$(grep -v ' large$' <<<"$list")
total=$(wc -l <<<"$list")
end=$((SECONDS + ${MINUTES:-25} * 60))
done=0
left_out=()

while read -r suite engine dataset _; do
  done=$((done + 1))
  name="$suite $engine $dataset"
  file=$folder/cells/$suite.$engine.$dataset.jsonl
  [ -e "$file" ] && continue
  left=$((end - SECONDS))
  if [ "$left" -le 0 ]; then
    left_out+=("$name: not started")
    continue
  fi
  printf '%3d/%d  %4d s  %s\n' "$done" "$total" "$SECONDS" "$name" >&2
  code=0
  timeout $((left < ${LIMIT:-90} ? left : ${LIMIT:-90})) \
    "$syncbench" cell "$suite" --engine "$engine" --dataset "$dataset" \
    --budget "${BUDGET:-2s}" --repetitions "${REPETITIONS:-10}" \
    >"$file.part" 2>"$file.log" </dev/null || code=$?
  case $code in
    0) rm "$file.log" ;;
    # Some rows failed; their records say why.
    1) sed 's/^/         /' "$file.log" >&2 ;;
    124) left_out+=("$name: stopped after $(wc -l <"$file.part") rows") ;;
    *) left_out+=("$name: ended with code $code, see $file.log") ;;
  esac
  # Whole lines only: a process that was stopped may leave half of one.
  sed -n '/}$/p' "$file.part" >"$file"
  rm "$file.part"
done <<<"$list"

[ ${#left_out[@]} -eq 0 ] || printf '%s\n' "${left_out[@]}" | tee "$folder/left-out.txt" >&2
"$syncbench" report "$folder/cells" -o "$folder"
