"""Text queries: embed texts, score views, cut masks, group regions into objects."""

from lsm_core.query.instance_map import InstanceMap
from lsm_core.query.instance_tracker import InstanceTracker, TrackerConfig
from lsm_core.query.instances import Instance, InstanceConfig, find_instances
from lsm_core.query.prediction_query import (
    label_image,
    query_gaussians,
    query_maps,
    query_prediction,
    score_prediction,
)
from lsm_core.query.scored_texts import ScoredTexts, score_of_label
from lsm_core.query.text import MiniLmTextEncoder
from lsm_core.query.text_check import check_texts
from lsm_core.query.text_list import quote_text, split_each, split_texts
from lsm_core.query.text_scorer import TextScorer
from lsm_core.query.text_to_mask import QueryConfig

__all__ = [
    "Instance",
    "InstanceConfig",
    "InstanceMap",
    "InstanceTracker",
    "MiniLmTextEncoder",
    "QueryConfig",
    "ScoredTexts",
    "TextScorer",
    "TrackerConfig",
    "check_texts",
    "find_instances",
    "label_image",
    "query_gaussians",
    "query_maps",
    "query_prediction",
    "quote_text",
    "score_of_label",
    "score_prediction",
    "split_each",
    "split_texts",
]
