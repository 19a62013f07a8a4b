"""Text queries: embed texts, score views, cut masks, group regions into objects."""

from lsm_core.query.text import MiniLmTextEncoder

__all__ = ["MiniLmTextEncoder"]
