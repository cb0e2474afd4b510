#!/usr/bin/env bash
# The client as a stranger's CMake project uses it: installed under a prefix, found by find_package, built, and a live
# server asked with it.
#   package.sh BUILD_FOLDER EXAMPLE_FOLDER PICTURE MODEL
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../support/wait_for_ports.sh"
build=$1 example=$2 picture=$3 model=$4
scratch=$(mktemp -d)
server=''
clean_up() {
  [ -z "$server" ] || { kill -TERM "$server" && wait "$server"; } 2>/dev/null || true
  rm -rf "$scratch"
}
trap clean_up EXIT

cmake --install "$build" --component client --prefix "$scratch/prefix" >/dev/null
cmake -S "$example" -B "$scratch/build" -G Ninja -DCMAKE_PREFIX_PATH="$scratch/prefix" \
  -DCMAKE_CXX_COMPILER_LAUNCHER=ccache >"$scratch/cmake.log" 2>&1 || { cat "$scratch/cmake.log"; exit 1; }
cmake --build "$scratch/build" >"$scratch/build.log" 2>&1 || { cat "$scratch/build.log"; exit 1; }

"$build/bin/sparsefusion-server" --model "$model" --threads 1 --http-port 0 --grpc-port 0 --admin-port 0 \
  --port-file "$scratch/ports.json" >"$scratch/server.log" 2>&1 &
server=$!
wait_for_ports "$scratch/ports.json" "$server" 60 || { cat "$scratch/server.log"; exit 1; }
port=$(port_of "$scratch/ports.json" grpc)
answer=$("$scratch/build/ask" "127.0.0.1:$port" "$picture" 'what shape is the red object?')
echo "$answer"
[[ $answer == circle\ \(version\ * && $answer == *$'\n'circle ]] || { echo "not the answer that was expected"; exit 1; }
