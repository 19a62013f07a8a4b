#!/usr/bin/env bash
# Install what `./run setup` needs of the system: .ci/run and docker/Dockerfile call this, and so may you.
#   tools/install_system.sh            a compiler and Python's headers; with a ROS 2 sourced, its packages too
#   tools/install_system.sh desktop    a camera driver and RViz as well (needs a sourced ROS 2)
# Does nothing where everything is there already. Debian and Ubuntu; others get the list.
set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

# packages_of LIST: the names in a list of requirements/, for the sourced ROS.
packages_of() { sed -e 's/#.*//' -e "s/__DISTRO__/${ROS_DISTRO:-}/" -e '/^[[:space:]]*$/d' "$ROOT/requirements/$1.txt"; }

has_tools() { command -v c++ && command -v make && python3 -c 'import venv, ensurepip'; }

# A ROS 2 of the system; the one from PyPI needs none of apt's packages.
has_system_ros() { [ -n "${ROS_DISTRO:-}" ] && [ -f "/opt/ros/$ROS_DISTRO/setup.bash" ]; }

wanted=()
if ! has_tools >/dev/null 2>&1; then mapfile -t -O "${#wanted[@]}" wanted < <(packages_of apt); fi
if has_system_ros; then mapfile -t -O "${#wanted[@]}" wanted < <(packages_of apt && packages_of apt-ros); fi
if [ "${1:-}" = desktop ]; then
  has_system_ros || { echo "error: desktop needs a ROS 2 of the system; source /opt/ros/jazzy/setup.bash" >&2 && exit 1; }
  mapfile -t -O "${#wanted[@]}" wanted < <(packages_of apt-desktop)
fi

missing=()
for package in ${wanted[@]+"${wanted[@]}"}; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if [ "${#missing[@]}" -eq 0 ]; then exit 0; fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
  echo "needed: ${missing[*]}" >&2
  echo "  fix: as root: apt-get install ${missing[*]} (or what your system calls them)" >&2
  exit 1
fi
echo "installing ${missing[*]}"
apt-get update -q
DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
