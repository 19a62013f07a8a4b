"""A live view of the scene in the browser: a process of its own that uses only the node's topics and services."""
