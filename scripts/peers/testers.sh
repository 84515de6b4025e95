# shellcheck shell=bash
# shellcheck disable=SC2153,SC2154,SC2034 # names shared with peers.sh
# Installs, starts and reads each load tester. Sourced by scripts/peers.sh.
#
#   install_NAME   makes it available below $peers and sets `version`, or sets `why_not`
#   start_NAME     starts it with run_tester; the environment describes its work:
#                  URL CLIENTS ROOMS RATE LENGTH PHASE PAYLOAD SETTLE DRAIN OUT
#                  (RATE: frames a second and client, 0 for none; times in seconds)
#   phases_NAME    phases that it supports; both if absent
#   frames_NAME    `text` if it cannot send its load in binary frames
#
# Its own report is in $OUT.report.json or $OUT.out, where report.cjs reads it.

phases_of() {
  local variable=phases_$1
  printf '%s' "${!variable:-locked spread}"
}

# A template with its @NAMES@ filled in.
fill() {
  local template=$1 pair script=()
  shift
  for pair in "$@"; do
    script+=(-e "s|@${pair%%=*}@|${pair#*=}|g")
  done
  sed "${script[@]}" "$template"
}

# The period of one client in units of 1/$1 second.
period() { awk -v rate="$RATE" -v unit="$1" 'BEGIN { print (rate > 0 ? unit / rate : unit) }'; }

on_path() {
  if [ -n "$(command -v "$1")" ]; then return; fi
  why_not="no \`$1\` on PATH"
  return 1
}

# All at once, because each alone would build the library again.
build_examples() { cargo build --release --locked -p syncbench-loadgen --examples >&2; }

# --- syncbench ------------------------------------------------------------------

install_syncbench() {
  syncbench=${SYNCBENCH:-${CARGO_TARGET_DIR:-target}/release/syncbench}
  [ -n "${SYNCBENCH:-}" ] || cargo build --release --locked >&2
  # An update that inserts n bytes of text takes about 82 bytes more.
  light=(--replica light --payload "$((PAYLOAD - 82))" --set clients.verify=versions)
  version=$("$syncbench" --version)
}

start_syncbench() {
  # A run needs edits; this few do not matter.
  local rate
  rate=$(awk -v clients="$CLIENTS" -v rate="$RATE" 'BEGIN { print (rate > 0 ? clients * rate : 0.1) }')
  run_tester "$syncbench" run --relay "$URL/{room}" --clients "$CLIENTS" --rooms "$ROOMS" \
    --rate "$rate" --duration "${LENGTH}s" --phase "$PHASE" "${light[@]}" --workers 1 \
    --json --quiet --output "$OUT.syncbench"
}

# --- bare: the cost of a client that only counts frames -------------------------

phases_bare=locked

install_bare() {
  build_examples
  bare=${CARGO_TARGET_DIR:-target}/release/examples/bare_counter
  version=loadgen/examples/bare_counter.rs
}

start_bare() { run_tester "$bare" "$URL" "$CLIENTS" "$ROOMS" "$RATE" "$LENGTH" "$PAYLOAD"; }

# Not a separate tester: the latency if clients wait for answers.
install_closed() {
  install_bare
  version=''
}

start_closed() { run_tester "$bare" --closed "$URL" 10 5 "$LENGTH"; }

# --- syncbench alone: goals that have no peer -----------------------------------

# 10,000 clients, the relay and the machine's first two cores.
relay_crowd=none
install_crowd() { :; }

start_crowd() {
  local client_core=$client_core,$relay_core
  run_tester "$syncbench" run --clients "$CLIENTS" --rooms "$ROOMS" --rate "$RATE" \
    --duration "${LENGTH}s" --replica light --json --quiet --output "$OUT.syncbench"
}

# The rate at which connections open if the relay is fast as well.
relay_opening=syncbench
install_opening() { :; }

start_opening() { start_syncbench; }

# The cost of full replicas next to the library's own import.
relay_imports=none

install_imports() {
  build_examples
  imports=${CARGO_TARGET_DIR:-target}/release/examples/import_cost
}

start_imports() { run_tester "$imports" "$RATE" "$LENGTH"; }

# --- Artillery ------------------------------------------------------------------

# It turns every payload into a string.
frames_artillery=text

install_artillery() {
  # The last version that runs on Node 18 and 20.
  version=artillery@2.0.21
  npm_install "$version"
}

start_artillery() {
  cp "$scripts/artillery.cjs" "$folder/"
  fill "$scripts/artillery.yml" "URL=$URL" "CLIENTS=$CLIENTS" "PERIOD_MS=$(period 1000)" >"$OUT.yml"
  ARTILLERY_DISABLE_TELEMETRY=true run_tester node "$peers/npm/node_modules/artillery/bin/run" \
    run --quiet --output "$OUT.report.json" "$OUT.yml"
}

# --- Locust ---------------------------------------------------------------------

install_locust() {
  local packages=(locust==2.47.0 websocket-client==1.9.2)
  version=${packages[*]}
  [ -x "$peers/venv/bin/locust" ] && return
  if ! { python3 -m venv "$peers/venv" && "$peers/venv/bin/pip" install --quiet "${packages[@]}"; } >&2; then
    why_not="pip could not install it"
  fi
}

start_locust() {
  local life
  life=$(awk -v a="$LENGTH" -v b="$SETTLE" -v c="$DRAIN" 'BEGIN { print int(a + b + c + 3) }')
  run_tester "$peers/venv/bin/locust" -f "$scripts/locustfile.py" --headless --users "$CLIENTS" \
    --spawn-rate "$CLIENTS" --run-time "${life}s" --stop-timeout 2 --loglevel WARNING
}

# --- Tsung ----------------------------------------------------------------------

# Users begin when they arrive, at random times.
phases_tsung=spread

install_tsung() {
  local root=$peers/tsung
  if [ -x "$root/start" ]; then
    version=$(HOME=$root "$root/start" -v)
    return
  fi
  if [ -z "$(command -v apt-get)" ] || [ -z "$(command -v dpkg)" ]; then
    why_not="it comes as Debian packages, and there is no apt-get here"
    return
  fi
  rm -rf "$root"
  mkdir -p "$root/deb"
  if ! (cd "$root/deb" && apt-get download tsung erlang-base erlang-crypto erlang-asn1 \
    erlang-inets erlang-public-key erlang-ssl erlang-xmerl erlang-snmp erlang-os-mon \
    erlang-mnesia erlang-runtime-tools erlang-eldap) >&2; then
    why_not="apt-get could not download it, or the Erlang that it needs"
    return
  fi
  local package
  for package in "$root"/deb/*.deb; do
    dpkg -x "$package" "$root"
  done
  # Its start script, and Erlang's, name the folders that packages install to.
  local erlang=$root/usr/lib/erlang
  sed -i "s|=/usr/lib/erlang|=$erlang|" "$erlang/bin/erl"
  sed -e "s|=/usr/lib/|=$root/usr/lib/|" -e "s|^ERL=.*|ERL=$erlang/bin/erl|" \
    -e 's|^ERL_OPTS="|&-start_epmd false -kernel inet_dist_use_interface {127,0,0,1} |' \
    "$root/usr/bin/tsung" >"$root/start"
  chmod +x "$root/start"
  version=$(HOME=$root "$root/start" -v)
}

start_tsung() {
  local root=$peers/tsung messages=0 wait=$SETTLE life
  messages=$(awk -v rate="$RATE" -v seconds="$LENGTH" 'BEGIN { print rate * seconds }')
  if [ "$messages" = 0 ]; then
    messages=1 wait=$LENGTH
  fi
  life=$(awk -v a="$LENGTH" -v b="$SETTLE" -v c="$DRAIN" 'BEGIN { print int(a + b + c + 3) }')
  fill "$scripts/tsung.xml" "DTD=$root/usr/share/tsung/tsung-1.0.dtd" "PORT=${URL##*:}" \
    "CLIENTS=$CLIENTS" "ROOMS=$ROOMS" "SETTLE=$wait" "MESSAGES=$messages" "LIFE=$life" \
    "PERIOD_S=$(period 1)" "TEXT=$(printf '%*s' "$PAYLOAD" '' | tr ' ' x)" "DRAIN=$DRAIN" >"$OUT.xml"
  # Erlang's name server would outlive the run; started here, it ends with the script.
  export ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT=$((port + 1))
  if [ -z "${group[epmd]:-}" ]; then
    spawn epmd "$folder/epmd" "$relay_core" 36000 "$root/usr/lib/erlang/bin/epmd"
    await_port "$ERL_EPMD_PORT"
  fi
  HOME=$root run_tester "$root/start" -f "$OUT.xml" -l "$OUT.tsung" -I 127.0.0.1 -n start
}

# --- k6 -------------------------------------------------------------------------

install_k6() {
  on_path k6 || return 0
  version=$(k6 version)
}

start_k6() { run_tester k6 run --quiet --no-usage-report "$scripts/k6.js"; }

# --- tcpkali --------------------------------------------------------------------

# Every connection keeps its own rhythm from the time it was opened.
phases_tcpkali=spread

# Its binary frames hold fixed text, without the time that latency needs.
frames_tcpkali=text

install_tcpkali() {
  on_path tcpkali || return 0
  version=$(tcpkali --version 2>&1 | head -n 1)
}

# One process for each room: with several paths, it sends all clients to the last one.
start_tcpkali() {
  # The marker makes 30 bytes of the payload.
  local text rate=()
  text="\\{message.marker}$(printf '%*s' $((PAYLOAD - 30)) '' | tr ' ' x)"
  [ "$RATE" = 0 ] || rate=(--message-rate "$RATE" --message "$text" --latency-percentiles "50,99")
  # shellcheck disable=SC2016 # for the inner shell
  run_tester bash -c 'for ((room = 0; room < ROOMS; room++)); do
      tcpkali --ws --connections $((CLIENTS / ROOMS)) --connect-rate $((CLIENTS / ROOMS)) \
        --duration "${LENGTH}s" "$@" "127.0.0.1:${URL##*:}/r$room" &
    done; wait' tcpkali "${rate[@]}"
}
