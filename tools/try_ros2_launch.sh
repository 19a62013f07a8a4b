#!/usr/bin/env bash
# Try the launch file with the real `ros2 launch`: start the node, list its topics, call a service, stop it
# by SIGINT, and see that it ends cleanly. For any shell that has `ros2` and this workspace sourced.
# Arguments go to the launch file. docs/launch.md keeps a transcript.
set -euo pipefail

command -v ros2 >/dev/null || {
  echo "error: no ros2 in this shell; source a ROS 2 installation and this workspace's install/setup.bash" >&2
  exit 1
}
export ROS_DOMAIN_ID="${ROS_DOMAIN_ID:-77}" ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST PYTHONUNBUFFERED=1
log="$(mktemp)"
launch_pid=""

# On any way out, end what was started here.
cleanup() {
  if [ -n "$launch_pid" ]; then kill -INT "$launch_pid" 2>/dev/null || true; fi
  rm -f "$log"
}
trap cleanup EXIT

fail() {
  echo "FAILED: $1" >&2
  tail -n 30 "$log" >&2
  exit 1
}

# show COMMAND...: print a command as typed, then run it.
show() {
  echo "\$ $*"
  "$@"
}

# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    if [ "$SECONDS" -ge "$deadline" ] || ! kill -0 "$launch_pid" 2>/dev/null; then return 1; fi
    sleep 1
  done
}

is_active() { ros2 lifecycle get /lsm_perception | grep -q active; }

echo "\$ ros2 launch lsm_perception bringup.launch.py $*"
# A background job of a script ignores SIGINT; Python puts the handler back.
python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
os.execvp(sys.argv[1], sys.argv[1:])' ros2 launch lsm_perception bringup.launch.py "$@" >"$log" 2>&1 &
launch_pid=$!
wait_for 120 is_active || fail "the node did not become active"

show ros2 lifecycle get /lsm_perception
# Not piped into grep -q, which would close the pipe while ros2 still writes.
topics="$(show ros2 topic list)"
echo "$topics"
grep -qx /lsm_perception/points <<<"$topics" || fail "~/points is not there"
reply="$(show timeout 60 ros2 service call /lsm_perception/set_queries lsm_perception_msgs/srv/SetQueries \
  "{texts: ['chair', 'table']}")"
echo "$reply"
grep -q 'success=True' <<<"$reply" || fail "the service call did not succeed"

echo "\$ kill -INT %1"
kill -INT "$launch_pid"
status=0
wait "$launch_pid" || status=$?
launch_pid=""
echo "--- what ros2 launch printed:"
cat "$log"
echo "--- exit status of ros2 launch: $status"
[ "$status" -eq 0 ] || fail "ros2 launch ended with $status"
if grep -q Traceback "$log"; then fail "there is a traceback"; fi
