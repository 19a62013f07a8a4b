"""docs/interface.md, made from the code: `python -m lsm_perception.interface_reference docs/interface.md`."""

from lsm_perception.interface_reference.page import documentation

__all__ = ["documentation"]
