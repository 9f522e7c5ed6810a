"""Small checks of the codec: each returns its argument, or what it says, or raises ``ValueError``."""

from typing import Any

import numpy as np

__all__ = ["dtype_of", "list_of", "native", "text_of"]


def native(array: np.ndarray) -> np.ndarray:
    """A plain copy in memory, in the machine's order of bytes."""
    return np.array(array, dtype=array.dtype.newbyteorder("="), order="C", subok=False)


def text_of(value: str, name: str) -> str:
    """The string; ``ValueError`` for half of a surrogate pair, which no file can hold as text."""
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError(f"{name} holds a string that is no Unicode text: {value!r:.80}")
    return value


def list_of(value: Any, name: str) -> list[Any]:
    if type(value) is not list:
        raise ValueError(f"{name} is no list")
    return value


def dtype_of(text: Any, name: str) -> np.dtype:
    # Not any text: numpy reads "i4,i4" and much else as a dtype.
    plain = text[1:] if isinstance(text, str) and text[:1] in "<>|=" else ""
    if not (plain in ("O", "b1") or (plain[:1] in ("U", "i", "u", "f") and plain[1:].isdecimal() and len(plain) < 9)):
        raise ValueError(f"{name} has an unknown dtype")
    try:
        return np.dtype(text)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} has an unknown dtype") from error
