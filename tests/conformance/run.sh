#!/usr/bin/env bash
# Runs the stock OpenAI and KServe/Triton clients, a gRPC client by reflection, schemathesis, KServe's SDK where a python
# with it is given, and perf_analyzer where it can run, against servers that this script starts. Prints a PASS line a
# check, and fails at the first that does not hold.
#
#   python3 -m venv VENV && VENV/bin/pip install -r tests/conformance/requirements.txt
#   python3 -m venv SDK && SDK/bin/pip install -r tests/conformance/kserve_requirements.txt
#   tests/conformance/run.sh --python VENV/bin/python [--kserve-python SDK/bin/python] \
#     --server build/release/bin/sparsefusion-server [--model models/demo]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

python= kserve_python= server= model=models/demo
while [ $# -gt 0 ]; do
  case $1 in
    --python) python=${2:?}; shift ;;
    --kserve-python) kserve_python=${2:?}; shift ;;
    --server) server=${2:?}; shift ;;
    --model) model=${2:?}; shift ;;
    -h | --help) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) echo "run.sh: unknown flag $1" >&2; exit 2 ;;
  esac
  shift
done
[ -n "$python" ] && [ -n "$server" ] || { echo "run.sh: --python and --server are needed (--help)" >&2; exit 2; }

python=$(realpath -s "$python") server=$(realpath "$server")
scratch=$(mktemp -d)
pids=()
cleanup() {
  [ ${#pids[@]} -eq 0 ] || { kill "${pids[@]}" 2>/dev/null && wait "${pids[@]}"; } || true
  rm -rf "$scratch"
}
trap cleanup EXIT

start() {  # name of its port file, flags
  local ports=$scratch/$1
  shift
  "$server" --http-port 0 --grpc-port 0 --admin-port 0 --port-file "$ports" "$@" >"$ports.log" 2>&1 &
  pids+=($!)
  for _ in $(seq 600); do
    [ -e "$ports" ] && return
    kill -0 "$!" 2>/dev/null || { cat "$ports.log" >&2; exit 1; }
    sleep 0.1
  done
  echo "FAIL no server after 60 s" >&2
  exit 1
}
port_of() { "$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$scratch/$1" "$2"; }

# What the description says must be so: no 5xx, no status, type or schema that it does not name.
schemathesis() {  # title, arguments
  local title=$1
  shift
  if ! (cd "$scratch" && "$(dirname "$python")/schemathesis" run --seed 1 --request-timeout 60 \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance "$@") \
    >"$scratch/schemathesis.log" 2>&1; then
    echo "FAIL schemathesis, $title" >&2
    cat "$scratch/schemathesis.log" >&2
    exit 1
  fi
  echo "PASS schemathesis, $title: $(grep -m1 -oE '[0-9]+ generated.*' "$scratch/schemathesis.log" || true)"
}

start main --model "$model"
http=127.0.0.1:$(port_of main http) grpc=127.0.0.1:$(port_of main grpc)

"$python" tests/conformance/openai_client.py --http "$http" --image examples/scene.png
"$python" tests/conformance/grpc_client.py --grpc "$grpc" --image examples/scene.png
schemathesis "every route" "http://$http/openapi.json" --max-examples 30 --exclude-path-regex '^/v1/admin/'

# The commands, against a server that has keys and a store of its own: with a key that may, and without one.
key=$("$python" -c 'import secrets; print(secrets.token_hex(32))')
mkdir -p "$scratch/store/1" && cp -r "$model"/. "$scratch/store/1" && cp -r "$scratch/store/1" "$scratch/store/2"
echo "all $(printf %s "$key" | sha256sum | cut -d' ' -f1) infer,admin" >"$scratch/keys"
start admin --model "$scratch/store" --api-keys "$scratch/keys"
curl -sf -H "Authorization: Bearer $key" "http://127.0.0.1:$(port_of admin http)/openapi.json" >"$scratch/openapi.json"
"$python" tests/conformance/kserve_client.py --http "127.0.0.1:$(port_of admin http)" --key "$key" \
  --grpc "127.0.0.1:$(port_of admin grpc)" --management "127.0.0.1:$(port_of admin admin)" --image examples/scene.png
commands='^/v1/(admin|versions|experts)|^/v2/repository|^/metrics|^/healthz|^/readyz'
schemathesis "the commands, with a key" "$scratch/openapi.json" --url "http://127.0.0.1:$(port_of admin http)" \
  --max-examples 30 --include-path-regex "$commands" -H "Authorization: Bearer $key"
schemathesis "the management port" "$scratch/openapi.json" --url "http://127.0.0.1:$(port_of admin admin)" \
  --max-examples 30 --include-path-regex "$commands"
schemathesis "without a key" "$scratch/openapi.json" --url "http://127.0.0.1:$(port_of admin http)" --max-examples 3

"$python" tests/conformance/kserve_client.py --http "$http" --grpc "$grpc" --image examples/scene.png
if [ -n "$kserve_python" ]; then
  "$kserve_python" tests/conformance/kserve_sdk_client.py --http "$http" --grpc "$grpc" --image examples/scene.png
else
  echo "SKIP KServe's SDK: no --kserve-python"
fi

# perf_analyzer: its measurements are not judged, only that it finds what it asks for and that no request fails.
perf=$(dirname "$python")/perf_analyzer
cuda=$("$python" -c 'import nvidia.cuda_runtime as m; print(list(m.__path__)[0] + "/lib")' 2>/dev/null || true)
export LD_LIBRARY_PATH=$cuda${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
if ! "$perf" --version >/dev/null 2>&1; then
  echo "SKIP perf_analyzer: $perf does not run here (it needs libb64-0d and nvidia-cuda-runtime-cu12)"
  exit 0
fi
"$python" - examples/scene.png "$scratch" <<'PY'
import base64, json, struct, sys
image = open(sys.argv[1], "rb").read()
# "b64" is the tensor in raw form: a BYTES element brings its length.
tensor = base64.b64encode(struct.pack("<I", len(image)) + image).decode()
question = "what shape is the red object?"
url = "data:image/png;base64," + base64.b64encode(image).decode()
chat = {"stream": True, "messages": [{"role": "user", "content": [
    {"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": question}]}]}
with open(sys.argv[2] + "/tensors.json", "w") as file:
    json.dump({"data": [{"IMAGE": {"b64": tensor}, "QUESTION": [question]}]}, file)
with open(sys.argv[2] + "/chat.json", "w") as file:
    json.dump({"data": [{"payload": [chat]}]}, file)
PY
analyse() {  # title, data, arguments
  local title=$1 data=$2
  shift 2
  if ! timeout 300 "$perf" --input-data "$scratch/$data.json" --request-count 20 --concurrency-range 2 "$@" \
    >"$scratch/perf.log" 2>&1; then
    echo "FAIL perf_analyzer $title" >&2
    cat "$scratch/perf.log" >&2
    exit 1
  fi
  echo "PASS perf_analyzer $title: $(grep -m1 -oE 'Throughput: .*' "$scratch/perf.log" || echo 'no figure')"
}
name=$("$python" tests/conformance/kserve_client.py --http "$http" --print-model)
analyse "REST" tensors -m "$name" -u "$http" -i http
analyse "gRPC" tensors -m "$name" -u "$grpc" -i grpc
analyse "gRPC, streaming" tensors -m "${name}_stream" -u "$grpc" -i grpc --async --streaming
analyse "OpenAI, streaming" chat -m "$name" -u "http://$http" --service-kind openai --endpoint v1/chat/completions --async
