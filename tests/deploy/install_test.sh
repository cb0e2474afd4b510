#!/usr/bin/env bash
# `cmake --install` into a folder that is nothing else: everything arrives, the systemd unit is valid and names what is
# there, and the installed server answers a question of the installed client with the installed model.
#
#   tests/deploy/install_test.sh BUILD
set -euo pipefail
build=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/support/wait_for_ports.sh
prefix=$(mktemp -d) server=''
clean_up() {
  [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
  rm -rf "$prefix"
}
trap clean_up EXIT
fail() { printf 'install_test: %s\n' "$*" >&2; tail -n 20 "$prefix"/*.log >&2 2>/dev/null || true; exit 1; }

cmake --install "$build" --strip --prefix "$prefix" >/dev/null
unit=$prefix/lib/systemd/system/sparsefusion-server.service
for file in bin/sparsefusion{,-server,-train,-model} share/sparsefusion/models/demo/manifest.json \
  share/sparsefusion/proto/sparsefusion/v1/vqa.proto share/doc/sparsefusion/{README.md,LICENSE,SECURITY.md,docs/operations.md}; do
  [ -f "$prefix/$file" ] || fail "$file was not installed"
done
for program in sparsefusion sparsefusion-server sparsefusion-train sparsefusion-model; do
  grep -q '^\.SH OPTIONS$' "$prefix/share/man/man1/$program.1" || fail "$program has no manual page"
  grep -q '^complete ' "$prefix/share/bash-completion/completions/$program" || fail "$program has no completion"
done
for program in sparsefusion sparsefusion-server sparsefusion-train sparsefusion-model; do
  # Away from the build folder, and with nothing of this shell's environment.
  (cd / && env -i "$prefix/bin/$program" --version >/dev/null) || fail "$program does not run"
done

! grep -q '@' <(grep -v '^#' "$unit" | grep -v 'SystemCallFilter') || fail "the unit still has a placeholder"
if command -v systemd-analyze >/dev/null; then
  said=$(systemd-analyze verify "$unit" 2>&1 | grep -F "$(basename "$unit")" || true)
  [ -z "$said" ] || fail "systemd-analyze verify: $said"
  # Below 3 systemd calls a service well protected.
  systemd-analyze security --offline=true --threshold=30 "$unit" >"$prefix/security.log" 2>&1 || fail "the unit is too open"
else
  echo "install_test: no systemd-analyze here: the unit was not verified"
fi

# The unit's own environment and command, with free ports.
mkdir "$prefix/store"
settings=()
while IFS= read -r line; do settings+=("${line//%S\/sparsefusion/$prefix}"); done < <(sed -n 's/^Environment=//p' "$unit" | tr ' ' '\n')
command=$(sed -n 's/^ExecStart=//p' "$unit")
[ -x "$command" ] || fail "ExecStart names no program: $command"
env -i "${settings[@]}" "$command" --check-config >/dev/null || fail "--check-config refuses the unit's settings"
env -i "${settings[@]}" "$command" --threads=1 --http-port=0 --grpc-port=0 --admin-port=0 --port-file="$prefix/ports.json" \
  >"$prefix/server.log" 2>&1 &
server=$!
wait_for_ports "$prefix/ports.json" "$server" 180 || fail "the server was not ready"
port=$(port_of "$prefix/ports.json" http)
answer=$("$prefix/bin/sparsefusion" ask examples/scene.png 'what shape is the red object?' --server "http://127.0.0.1:$port")
[ "$answer" = circle ] || fail "the installed server said: $answer"
kill -TERM "$server"
wait "$server" || fail "the server did not end with 0"
server=''
echo "install_test: installed, verified, asked: $answer"
