#!/usr/bin/env bash
# Try the three launch files with the real `ros2 launch`: the node on live topics, the node with a recording, the player
# alone, and what RViz's file declares. Each launch is looked at with `ros2`, ended by SIGINT, and must end cleanly.
# For any shell that has `ros2` and this workspace sourced. Arguments (python:=PATH) go to every launch.
# BAG names another recording than the packaged sample. docs/launch.md keeps a transcript.
set -euo pipefail

command -v ros2 >/dev/null || {
  echo "error: no ros2 in this shell; source a ROS 2 installation and this workspace's install/setup.bash" >&2
  exit 1
}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bag="${BAG:-src/lsm_core/assets/sample_room}"
everywhere=("$@")
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
is_logged() { grep -q "$1" "$log"; }

# shown_holds TEXT COMMAND...: show a command and what it prints, which must hold a text.
# Not piped into grep -q, which would close the pipe while ros2 still writes.
shown_holds() {
  local text=$1 printed
  shift
  echo "\$ $*"
  printed="$(timeout 60 "$@")" || fail "$* did not succeed"
  echo "$printed"
  grep -q -- "$text" <<<"$printed" || fail "'$text' is not in what $* prints"
}

# begin FILE ARGUMENTS...: start a launch file beside this script.
begin() {
  echo
  echo "\$ ros2 launch lsm_perception $*"
  # A background job of a script ignores SIGINT; Python puts the handler back.
  python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
os.execvp(sys.argv[1], sys.argv[1:])' ros2 launch lsm_perception "$@" ${everywhere[@]+"${everywhere[@]}"} >"$log" 2>&1 &
  launch_pid=$!
}

# interrupt: end it as Ctrl-C would.
interrupt() {
  echo "\$ kill -INT %1"
  kill -INT "$launch_pid"
  see_it_end
}

# see_it_end: wait for its end and show what it printed.
see_it_end() {
  local status=0
  wait "$launch_pid" || status=$?
  launch_pid=""
  echo "--- what ros2 launch printed:"
  cat "$log"
  echo "--- exit status of ros2 launch: $status"
  [ "$status" -eq 0 ] || fail "ros2 launch ended with $status"
  if grep -q Traceback "$log"; then fail "there is a traceback"; fi
}

begin bringup.launch.py image_topic:=/camera/image_raw
wait_for 120 is_active || fail "the node did not become active"
shown_holds active ros2 lifecycle get /lsm_perception
shown_holds /lsm_perception/points ros2 topic list
shown_holds success=True ros2 service call /lsm_perception/set_queries lsm_perception_msgs/srv/SetQueries \
  "{texts: ['chair', 'table']}"
interrupt

begin bringup.launch.py bag:="$bag" queries:=chair
wait_for 120 is_active || fail "the node did not become active"
shown_holds "value is: True" ros2 param get /lsm_perception use_sim_time
shown_holds . ros2 topic echo --once --field header /lsm_perception/points
wait_for 120 is_logged "replay-.*finished cleanly" || fail "the recording did not end"
shown_holds active ros2 lifecycle get /lsm_perception
interrupt

begin replay.launch.py bag:="$bag" clock:=true loop:=true
wait_for 60 is_logged "process started" || fail "the player did not start"
shown_holds . ros2 topic echo --once /clock
shown_holds paused ros2 service call /lsm_replay/pause std_srvs/srv/Trigger
interrupt

begin replay.launch.py bag:="$bag" duration:=1 wait:=0
wait_for 60 is_logged "finished cleanly" || fail "the player did not end"
see_it_end # by itself

echo
shown_holds rviz_config ros2 launch lsm_perception rviz.launch.py --show-args
