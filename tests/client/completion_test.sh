#!/usr/bin/env bash
# The completion offers what --help lists, and the manual page names every flag and command: for each program given.
#
#   tests/client/completion_test.sh build/release/bin/sparsefusion [PROGRAM...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
fail() { printf 'completion_test: %s\n' "$*" >&2; exit 1; }
source client/completion/sparsefusion.bash

# What is offered for the words of a command line; the last one is being typed.
offered() {
  COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
  _sparsefusion
  printf '%s\n' "${COMPREPLY[@]}"
}
has() { grep -qxF -- "$2" <<<"$1" || fail "$3: $2 is missing in: ${1//$'\n'/ }"; }

for program in "$@"; do
  name=$(basename "$program")
  # Only what begins a line of the list is a flag: texts mention others' too.
  flags=$(OMP_WAIT_POLICY=PASSIVE "$program" --help | grep -oE '^  (-[a-zA-Z],)?--[a-z][a-z-]+' | grep -oE -- '--[a-z-]+' | sort -u)
  shown=$(offered "$program" --)
  page=$(scripts/man-page "$program")
  if command -v groff >/dev/null; then
    said=$(groff -man -Tutf8 -ww -z <<<"$page" 2>&1) || true
    [ -z "$said" ] || fail "$name: groff says: $said"
  fi
  plain_page=${page//\\-/-}
  for flag in $flags; do
    has "$shown" "$flag" "completion of $name"
    grep -qF -- "$flag" <<<"$plain_page" || fail "the manual page of $name does not name $flag"
  done
  has "$shown" --version "completion of $name"
  grep -q '^.SH ENVIRONMENT$' <<<"$page" || fail "the manual page of $name has no end"
done

client=$1
has "$(offered "$client" '')" ask "commands"
has "$(offered "$client" h)" health "commands"
has "$(offered "$client" ask --ch)" --choice "flags of a command"
has "$(offered "$client" ask --ser)" --server "flags of the program behind a command"
has "$(offered "$client" reload '')" rollback "commands of a command"
has "$(offered "$client" reload list --j)" --json "flags of a command of a command"
[ -z "$(offered "$client" ask scene.p | tr -d '\n')" ] || fail "an argument that is no flag is left to file names"
grep -qF 'sparsefusion reload rollback' <<<"$(scripts/man-page "$client" | sed 's/\\-/-/g')" || fail "the page of the client has no reload rollback"
echo "completion_test: $# programs"
