"""Names under which the documents speak of a recording and of a saved map; `prepared_folder` has them all."""

MAPS = ("room.lsmmap", "kitchen.lsmmap", "MAP", "home/.ros/lsm_maps/kitchen.lsmmap")
RECORDINGS = ("my_bag", "BAG", "PATH", "PLACE", "RECORDING", "ANOTHER_BAG", "bag", "kitchen_bag", "recording")
