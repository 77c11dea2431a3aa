"""Messages of libraries, in the form of our own."""

import logging

from core.logs import get_logger

__all__ = ["JsonHandler"]


class JsonHandler(logging.Handler):
    """Writes what Python's logging brings as lines of `core.logs`."""

    def emit(self, record: logging.LogRecord) -> None:
        log = get_logger("api")
        write = log.error if record.levelno >= logging.ERROR else log.warning
        fields = {"trace": logging.Formatter().formatException(record.exc_info)} if record.exc_info else {}
        write("library_message", library=record.name, message=record.getMessage(), **fields)
