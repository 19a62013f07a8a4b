#!/usr/bin/env bash
# A command of ./run (bringup, replay, lsm ...) or any program, in the environment of ROS 2 and the workspace.
set -e
home="${LSM_HOME:-/opt/lsm}"
# shellcheck source=/dev/null
source "${ROS_SETUP:-/opt/ros/${ROS_DISTRO}/setup.bash}"
case "${1:-}" in
  demo | bringup | replay | policy | lsm) exec "$home/run" "$@" ;;
esac
# The targets without the node (system, desktop) have no workspace.
if [ -f "$home/tools/env.sh" ]; then
  # shellcheck source=/dev/null
  source "$home/tools/env.sh"
fi
exec "$@"
