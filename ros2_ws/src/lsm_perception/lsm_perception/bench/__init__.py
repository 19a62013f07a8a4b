"""How fast the node is: the real process, images over DDS, figures from both ends. Run by `lsm bench node`."""
