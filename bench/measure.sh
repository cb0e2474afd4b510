# What the measuring scripts share; sourced by them. Reads $binaries, $model, $num_pairs, $seed and $api; sets $scratch,
# $pairs, $target, on_engine and on_load, and cleans up at the end.

# The first two cores that this process may use.
mapfile -t cores < <(taskset -cp $$ | sed 's/.*: //' | tr , '\n' | awk -F- '{ for (c = $1; c <= (NF > 1 ? $2 : $1); ++c) print c }')
[ "${#cores[@]}" -ge 2 ] || fail "two cores are needed: one for the server, one for the load"
on_engine=(taskset -c "${cores[0]}") on_load=(taskset -c "${cores[1]}")

scratch=$(mktemp -d)
declare -A servers=()  # pid by name
clean_up() {
  [ "${#servers[@]}" -eq 0 ] || kill -KILL "${servers[@]}" 2>/dev/null || true
  rm -rf "$scratch"
}
trap clean_up EXIT

# Image i with its question number i modulo the questions it has: distinct pairs of every kind.
export_pairs() {
  "$binaries/sparsefusion-train" --export-data "$scratch/data" --export-pictures "$num_pairs" --seed "$seed" >"$scratch/export.log" 2>&1 ||
    fail "the pairs were not exported: $(tail -n 1 "$scratch/export.log")"
  awk -F'"' '
    function choose() { if (n) print rows[pictures++ % n] }
    $4 != picture { choose(); picture = $4; n = 0 }
    { rows[n++] = $0 }
    END { choose() }' "$scratch/data/data.jsonl" >"$scratch/data/pairs.jsonl"
  pairs=$scratch/data/pairs.jsonl
  [ "$(wc -l <"$pairs")" -eq "$num_pairs" ] || fail "$(wc -l <"$pairs") pairs, not $num_pairs"
}

# The first number under this key of the JSON text on standard input.
field() { sed -nE "s/.*\"$1\": *([0-9.e+-]+).*/\1/p" | head -n 1; }

record() { echo "$2" >>"$scratch/$1"; }

# Starts a server of ours on the first core, caches off, and waits until its first version answers.
start() {  # name, program
  rm -f "$scratch/$1.ports"
  "${on_engine[@]}" "$binaries/$2" --model "$model" --threads 1 --no-prefix-cache --http-port 0 --grpc-port 0 --admin-port 0 \
    --port-file "$scratch/$1.ports" >"$scratch/$1.out" 2>"$scratch/$1.log" &
  servers[$1]=$!
  until [ -s "$scratch/$1.ports" ]; do
    kill -0 "${servers[$1]}" 2>/dev/null || fail "$2 ended: $(tail -n 1 "$scratch/$1.log")"
    sleep 0.01
  done
}

stop() {  # name
  kill -TERM "${servers[$1]}"
  wait "${servers[$1]}" || fail "$1 did not end with 0"
  unset "servers[$1]"
}

port_of() { field "$2" <"$scratch/$1.ports"; }  # name, http|grpc|admin

target_of() {  # name
  if [ "$api" = rest ]; then
    target=(--rest --server "http://127.0.0.1:$(port_of "$1" http)")
  else
    target=(--grpc "127.0.0.1:$(port_of "$1" grpc)")
  fi
}

median() { sort -g "$scratch/$1" | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
spread() { sort -g "$scratch/$1" | awk 'NR == 1 { low = $1 } { high = $1 } END { printf "%.4g-%.4g", low, high }'; }
machine() { echo "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) hardware threads; load before: $load_before"; }
