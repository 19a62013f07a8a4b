"""`./run soak`: the real node for hours on a looped recording, disturbed now and then, every figure on file."""
