#!/usr/bin/env bash
# What serving costs: the server against its own engine, on the same images and questions.
#
#   bench/serve.sh [--model DIR] [--binaries DIR] [--pairs N] [--rounds N] [--seed N] [--api rest|grpc] [--out FILE]
#   bench/serve.sh --fake [--binaries DIR] [--out FILE]
#
# With --fake no model runs: the frontends over an engine that answers at once, beside a bare cpp-httplib handler and a bare
# gRPC service, at concurrency 1 and 32 (bench/fronts.cc).
#
# Every round measures four things one after the other: the engine alone at batch 1 and batch 32 (sparsefusion-model
# bench), and the server at concurrency 1 and 32 (sparsefusion bench). Engine and server run with --threads 1 on the first
# core, the load generator on the second; decoding and preprocessing are included on both sides; caches are off, and the
# pairs are distinct. Printed is the median over the rounds. Exit 1 if a request failed. See bench/README.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

model=models/demo binaries=build/release/bin num_pairs=200 rounds=5 seed=20 api=rest out='' fake=0
fail() { echo "serve.sh: $*" >&2; exit "${2:-1}"; }
while [ $# -gt 0 ]; do
  [ "$1" != --fake ] || { fake=1; shift; continue; }
  case $1 in
    --model | --binaries | --pairs | --rounds | --seed | --api | --out) [ $# -gt 1 ] || { echo "serve.sh: $1 needs a value" >&2; exit 2; } ;;&
    --model) model=$2 ;;
    --binaries) binaries=$2 ;;
    --pairs) num_pairs=$2 ;;
    --rounds) rounds=$2 ;;
    --seed) seed=$2 ;;
    --api) api=$2 ;;
    --out) out=$2 ;;
    -h | --help) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) echo "serve.sh: unknown flag $1 (bench/serve.sh --help)" >&2; exit 2 ;;
  esac
  shift 2
done
[[ $num_pairs =~ ^[1-9][0-9]*$ && $rounds =~ ^[1-9][0-9]*$ && $seed =~ ^[0-9]+$ && $api =~ ^(rest|grpc)$ ]] ||
  { echo "serve.sh: --pairs and --rounds are positive numbers, --seed a number, --api rest or grpc" >&2; exit 2; }

. bench/measure.sh

fake() {
  local load_before
  load_before=$(cut -d' ' -f1-3 /proc/loadavg)
  echo "machine: $(machine)"
  echo
  "$binaries/bench_fronts" 3 32
  echo
  "$binaries/bench_fronts" 3 1
}
if [ "$fake" -eq 1 ]; then
  if [ -n "$out" ]; then fake | tee "$out"; else fake; fi
  exit
fi

measure_engine() {  # batch
  local json
  json=$("${on_engine[@]}" "$binaries/sparsefusion-model" bench --model "$model" --pairs "$pairs" --requests "$num_pairs" --batches "$1" \
    --rounds 1 --threads 1 --json 2>"$scratch/engine.log") || fail "the engine failed: $(tail -n 1 "$scratch/engine.log")"
  record "engine_$1_rate" "$(field images_per_second <<<"$json")"
  record "engine_$1_p50" "$(field p50_ms <<<"$json")"
}

start_server() {
  local began
  began=$(date +%s%N)
  start server sparsefusion-server
  record ready_s "$(awk -v ns=$(($(date +%s%N) - began)) 'BEGIN { printf "%.3f\n", ns / 1e9 }')"
  target_of server
}

measure_server() {  # concurrency
  local json
  json=$("${on_load[@]}" "$binaries/sparsefusion" "${target[@]}" bench "$pairs" --concurrency "$1" --requests "$num_pairs" --warm-up 4) ||
    fail "requests failed at concurrency $1: $json"
  record "server_$1_rate" "$(field requests_per_second <<<"$json")"
  record "server_$1_p50" "$(field p50 <<<"$json")"
}

report() {
  local engine_p50 server_p50 engine_rate server_rate
  engine_p50=$(median engine_1_p50) server_p50=$(median server_1_p50)
  engine_rate=$(median engine_32_rate) server_rate=$(median server_32_rate)
  echo "machine: $(machine)"
  echo "model: $model; $num_pairs distinct pairs (seed $seed), $rounds rounds, $api, --threads 1"
  printf '%-38s %12s   %s\n' measure median 'lowest-highest'
  printf '%-38s %9.2f ms   %s\n' 'engine, batch 1, p50' "$engine_p50" "$(spread engine_1_p50)" \
    'server, concurrency 1, p50' "$server_p50" "$(spread server_1_p50)"
  printf '%-38s %10.1f/s   %s\n' 'engine, batch 32, answers' "$engine_rate" "$(spread engine_32_rate)" \
    'server, concurrency 32, answers' "$server_rate" "$(spread server_32_rate)"
  printf '%-38s %10.2f s   %s\n' 'server, start to ready' "$(median ready_s)" "$(spread ready_s)"
  awk -v e="$engine_p50" -v s="$server_p50" -v er="$engine_rate" -v sr="$server_rate" \
    'BEGIN { printf "p50 server / engine: %.3f (goal at most 1.3)\nthroughput server / engine: %.3f (goal at least 0.85)\n", s / e, sr / er }'
}

load_before=$(cut -d' ' -f1-3 /proc/loadavg)
export_pairs
for ((round = 1; round <= rounds; ++round)); do
  echo "round $round of $rounds" >&2
  measure_engine 1
  start_server
  measure_server 1
  measure_server 32
  stop server
  measure_engine 32
done
if [ -n "$out" ]; then report | tee "$out"; else report; fi
