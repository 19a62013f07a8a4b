"""`./run demo`: a recording through the real node over DDS, and everything that comes out, kept and measured."""
