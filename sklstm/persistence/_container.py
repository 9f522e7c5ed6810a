"""One file: arrays as tensors of a safetensors file, the rest as JSON in its metadata, and a digest of both.

Fitted models and training states are both saved in this format. Reading takes time and memory in proportion to the size
of any file. Each limit below is there because some file would otherwise take more.
"""

import hashlib
import json
import math
import os
import re
import stat
import struct
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np

from ._atomic import as_path

#: Version of the files that are written, and the newest that can be read.
FORMAT_VERSION = (1, 0)

#: Types of arrays: safetensors' names, and numpy's.
DTYPES = {
    "BOOL": "bool", "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64", "U8": "uint8", "U16": "uint16",
    "U32": "uint32", "U64": "uint64", "F16": "float16", "F32": "float32", "F64": "float64",
}  # fmt: skip

_FORMAT = "sklstm"
_KEYS = {"format", "format_version", "package_version", "document", "sha256"}
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_LARGEST_HEADER = 1 << 24
_LARGEST_FILE = 1 << 32
_LONGEST_REASON = 1000  # characters; content of a file may be quoted in it
_DEEPEST = 64
# Values in one JSON text. A value takes two characters at least, and up to some hundred bytes of memory.
_MOST_VALUES = 500_000
_LONGEST_NUMBER = 40  # characters; Python writes 25 at most
# A string, up to its end or that of the text: an open string must not be searched again from every quote inside it.
# Possessive: otherwise the matcher remembers every step through a long string, at a hundred bytes each.
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKETS = re.compile(r"[\[\]{}]")


class ModelFileError(ValueError):
    """The file is no saved model, or cannot be read here; the message names the file and the reason.

    Parameters
    ----------
    path : str or PathLike
        Path of the file.
    reason : object
        What is wrong with the file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import sklstm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "notes.txt"
    ...     _ = path.write_text("milk")
    ...     try:
    ...         sklstm.load(path)
    ...     except sklstm.ModelFileError as error:
    ...         print(str(error).removeprefix(f"{path} "))
    is not a model that can be loaded: it is too short.
    """

    def __init__(self, path: Any, reason: object):
        self.reason = f"{reason!s:.{_LONGEST_REASON}}"
        super().__init__(path, self.reason)  # both arguments, so that it can be pickled

    def __str__(self) -> str:
        return f"{self.args[0]} is not a model that can be loaded: {self.reason}."


def to_bytes(document: Mapping[str, Any]) -> bytes:
    """The content of a file for encoded values.

    Parameters
    ----------
    document : mapping
        Values as `Codec.encode` returns them.

    Returns
    -------
    bytes
        Equal values give equal bytes.

    Raises
    ------
    ValueError
        If the values are more than one file may hold.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.persistence._codec import Codec
    >>> from sklstm.persistence._container import from_bytes, to_bytes
    >>> document = {"weights": Codec({}).encode(np.arange(3.0), "weights")}
    >>> content = to_bytes(document)
    >>> content == to_bytes(document)
    True
    >>> from_bytes(content)["weights"]["values"]
    array([0., 1., 2.])
    """
    arrays: dict[str, np.ndarray] = {}
    text = compact(_without_arrays(dict(document), None, arrays))
    _check_size(text, name="the document")
    metadata = {
        "format": _FORMAT,
        "format_version": "{}.{}".format(*FORMAT_VERSION),
        "package_version": version("sklstm"),
        "document": text,
    }
    metadata["sha256"] = digest(metadata, arrays)
    header: dict[str, Any] = {"__metadata__": {key: metadata[key] for key in sorted(metadata)}}
    parts, place = [], 0
    for name in sorted(arrays, key=lambda name: (-arrays[name].itemsize, name)):  # so that each is aligned
        array = arrays[name]
        end = place + array.nbytes
        header[name] = {"data_offsets": [place, end], "dtype": _NAMES[array.dtype.name], "shape": list(array.shape)}
        parts.append(_bytes_of(array))
        place = end
    start = compact(header)
    start += " " * (-len(start) % 8)
    _check_size(start, name="the list of arrays")
    return b"".join([struct.pack("<Q", len(start)), start.encode(), *parts])


def read_document(path: Any) -> dict[str, Any]:
    """The values in a file made by `to_bytes`; no code in it is executed.

    Parameters
    ----------
    path : str or PathLike

    Returns
    -------
    dict
        Values whose arrays are read-only views of the file's bytes.

    Raises
    ------
    ModelFileError
        If the file is not in this format, is damaged, or was written by a newer version.
    TypeError
        If the path is neither a str nor a PathLike of one.
    OSError
        As raised by reading, for instance ``FileNotFoundError``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklstm.persistence._atomic import write_atomically
    >>> from sklstm.persistence._container import read_document, to_bytes
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "numbers"
    ...     write_atomically(path, to_bytes({"one": 1, "half": 0.5}))
    ...     read_document(path)
    {'one': 1, 'half': 0.5}
    """
    plain = as_path(path)
    status = os.stat(plain)
    if not stat.S_ISREG(status.st_mode):
        raise ModelFileError(plain, "it is no regular file")
    if status.st_size > _LARGEST_FILE:
        raise ModelFileError(plain, f"it is larger than {_LARGEST_FILE} bytes")
    try:
        with open(plain, "rb") as file:
            _header_size(file.read(8), status.st_size)  # before a large file is read in vain
            file.seek(0)
            content = file.read(status.st_size + 1)
        return from_bytes(content)
    except ValueError as error:
        raise ModelFileError(plain, error) from error


def from_bytes(content: bytes) -> dict[str, Any]:
    """Inverse of `to_bytes`.

    Parameters
    ----------
    content : bytes
        Content of a file.

    Returns
    -------
    dict
        Values whose arrays are read-only views of the content.

    Raises
    ------
    ValueError
        If the content is invalid.

    Examples
    --------
    >>> from sklstm.persistence._container import from_bytes, to_bytes
    >>> content = to_bytes({"one": 1})
    >>> from_bytes(content)
    {'one': 1}
    >>> from_bytes(content.replace(b"one", b"two"))
    Traceback (most recent call last):
        ...
    ValueError: it is damaged: its contents do not have the digest that was saved with them
    """
    header, start = _header(content)
    metadata = header.pop("__metadata__", None)
    if type(metadata) is not dict or metadata.get("format") != _FORMAT:
        raise ValueError("it is a safetensors file, but not of this package")
    _check_version(metadata)
    if set(metadata) != _KEYS or not all(type(value) is str for value in metadata.values()):
        raise ValueError(f"its metadata must be the strings {sorted(_KEYS)}")
    arrays = arrays_of(header, memoryview(content)[start:])
    if digest(metadata, arrays) != metadata["sha256"]:
        raise ValueError("it is damaged: its contents do not have the digest that was saved with them")
    document = parse(metadata["document"], name="the document in it")
    if type(document) is not dict:
        raise ValueError("the document in it is no object")
    document = _with_arrays(document, arrays)
    if arrays:
        raise ValueError(f"nothing in it refers to the tensor {_quoted(next(iter(arrays)))}")
    return document


def digest(metadata: Mapping[str, str], arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the versions, the document, and name, dtype, shape and bytes of every array in the order of names."""
    total = hashlib.sha256()

    def add(part: Any) -> None:
        total.update(struct.pack("<Q", len(part)))
        total.update(part)

    for key in ("format_version", "package_version", "document"):
        add(metadata[key].encode("utf-8", "surrogatepass"))
    for name in sorted(arrays):
        add(f"{name}|{arrays[name].dtype.name}|{arrays[name].shape}".encode("utf-8", "surrogatepass"))
        add(_bytes_of(arrays[name]))
    return total.hexdigest()


def compact(value: Any) -> str:
    """JSON text of plain values, ASCII, without spaces; ``ValueError`` for NaN and infinity."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=True)


def parse(text: str, *, name: str) -> Any:
    """Values of a JSON text.

    Parameters
    ----------
    text : str
    name : str
        What the text is, for messages.

    Returns
    -------
    dict, list, str, int, float, bool or None

    Raises
    ------
    ValueError
        If it is no JSON, is nested deeper than 64, holds more than 500,000 values, or has a name twice in one object.
        Also for a number that is no 64-bit integer or float64, for NaN and for infinity.
    """
    _check_size(text, name=name)
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} is no JSON: {error}") from error
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _check_size(text: str, *, name: str) -> None:
    if len(text) > _LARGEST_HEADER:
        raise ValueError(f"{name} is longer than {_LARGEST_HEADER} characters")
    bare = _STRING.sub('""', text)
    if bare.count(",") + bare.count("[") + bare.count("{") > _MOST_VALUES:
        raise ValueError(f"{name} holds more than {_MOST_VALUES} values")
    depth = 0
    for bracket in _BRACKETS.finditer(bare):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > _DEEPEST:
            raise ValueError(f"{name} is nested deeper than {_DEEPEST}")
        if depth < 0:
            raise ValueError(f"{name} is no JSON: it closes more brackets than it opens")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name occurs twice in one object")
    return values


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        raise ValueError(f"{digits:.24} is no 64-bit integer")
    return int(digits)


def _float(digits: str) -> float:
    if len(digits) > _LONGEST_NUMBER or not math.isfinite(value := float(digits)):
        raise ValueError(f"{digits:.24} is no float64")
    return value


def _constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _header_size(start: bytes, file_size: int) -> int:
    """Size of the header, from the first 8 bytes of a file."""
    if len(start) < 8:
        raise ValueError("it is too short")
    (size,) = struct.unpack("<Q", start)
    if size > min(_LARGEST_HEADER, file_size - 8):
        if start[:1] == b"\x80":  # how pickles begin, also those of joblib
            raise ValueError("it looks like a pickle; joblib.load reads pickles, but executes code in them")
        raise ValueError(f"its header claims {size} bytes, more than there are or may be")
    return int(size)


def _header(content: bytes) -> tuple[dict[str, Any], int]:
    size = _header_size(content[:8], len(content))
    try:
        text = content[8 : 8 + size].decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("its header is no text") from error
    header = parse(text, name="its header")
    if type(header) is not dict:
        raise ValueError("its header is no object")
    return header, 8 + size


def _check_version(metadata: dict[str, Any]) -> None:
    text = metadata.get("format_version")
    numbers = text.split(".", 2) if type(text) is str else []
    if len(numbers) != 2 or not all(part.isascii() and part.isdecimal() and len(part) < 9 for part in numbers):
        raise ValueError("its format has no version")
    found = (int(numbers[0]), int(numbers[1]))
    if found > FORMAT_VERSION:
        known = "{}.{}".format(*FORMAT_VERSION)
        raise ValueError(
            f"it was saved by a newer version (format {text}); this one reads up to {known}. Update sklstm"
        )
    if found < (1, 0):
        raise ValueError(f"there is no format {text}")


def arrays_of(header: dict[str, Any], data: memoryview) -> dict[str, np.ndarray]:
    """Read-only views of the tensors that a header lists; they must cover the data without gap or overlap."""
    pieces = []
    for name, entry in header.items():
        if type(entry) is not dict or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise ValueError(f"the tensor {_quoted(name)} is not described by dtype, shape and data_offsets")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in DTYPES:
            raise ValueError(f"the tensor {_quoted(name)} has an unknown dtype")
        if not (_sizes(shape, at_most=8) and _sizes(offsets, at_most=2) and len(offsets) == 2):
            raise ValueError(f"the tensor {_quoted(name)} has no shape or no place")
        begin, end = offsets
        if not begin <= end <= len(data) or end - begin != math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize:
            raise ValueError(f"the tensor {_quoted(name)} does not have the size of its shape and dtype")
        pieces.append((begin, end, name, np.dtype(DTYPES[dtype]).newbyteorder("<"), shape))
    arrays, place = {}, 0
    for begin, end, name, dtype, shape in sorted(pieces, key=lambda piece: piece[:3]):
        if begin != place:
            raise ValueError("its tensors overlap, or leave a gap")
        arrays[name] = np.frombuffer(data[begin:end], dtype=dtype).reshape(shape)
        if dtype.kind == "b" and (arrays[name].view(np.uint8) > 1).any():
            raise ValueError(f"the tensor {_quoted(name)} holds more than true and false")
        place = end
    if place != len(data):
        raise ValueError(f"{len(data) - place} bytes follow its tensors")
    return arrays


def _sizes(value: Any, *, at_most: int) -> bool:
    return type(value) is list and len(value) <= at_most and all(type(size) is int and size >= 0 for size in value)


def _quoted(name: str) -> str:
    """Text from a file, short enough for a message."""
    return repr(name[:80])


def _bytes_of(array: np.ndarray) -> memoryview:
    """The bytes of an array in little-endian order; a view if they already are."""
    little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
    return little.reshape(-1).view(np.uint8).data


# A position in a document: that of its container, and its key or number there.
_Path = tuple[Any, Any] | None


def _without_arrays(value: Any, path: _Path, arrays: dict[str, np.ndarray]) -> Any:
    """The values with names instead of arrays, which are added to ``arrays``."""
    if type(value) is np.ndarray:
        name = _name_of(path)
        while name in arrays:
            name += "'"
        arrays[name] = value
        return name
    if type(value) is list:
        return [_without_arrays(entry, (path, i), arrays) for i, entry in enumerate(value)]
    if type(value) is not dict:
        return value
    if value.get("kind") == "dict":
        items = [[key, _without_arrays(entry, (path, key), arrays)] for key, entry in value["items"]]
        return {"kind": "dict", "items": items}
    # The codec's own keys inside a value are left out of the name.
    inside = "kind" in value
    return {key: _without_arrays(entry, path if inside else (path, key), arrays) for key, entry in value.items()}


def _name_of(path: _Path) -> str:
    steps: list[str] = []
    while path is not None:
        path, step = path
        steps.append(str(step))
    return ".".join(reversed(steps))


def _with_arrays(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Inverse of `_without_arrays`, in place; removes every used array from ``arrays``."""
    if type(value) is dict and "kind" in value and "values" in value:
        name = value["values"]
        if type(name) is not str or name not in arrays:
            quoted = _quoted(name) if type(name) is str else f"of type {type(name).__name__}"
            raise ValueError(f"its document refers to a tensor that is not there or is taken already: {quoted}")
        value["values"] = arrays.pop(name)
    elif type(value) in (dict, list):
        for entry in value.values() if type(value) is dict else value:
            _with_arrays(entry, arrays)
    return value
