# How a test runs the commands of the documentation: as they are written, except that
# it checks load runs, comparisons and most cells without running them, since they take
# long, and that it downloads, builds and serves nothing.
#
# ROOT is the repository, and SYNCBENCH the program.

syncbench() {
  case " $* " in
    *" --help "* | *" --list "*) ;;
    " run "* | " compare "*) set -- "$@" --dry-run ;;
    " cell "*)
      # The next command reads a record that goes to a file.
      if [ -f /dev/stdout ]; then
        first_row "$@"
        return
      fi
      set -- "$@" --dry-run
      ;;
    " relay "* | " datasets verify "*) set -- "$@" --help ;;
    " doctor ") set -- doctor --duration 100ms ;;
    " doctor "*) set -- "${@/%2s/100ms}" ;;
    " datasets fetch "*)
      shift 2
      are_in_catalog "$@"
      return
      ;;
  esac
  "$SYNCBENCH" "$@"
}

# Measures the first of the rows that the arguments select, on a small trace.
first_row() {
  local row
  row=$("$SYNCBENCH" "$@" --dry-run | head -n 1)
  "$SYNCBENCH" "$@" --variant "${row#*/*/*/}" --dataset my-trace.json
}

are_in_catalog() {
  local catalog name
  catalog=$("$SYNCBENCH" datasets list)
  for name in "$@"; do
    grep -w -- "$name" <<<"$catalog"
  done
}

# Checks the names of packages, features and targets. Runs what `cargo run` runs, if
# that is syncbench, and puts an empty script where an example would be built.
cargo() {
  local command=$1 example='' profile=debug
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    case $1 in
      -p | --package) [ -f "$ROOT/${2#syncbench-}/Cargo.toml" ] ;;
      --features) grep -q "^${2#*/} = " "$ROOT/Cargo.toml" "$ROOT/engines/Cargo.toml" ;;
      --bench) compgen -G "$ROOT/benches/$2*" >/dev/null ;;
      --test) compgen -G "$ROOT/*/tests/$2*" >/dev/null ;;
      --example)
        example=$2
        compgen -G "$ROOT/*/examples/$2*" >/dev/null
        ;;
      --profile)
        grep -qxF "[profile.$2]" "$ROOT/Cargo.toml"
        profile=$2
        ;;
    esac
    shift
  done
  case $command,$example,$# in
    run,,[2-9]*)
      shift
      syncbench "$@"
      ;;
    build,?*,*)
      mkdir -p "target/$profile/examples"
      printf '#!/bin/sh\n' >"target/$profile/examples/$example"
      chmod +x "target/$profile/examples/$example"
      ;;
  esac
}

# Checks that a script exists.
bash() {
  [ -f "$ROOT/$1" ]
}
