"""What all service replies have in common: success, code, message."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from builtin_interfaces.msg import Duration
from lsm_perception_msgs.msg import ResultCode

from lsm_core.errors import InputError, LsmError, QueryError, UnsupportedError
from lsm_perception.parameter_groups import QueryParameters
from lsm_perception.symptoms import Symptom, see

logger = logging.getLogger(__name__)


class ServiceError(Exception):
    """A request that cannot be fulfilled: becomes success=false with this code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def answer(work: Callable[[Any, Any], None]) -> Callable[[Any, Any], Any]:
    """Wrap a service's work so that every reply has success, code and message, whatever is raised.

    `work(request, response)` fills the response or raises; it need not set success, nor a code unless there is more
    to say than that all is well.
    """

    def callback(request: Any, response: Any) -> Any:
        try:
            work(request, response)
            response.success, response.code = True, response.code or ResultCode.OK
            return response
        except Exception as error:
            response = type(response)()
            response.success = False
            response.code, response.message = failure(error)
            return response

    return callback


def failure(error: Exception) -> tuple[str, str]:
    """Return code and message of a failed request."""
    if isinstance(error, ServiceError):
        return error.code, str(error)
    if isinstance(error, UnsupportedError):
        return ResultCode.UNSUPPORTED, str(error)
    if isinstance(error, QueryError | InputError):
        return ResultCode.BAD_REQUEST, str(error)
    if isinstance(error, OSError):
        return ResultCode.IO_ERROR, str(error)
    if not isinstance(error, LsmError):
        logger.exception(see("A service request failed; the node goes on.", Symptom.INTERNAL_ERRORS))
    return ResultCode.INTERNAL, f"{type(error).__name__}: {error}"


def timeout_seconds(duration: Duration, limits: QueryParameters) -> float:
    """Return a request's time limit in seconds; the default for zero.

    Raises:
        ServiceError: it is negative or longer than allowed: a waiting request holds one of the node's threads.
    """
    seconds = duration.sec + duration.nanosec * 1e-9
    if seconds < 0:
        raise ServiceError(ResultCode.BAD_REQUEST, f"timeout is negative: {seconds:g} s.")
    if seconds > limits.max_timeout_s:
        raise ServiceError(
            ResultCode.BAD_REQUEST,
            f"timeout {seconds:g} s is longer than queries.max_timeout_s = {limits.max_timeout_s:g} s.",
        )
    return seconds or limits.timeout_s
