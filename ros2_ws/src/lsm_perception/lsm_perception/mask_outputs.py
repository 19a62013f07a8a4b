"""~/segmentation/*: the standing queries on the source image's own pixels, whatever the state of the geometry."""

from __future__ import annotations

from std_msgs.msg import Header

from lsm_perception.conversions.images import image_message
from lsm_perception.conversions.reports import header
from lsm_perception.conversions.semantics import label_info_message, label_message, overlay, score_message
from lsm_perception.products import Products
from lsm_perception.publishers import Publishers
from lsm_perception.segmentation import StandingQueries

PIXELS = ("segmentation/label", "segmentation/score", "segmentation/overlay")


class MaskOutputs:
    """Publishes label, score and overlay images, and the latched table of labels."""

    def __init__(self, publishers: Publishers) -> None:
        self._publishers = publishers

    def publish(self, products: Products) -> None:
        """Publish the pixel products of a keyframe where anybody listens."""
        found = products.segmentation if self._publishers.wants(*PIXELS) else None
        if found is None:
            return
        source = header(products.image.stamp_ns, products.image.frame_id)
        if self._publishers.wants("segmentation/label"):
            self._publishers.publish("segmentation/label", label_message(found.labels, source))
        if self._publishers.wants("segmentation/score"):
            self._publishers.publish("segmentation/score", score_message(found.scores, source))
        if self._publishers.wants("segmentation/overlay"):
            mixed = overlay(products.rgb, found.labels, len(found.texts))
            self._publishers.publish("segmentation/overlay", image_message(mixed, "rgb8", source))

    def publish_label_info(self, queries: StandingQueries, source: Header) -> None:
        """Publish the table of labels; latched, so once per change."""
        smallest = min((t for t in queries.thresholds), default=0.0)
        self._publishers.publish("segmentation/label_info", label_info_message(queries.texts, smallest, source))
