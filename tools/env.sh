# The environment that ./run gives its commands. To use the same by hand:  source tools/env.sh
# For bash. Sets nothing of ROS's own when a full ROS 2 installation is sourced already.

_lsm_here="${BASH_SOURCE[0]:-$0}"
LSM_ROOT="$(cd "$(dirname "$_lsm_here")/.." && pwd)"
export LSM_ROOT
export VIRTUAL_ENV="$LSM_ROOT/.venv"
case ":$PATH:" in *":$VIRTUAL_ENV/bin:"*) ;; *) export PATH="$VIRTUAL_ENV/bin:$PATH" ;; esac

# Threads of native libraries that wait should sleep, see src/lsm_core/_native_threads.py; set here too, because rclpy
# loads NumPy before lsm_core can.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}" OPENBLAS_NUM_THREADS="${OPENBLAS_NUM_THREADS:-1}"

# Put $2 in front of the colon-separated list named $1, once.
_lsm_prepend() {
  eval "_lsm_list=\"\${$1:-}\""
  case ":$_lsm_list:" in *":$2:"*) ;; *) export "$1=$2${_lsm_list:+:$_lsm_list}" ;; esac
}

# ROS 2 from PyPI lives in the virtual environment itself, which then is a ROS prefix.
if [ -f "$VIRTUAL_ENV/share/rclpy/package.xml" ]; then
  export ROS_VERSION=2 ROS_PYTHON_VERSION=3 ROS_DISTRO="${ROS_DISTRO:-jazzy}"
  for _lsm_dir in "$VIRTUAL_ENV"/lib/python3.*/site-packages/ros_*.libs "$VIRTUAL_ENV/lib"; do
    _lsm_prepend LD_LIBRARY_PATH "$_lsm_dir"
  done
  _lsm_prepend AMENT_PREFIX_PATH "$VIRTUAL_ENV"
  _lsm_prepend CMAKE_PREFIX_PATH "$VIRTUAL_ENV"
  # The wheels re-execute Python once to set LD_LIBRARY_PATH; it is set here.
  export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1
fi

# The built workspace, read from its folders: colcon's own setup files name absolute paths of the
# machine and shell that built them.
for _lsm_dir in "$LSM_ROOT"/ros2_ws/install/*/; do
  _lsm_dir="${_lsm_dir%/}"
  [ -d "$_lsm_dir/share" ] || continue
  _lsm_prepend AMENT_PREFIX_PATH "$_lsm_dir"
  _lsm_prepend CMAKE_PREFIX_PATH "$_lsm_dir"
  [ -d "$_lsm_dir/lib" ] && _lsm_prepend LD_LIBRARY_PATH "$_lsm_dir/lib"
  for _lsm_site in "$_lsm_dir"/lib/python3.*/site-packages "$_lsm_dir"/local/lib/python3.*/dist-packages; do
    [ -d "$_lsm_site" ] && _lsm_prepend PYTHONPATH "$_lsm_site"
  done
done
unset _lsm_here _lsm_dir _lsm_site _lsm_list
unset -f _lsm_prepend
