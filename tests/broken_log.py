"""A log that raises."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from lnmailbox.testing.switch import raiser


@contextmanager
def raising_log(where: str) -> Iterator[None]:
    """Have what the package logs raise, in a handler or in its filter."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise_error()

    class Filter(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            return bool(raise_error())

    raise_error = raiser(OSError)
    handler = Handler()
    if where == "filter":
        handler.addFilter(Filter())
    logger = logging.getLogger("lnmailbox")
    before = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
