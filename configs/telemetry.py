"""Log lines: one JSON object each, from our packages only, with nothing in them that is secret or endless.

`begin` is called once per process, before anything is logged. It knows no request; a request's content is never logged.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from configs.redact import redact

PACKAGES = ("agent", "api", "configs", "finetune", "manta", "models", "retrieval", "serving")
LONGEST = 4096
"""Characters of one value; the rest is cut."""


def begin(level: str, stream: TextIO | None = None) -> None:
    """Write what our packages log, from `level` on (`debug`, `info`, `warning`, `error`), to `stream` (stderr)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_formatter())
    for name in PACKAGES:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(level.upper())


def _formatter() -> structlog.stdlib.ProcessorFormatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _safe,
            structlog.processors.JSONRenderer(),
        ],
    )


def _safe(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401  structlog's
    """The sink's own guard: no secret by its name, no password in an address, no value without end."""
    return {key: redact(key, str(value))[:LONGEST] for key, value in event.items()}
