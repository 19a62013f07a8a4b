"""The ROS 2 node around lsm_core: cameras in; clouds, poses, masks and an honest scale out.

Importing this package imports neither rclpy nor torch; `lsm_perception.node` is the process.
"""
