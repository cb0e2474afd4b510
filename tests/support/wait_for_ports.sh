# wait_for_ports FILE PID SECONDS: returns once that server has written its ports there; 1 if it ends first or takes longer.
# port_of FILE http|grpc|admin: prints one of them.
wait_for_ports() {
  local i
  for ((i = 0; i < 10 * $3; ++i)); do
    [ ! -s "$1" ] || return 0
    kill -0 "$2" 2>/dev/null || return 1
    sleep 0.1
  done
  return 1
}

port_of() { sed -E "s/.*\"$2\": *([0-9]+).*/\1/" "$1"; }
