"""Why a transform could not be had; the names and the tree are geometry2's."""


class TransformException(Exception):
    """Base of all errors of this package."""


class ConnectivityException(TransformException):
    """Both frames are known, but no chain of transforms joins them."""


class LookupException(TransformException):
    """A frame has never been heard of."""


class ExtrapolationException(TransformException):
    """The time asked for lies outside what is stored."""


class InvalidArgumentException(TransformException):
    """A frame name or a time cannot be used."""


class TimeoutException(TransformException):
    """The transform did not come in time."""
