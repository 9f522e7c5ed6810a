"""Where a warning should point."""

import inspect

__all__ = ["caller_level"]

_OURS = ("sklstm.", "skorch.", "sklearn.callback.", "contextlib")


def caller_level() -> int:
    """``stacklevel`` at which a warning, raised by who calls this, names the line outside the package."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_OURS):
        frame, level = frame.f_back, level + 1
    return level
