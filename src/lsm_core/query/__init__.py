"""Text queries: embed texts, score views, cut masks, group regions into objects."""

from lsm_core.query.prediction_query import label_image, query_prediction
from lsm_core.query.text import MiniLmTextEncoder
from lsm_core.query.text_check import check_texts, split_texts
from lsm_core.query.text_to_mask import QueryConfig

__all__ = [
    "MiniLmTextEncoder",
    "QueryConfig",
    "check_texts",
    "label_image",
    "query_prediction",
    "split_texts",
]
