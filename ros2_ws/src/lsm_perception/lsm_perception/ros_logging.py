"""Python's logging into the ROS log, so the library's lines appear beside the node's."""

from __future__ import annotations

import logging

import rclpy.logging
from rclpy.impl.rcutils_logger import RcutilsLogger

from lsm_perception.log_throttle import LogThrottle


class RosLogHandler(logging.Handler):
    """Hands records to rcutils under `lsm_perception`; repeated complaints are throttled."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(name)s: %(message)s"))
        self.addFilter(LogThrottle())
        self._logger: RcutilsLogger = rclpy.logging.get_logger("lsm_perception")

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record; a failure to log stops nothing."""
        try:
            text = self.format(record)
            # rcutils wants one call site per severity, so each has its own line.
            if record.levelno >= logging.ERROR:
                self._logger.error(text)
            elif record.levelno >= logging.WARNING:
                self._logger.warning(text)
            elif record.levelno >= logging.INFO:
                self._logger.info(text)
            else:
                self._logger.debug(text)
        except Exception:
            self.handleError(record)
