#!/usr/bin/env bash
# Every program reads the same TOML: it finds in a file of all its forms only what its last line says wrong.
#
#   tests/client/config_test.sh build/release/bin/sparsefusion [PROGRAM...]
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export OMP_WAIT_POLICY=PASSIVE
fail() { printf 'config_test: %s\n' "$*" >&2; exit 1; }

# Two flags of a program: one that takes any text, one that takes a number.
declare -A texts=([sparsefusion]=explain.method [sparsefusion-server]=model [sparsefusion-train]=data [sparsefusion-model]=explain.method)
declare -A numbers=([sparsefusion]=retries [sparsefusion-server]=max-batch [sparsefusion-train]=steps [sparsefusion-model]=explain.layer)

for program in "$@"; do
  name=${program##*/} file=$scratch/settings.toml
  text=${texts[$name]} number=${numbers[$name]}
  # The wrong line stands last, behind what a reader of a dialect stumbles over.
  refused() {  # what the program must say; the file is standard input
    cat >"$file"
    local said status=0
    said=$("$program" --config "$file" 2>&1 </dev/null) || status=$?
    [ "$status" -eq 2 ] || fail "$name ends with $status, not 2: $said"
    [[ $said == "$name: $file: $1"* ]] || fail "$name: expected '$1', got: $said"
  }
  refused "line 7: unknown key 'no-such-key'" <<TOML
$text = [ # on several lines
  'literal\\', # with a remark

]
$number = 0x10 # sixteen

no_such_key = 1
TOML
  refused "line 3: unknown table 'no-such-table'" <<TOML
$text = """several
lines"""
no-such-table.key = {a = 1, b.c = [1, 2]}
TOML
  refused "line 2: key '$text': " <<TOML
$number = 1
$text = [1 2]
TOML
  refused "line 2: " <<TOML
$text = "text"
$number = "many"
TOML
done
