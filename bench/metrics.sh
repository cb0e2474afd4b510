#!/usr/bin/env bash
# What counting the experts costs: the server, scraped every second, against one whose engine counts nothing
# (bench/uncounted_server.cc), on the same images and questions.
#
#   bench/metrics.sh [--model DIR] [--binaries DIR] [--pairs N] [--rounds N] [--seed N] [--out FILE]
#
# Both servers run at once, on the first core, --threads 1, caches off; the load generator has the second. A round asks one
# at concurrency 32 and then the other, the first of a round in turn, so that what slows the machine slows both. Printed
# is the median over the rounds of the ratio. Exit 1 if a request failed. See bench/README.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

model=models/demo binaries=build/release/bin num_pairs=200 rounds=15 seed=21 api=rest out=''
fail() { echo "metrics.sh: $*" >&2; exit 1; }
while [ $# -gt 0 ]; do
  case $1 in
    --model | --binaries | --pairs | --rounds | --seed | --out) [ $# -gt 1 ] || { echo "metrics.sh: $1 needs a value" >&2; exit 2; } ;;&
    --model) model=$2 ;;
    --binaries) binaries=$2 ;;
    --pairs) num_pairs=$2 ;;
    --rounds) rounds=$2 ;;
    --seed) seed=$2 ;;
    --out) out=$2 ;;
    -h | --help) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) echo "metrics.sh: unknown flag $1 (bench/metrics.sh --help)" >&2; exit 2 ;;
  esac
  shift 2
done
[[ $num_pairs =~ ^[1-9][0-9]*$ && $rounds =~ ^[1-9][0-9]*$ && $seed =~ ^[0-9]+$ ]] ||
  { echo "metrics.sh: --pairs and --rounds are positive numbers, --seed a number" >&2; exit 2; }
. bench/measure.sh

# A scrape a second, as a Prometheus that looks closely; from the second core, where it takes nothing but its answer.
scrape() {
  while "${on_load[@]}" curl -fsS "http://127.0.0.1:$(port_of counted admin)/metrics" -o "$scratch/scrape"; do sleep 1; done
}

measure() {  # name
  local json scraper=''
  [ "$1" = uncounted ] || { scrape & scraper=$!; }
  target_of "$1"
  json=$("${on_load[@]}" "$binaries/sparsefusion" "${target[@]}" bench "$pairs" --concurrency 32 --requests "$((2 * num_pairs))" --warm-up 8) ||
    fail "requests failed: $json"
  [ -z "$scraper" ] || kill "$scraper"
  rate=$(field requests_per_second <<<"$json")
  record "$1" "$rate"
}

report() {
  echo "machine: $(machine)"
  echo "model: $model; $num_pairs distinct pairs (seed $seed) twice, $rounds rounds, concurrency 32, --threads 1"
  printf '%-28s %12s   %s\n' measure median 'lowest-highest'
  printf '%-28s %10.1f/s   %s\n' 'counted, scraped each second' "$(median counted)" "$(spread counted)" \
    'uncounted, not scraped' "$(median uncounted)" "$(spread uncounted)"
  printf 'throughput counted / uncounted: %.3f, %s (goal at least 0.98)\n' "$(median ratio)" "$(spread ratio)"
}

load_before=$(cut -d' ' -f1-3 /proc/loadavg)
export_pairs
start counted sparsefusion-server
start uncounted uncounted-server
for ((round = 1; round <= rounds; ++round)); do
  echo "round $round of $rounds" >&2
  if ((round % 2)); then order='counted uncounted'; else order='uncounted counted'; fi
  declare -A rates=()
  for name in $order; do
    measure "$name"
    rates[$name]=$rate
  done
  record ratio "$(awk -v c="${rates[counted]}" -v u="${rates[uncounted]}" 'BEGIN { print c / u }')"
done
grep -q '^sparsefusion_moe_expert_tokens_total' "$scratch/scrape" || fail "nothing was scraped"
stop counted
stop uncounted
if [ -n "$out" ]; then report | tee "$out"; else report; fi
