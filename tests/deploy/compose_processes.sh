#!/usr/bin/env bash
# The server and the trainer of deploy/docker-compose.yml, run without containers and shortened: an empty store is seeded with the
# bundled model, the trainer starts from it, and at no time are fewer of the examples' questions answered rightly.
#
#   tests/deploy/compose_processes.sh BINARIES
set -euo pipefail
binaries=$1
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/support/wait_for_ports.sh

scratch=$(mktemp -d)
server='' trainer=''
clean_up() {
  local process
  for process in $trainer $server; do kill -KILL "$process" 2>/dev/null || true; done
  rm -rf "$scratch"
}
trap clean_up EXIT
fail() {
  printf 'compose_processes: %s\n' "$*" >&2
  tail -n 20 "$scratch"/*.log >&2
  exit 1
}

# The list under `command:` of a service, one argument a line.
command_of() {
  awk -v service="  $1:" '
    /^  [a-z]+:$/ { inside = ($0 == service); listing = 0 }
    inside && /^    [a-z_]+:/ { listing = ($1 == "command:") }
    inside && listing && /^      - / { print $2 }' deploy/docker-compose.yml
}

# Paths and addresses of this machine for those of the containers; a run of a minute for one of days.
natively() {
  sed -e "s|/models/store|$scratch/store|" -e "s|/usr/local/share/sparsefusion/models/demo|models/demo|" -e 's|0\.0\.0\.0|127.0.0.1|' \
    -e 's|^--steps=.*|--steps=20|' -e 's|^--metrics-port=.*|--metrics-port=0|'
}

count_right() {
  local line image question answer said right=0
  while IFS= read -r line; do
    image=$(sed -E 's/.*"image": *"([^"]*)".*/\1/' <<<"$line")
    question=$(sed -E 's/.*"question": *"([^"]*)".*/\1/' <<<"$line")
    answer=$(sed -E 's/.*"answer": *"([^"]*)".*/\1/' <<<"$line")
    said=$("$binaries/sparsefusion" ask "examples/$image" "$question" --server "$url") || fail "a question was not answered: $question"
    [ "$said" != "$answer" ] || right=$((right + 1))
  done <examples/questions.jsonl
  echo "$right"
}

mkdir "$scratch/store"
mapfile -t server_arguments < <(command_of server | natively)
mapfile -t trainer_arguments < <(command_of trainer | natively)
[ "${#server_arguments[@]}" -ge 4 ] || fail "the compose file's command of the server was not found"
[ "${#trainer_arguments[@]}" -ge 6 ] || fail "the compose file's command of the trainer was not found"

"$binaries/sparsefusion-server" "${server_arguments[@]}" --threads=1 --http-port=0 --grpc-port=0 --admin-port=0 \
  --port-file="$scratch/ports.json" >"$scratch/server.log" 2>&1 &
server=$!
wait_for_ports "$scratch/ports.json" "$server" 60 || fail "the server was not ready"
port=$(port_of "$scratch/ports.json" http)
url=http://127.0.0.1:$port
"$binaries/sparsefusion" health --ready --server "$url" >/dev/null || fail "the server is not ready"

asked=$(wc -l <examples/questions.jsonl)
before=$(count_right)
"$binaries/sparsefusion-train" "${trainer_arguments[@]}" --batch-size=4 --evaluate-every=10 --evaluation-pictures=20 \
  >"$scratch/trainer.log" 2>&1 &
trainer=$!

# One answer in a hundred may turn while the score over all kinds of questions rises.
lowest=$((before - asked / 100 - 1))
rounds=0
while :; do
  running=0
  kill -0 "$trainer" 2>/dev/null && running=1
  right=$(count_right)
  rounds=$((rounds + 1))
  [ "$right" -ge "$lowest" ] || fail "$right of $asked right, $before before training"
  [ "$running" -eq 1 ] || break
done
wait "$trainer" || fail "the trainer failed"
trainer=''
grep -q 'score' "$scratch/trainer.log" || fail "the trainer never evaluated"
kill -TERM "$server"
wait "$server" || fail "the server did not end with 0"
server=''
echo "compose_processes: $before of $asked right before training, $right after $rounds rounds; $(grep -c published "$scratch/trainer.log" || true) versions published"
