"""PointCloud2 between ROS messages and NumPy; stands in for common_interfaces' package of this name."""
