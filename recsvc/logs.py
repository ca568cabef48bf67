"""The node's own log: one JSON object a line on stderr, on the clock that drills use."""

from __future__ import annotations

import json
import logging
import time


class JsonLines(logging.Formatter):
    """``t`` is CLOCK_MONOTONIC nanoseconds; ``data`` comes from the caller's ``extra={"data": {...}}``."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"t": time.monotonic_ns(), "level": record.levelname.lower(), "event": record.getMessage()}
        data = getattr(record, "data", None)
        if data:
            line["data"] = data
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def start_logging() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
