#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'USAGE'
Sets syncbench beside other load testers: the same work, on the same relay and
cores, in turns. Prints one table (Markdown), and writes it with all that was
measured to target/peers/<time>/.

  scripts/peers.sh [--quick] [--only NAME]... [--repeat N] [--section NAME]...

  --quick         short runs (2 and 6 s instead of 5 and 15 s): for trying it out
  --only NAME     this tester, beside syncbench: artillery, locust, tsung, k6, tcpkali,
                  bare (a client that only counts), or syncbench alone; may be repeated
  --repeat N      all of it N times in turns; the table shows medians  [1]
  --section NAME  moderate, idle, saturated, frozen or alone; may be repeated  [all]
  -h, --help      this

Takes 10 to 15 minutes, with --quick 8, and the first time some more for builds
and downloads. Artillery and ws come from npm, Locust from PyPI, Tsung and its
Erlang from Debian, all unpacked below target/peers (about 800 MB), nothing as
root. k6 and tcpkali take part when they are on PATH. Needs Node 18 or later,
Python 3, curl, taskset, and a machine that does nothing else.

Set in the environment: SYNCBENCH= an executable, otherwise one is built;
PORT=7100, and the port after it, on the loopback. docs/PEERS.md says what the
figures mean.
USAGE
}

lengths=(5 15) freeze_length=15 repeat=1 only=() sections=()
while [ $# -gt 0 ]; do
  case $1 in
    --quick) lengths=(2 6) freeze_length=10 ;;
    --only | --repeat | --section)
      [ $# -ge 2 ] || { echo "peers.sh: $1 needs a value" >&2; exit 2; }
      case $1 in
        --only) only+=("$2") ;;
        --repeat) repeat=$2 ;;
        --section) sections+=("$2") ;;
      esac
      shift
      ;;
    -h | --help) usage; exit ;;
    *) echo "peers.sh: unknown option $1; see -h" >&2; exit 2 ;;
  esac
  shift
done
[ ${#sections[@]} -gt 0 ] || sections=(moderate idle saturated frozen alone)
[[ $repeat =~ ^[1-9][0-9]?$ ]] || { echo "peers.sh: --repeat takes 1 to 99" >&2; exit 2; }

known=(syncbench bare artillery locust tsung k6 tcpkali)
for name in "${only[@]}"; do
  [[ " ${known[*]} " == *" $name "* ]] || { echo "peers.sh: no tester $name: ${known[*]}" >&2; exit 2; }
done
for name in "${sections[@]}"; do
  [[ " moderate idle saturated frozen alone " == *" $name "* ]] || { echo "peers.sh: no section $name" >&2; exit 2; }
done
for program in node npm curl taskset setsid timeout awk; do
  command -v "$program" >/dev/null || { echo "peers.sh: needs $program" >&2; exit 1; }
done

scripts=$PWD/scripts/peers
peers=$PWD/target/peers
folder=$peers/$(date -u +%Y%m%dT%H%M%SZ)-$$
port=${PORT:-7100}
export PAYLOAD=100 DRAIN=1.5 SETTLE=3
mkdir -p "$folder"

say() { printf '%4d s  %s\n' "$SECONDS" "$*" >&2; }
note() {
  say "$*"
  printf '%s\n' "$*" >>"$folder/notes"
}

# --- processes: each in its own group, none outlives the script -----------------

declare -A group=()

# spawn NAME OUT CORES LIMIT COMMAND...
spawn() {
  local name=$1
  shift
  setsid "$scripts/timed.sh" "$@" &
  group[$name]=$!
}

# Stops it if it is still running, and waits for it. Sets $code to its exit code.
end() {
  local name=$1 pid=${group[$1]:-}
  [ -n "$pid" ] || return 0
  kill -CONT -- "-$pid" 2>/dev/null || true
  [ "${2:-}" = wait ] || kill -TERM -- "-$pid" 2>/dev/null || true
  code=0
  wait "$pid" || code=$?
  # End the processes that it started and left behind.
  kill -KILL -- "-$pid" 2>/dev/null || true
  unset "group[$name]"
}

end_all() {
  local name
  for name in "${!group[@]}"; do
    kill -CONT -- "-${group[$name]}" 2>/dev/null || true
    kill -TERM -- "-${group[$name]}" 2>/dev/null || true
  done
  [ ${#group[@]} -eq 0 ] || sleep 0.5
  for name in "${!group[@]}"; do
    kill -KILL -- "-${group[$name]}" 2>/dev/null || true
  done
}
trap end_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- cores ----------------------------------------------------------------------

pin() {
  local cores
  # The cores that this process may use, such as 0-3,8.
  cores=$(taskset -cp $$ | sed 's/.*: //' | awk -v RS='[,\n]' -F - '
    NF { for (core = $1; core <= $NF; core++) printf "%d ", core }')
  read -r relay_core client_core _ <<<"$cores"
  if [ -z "$client_core" ]; then
    client_core=$relay_core
    note "One core only: tester and relay share it, and none of the rates is a tester's own."
  fi
}

# --- relays ---------------------------------------------------------------------

npm_install() {
  [ -d "$peers/npm/node_modules/${1%@*}" ] && return
  npm install --prefix "$peers/npm" --ignore-scripts --omit=dev --no-audit --no-fund \
    --loglevel=error "$1" >&2 || why_not="npm could not install it"
}

listening() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

await_port() {
  local try
  for ((try = 0; try < 100; try++)); do
    listening "$1" && return
    sleep 0.1
  done
  return 1
}

start_relay() {
  local kind=$1 out=$2
  if listening "$port"; then
    echo "peers.sh: something else listens on port $port; set PORT" >&2
    exit 1
  fi
  case $kind in
    none) return ;;
    node-ws)
      PORT=$port WINDOW_MS=$((LENGTH * 1000)) NODE_PATH=$peers/npm/node_modules \
        spawn relay "$out" "$relay_core" 300 node "$scripts/relay.cjs"
      ;;
    syncbench)
      spawn relay "$out" "$relay_core" 300 "$syncbench" relay --listen "127.0.0.1:$port" \
        --queue-frames 1048576
      ;;
  esac
  if ! await_port "$port"; then
    echo "peers.sh: the relay does not start: $(tail -n 1 "$out.log")" >&2
    exit 1
  fi
}

# Prints the current value of a counter of the Node relay.
counter() {
  local counts
  counts=$(curl -s --max-time 5 "http://127.0.0.1:$port/") || true
  [[ $counts =~ \"$1\":([0-9]+) ]] && printf '%s' "${BASH_REMATCH[1]}" || printf 0
}

# Waits until the counter has reached that value, for at most 60 s.
await_counter() {
  local try
  for ((try = 0; try < 300; try++)); do
    [ "$(counter "$1")" -ge "$2" ] && return
    kill -0 "${group[tester]}" 2>/dev/null || return
    sleep 0.2
  done
}

# --- one run --------------------------------------------------------------------

run_tester() { spawn tester "$OUT" "$client_core" $((LENGTH + 90)) "$@"; }

# measure SECTION TESTER: the environment describes the work, see testers.sh.
measure() {
  local section=$1 tester=$2 relay=node-ws rss=null frozen=null began
  local frames=frames_$tester relays=relay_$tester
  # The faster relay does not forward text.
  [ "$section" = saturated ] && [ "${!frames:-binary}" = binary ] && relay=syncbench
  relay=${!relays:-$relay}
  runs=$((runs + 1))
  export OUT=$folder/$runs-$section-$tester URL=ws://127.0.0.1:$port CLIENTS ROOMS RATE LENGTH PHASE
  say "$section $tester $PHASE, $CLIENTS clients in $ROOMS rooms, $RATE/s each, $LENGTH s"
  start_relay "$relay" "$OUT.relay"
  began=$EPOCHREALTIME
  "start_$tester"
  case $section in
    idle)
      await_counter open "$CLIENTS"
      sleep 2
      rss=$(ps -e -o pgid=,rss= | awk -v group="${group[tester]}" '$1 == group { kb += $2 } END { print kb + 0 }')
      end tester
      ;;
    frozen)
      await_counter sent 1
      sleep "$((LENGTH / 2))"
      local stopped=$EPOCHREALTIME
      kill -STOP -- "-${group[relay]}"
      sleep 1
      kill -CONT -- "-${group[relay]}"
      frozen=$(awk -v from="$stopped" -v to="$EPOCHREALTIME" 'BEGIN { print to - from }')
      end tester wait
      ;;
    *) end tester wait ;;
  esac
  local exit_code=$code
  local wall
  wall=$(awk -v from="$began" -v to="$EPOCHREALTIME" 'BEGIN { print to - from }')
  end relay
  node "$scripts/report.cjs" run "$folder/runs.jsonl" "{
    \"section\": \"$section\", \"tester\": \"$tester\", \"relay\": \"$relay\", \"phase\": \"$PHASE\",
    \"clients\": $CLIENTS, \"rooms\": $ROOMS, \"rate\": $RATE, \"seconds\": $LENGTH, \"payload\": $PAYLOAD,
    \"exit_code\": $exit_code, \"wall_s\": $wall, \"rss_kb\": $rss, \"frozen_s\": $frozen, \"out\": \"$OUT\"}"
}

# --- sections: what is measured -------------------------------------------------

section_moderate() {
  CLIENTS=100 ROOMS=10 RATE=10
  for PHASE in $(phases_of "$1"); do
    for LENGTH in "${lengths[@]}"; do measure moderate "$1"; done
  done
}

section_idle() {
  RATE=0 PHASE=spread LENGTH=30
  for CLIENTS in 200 2000; do
    ROOMS=$((CLIENTS / 10))
    measure idle "$1"
  done
}

section_saturated() {
  CLIENTS=100 ROOMS=10 RATE=1000
  PHASE=$(phases_of "$1")
  PHASE=${PHASE%% *}
  for LENGTH in "${lengths[@]}"; do measure saturated "$1"; done
}

section_frozen() {
  CLIENTS=100 ROOMS=10 RATE=10 PHASE=spread LENGTH=$freeze_length
  measure frozen "$1"
}

section_alone() {
  PHASE=spread
  case $1 in
    crowd) CLIENTS=10000 ROOMS=1000 RATE=1000 LENGTH=10 ;;
    opening) CLIENTS=2000 ROOMS=200 RATE=0 LENGTH=3 ;;
    imports) CLIENTS=40 ROOMS=8 RATE=400 LENGTH=10 ;;
  esac
  measure alone "$1"
}

# The testers of each section.
takes_part() {
  case $1/$2 in
    saturated/bare | frozen/closed | alone/crowd | alone/opening | alone/imports) return 0 ;;
    */bare | */closed | */crowd | */opening | */imports | alone/*) return 1 ;;
    # It does not report the latency of messages.
    frozen/tsung) return 1 ;;
  esac
}

# --- main -----------------------------------------------------------------------

pin
say "installing"
why_not=''
npm_install ws@8.23.0
printf 'relay: ws@8.23.0, Node %s\n' "$(node --version)" >"$folder/versions"
[ -z "$why_not" ] || { echo "peers.sh: no relay: ws: $why_not" >&2; exit 1; }
# shellcheck source=scripts/peers/testers.sh
. "$scripts/testers.sh"
testers=()
# The others are compared with syncbench, and these belong to it.
ours=(closed crowd opening imports)
for name in "${known[@]}" "${ours[@]}"; do
  [[ ${#only[@]} -eq 0 || " syncbench ${ours[*]} ${only[*]} " == *" $name "* ]] || continue
  why_not='' version=''
  "install_$name"
  if [ -n "$why_not" ]; then
    note "No figures of $name: $why_not."
    continue
  fi
  testers+=("$name")
  [ -z "$version" ] || printf '%s: %s\n' "$name" "$version" >>"$folder/versions"
done

runs=0
for ((round = 1; round <= repeat; round++)); do
  for section in "${sections[@]}"; do
    for name in "${testers[@]}"; do
      if takes_part "$section" "$name"; then "section_$section" "$name"; fi
    done
  done
done
node "$scripts/report.cjs" table "$folder"
say "written: $folder/table.md, $folder/peers.json"
