"""One model in one safetensors file: arrays as tensors, the rest as JSON in the metadata, and a digest of both."""

import hashlib
import math
import os
import stat
import struct
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
from safetensors.numpy import save

from ._atomic import as_path
from ._json import compact, parse

__all__ = ["FORMAT_VERSION", "ModelFileError", "digest", "from_bytes", "read_document", "to_bytes"]

#: Of the files that are written, and the newest that can be read.
FORMAT_VERSION = (1, 0)

_FORMAT = "sklstm"
_KEYS = {"format", "format_version", "package_version", "document", "sha256"}
_LARGEST_HEADER = 1 << 24
_LARGEST_FILE = 1 << 32
_DTYPES = {
    "BOOL": "bool", "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64", "U8": "uint8", "U16": "uint16",
    "U32": "uint32", "U64": "uint64", "F16": "float16", "F32": "float32", "F64": "float64",
}  # fmt: skip


class ModelFileError(ValueError):
    """A file that is no saved model, or not one that can be read here; the message names the file and the reason.

    Parameters
    ----------
    path : str or PathLike
        Of the file.
    reason : object
        What is wrong with it.

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
        super().__init__(f"{path} is not a model that can be loaded: {reason}.")


def to_bytes(document: Mapping[str, Any]) -> bytes:
    """A file's content for encoded values.

    Parameters
    ----------
    document : mapping
        Values as `Codec.encode` returns them.

    Returns
    -------
    bytes
        The same for the same values.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.persistence import Codec, from_bytes, to_bytes
    >>> document = {"weights": Codec({}).encode(np.arange(3.0), "weights")}
    >>> content = to_bytes(document)
    >>> content == to_bytes(document)
    True
    >>> from_bytes(content)["weights"]["values"]
    array([0., 1., 2.])
    """
    arrays: dict[str, np.ndarray] = {}
    text = compact(_without_arrays(dict(document), "", arrays))
    metadata = {
        "format": _FORMAT,
        "format_version": "{}.{}".format(*FORMAT_VERSION),
        "package_version": version("sklstm"),
        "document": text,
    }
    content = save(arrays, metadata=metadata | {"sha256": digest(metadata, arrays)})
    # safetensors puts the metadata in an order of chance; equal models shall be equal files.
    header, start = _header(content)
    ordered = compact({name: _sorted(header[name]) for name in sorted(header)}).encode()
    padding = b" " * (-len(ordered) % 8)  # tensors stay aligned
    return struct.pack("<Q", len(ordered) + len(padding)) + ordered + padding + content[start:]


def read_document(path: Any) -> dict[str, Any]:
    """The values in a file made of `to_bytes`; nothing in it is executed, whatever it holds.

    Parameters
    ----------
    path : str or PathLike

    Returns
    -------
    dict
        Its arrays are read-only views of the file's bytes.

    Raises
    ------
    ModelFileError
        If the file is no saved model, is damaged, or was written by a newer version.
    TypeError
        If the path is neither a str nor a PathLike of one.
    OSError
        As reading raises it, ``FileNotFoundError`` for instance.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklstm.persistence import read_document, to_bytes, write_atomically
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
            start = file.read(8)
            _header_size(start, status.st_size)  # before a large file is read for nothing
            content = start + file.read(status.st_size - 7)
        return from_bytes(content)
    except ValueError as error:
        raise ModelFileError(plain, error) from error


def from_bytes(content: bytes) -> dict[str, Any]:
    """Inverse of `to_bytes`.

    Parameters
    ----------
    content : bytes
        Of a file.

    Returns
    -------
    dict
        Its arrays are read-only views of the content.

    Raises
    ------
    ValueError
        If there is anything wrong with the content.

    Examples
    --------
    >>> from sklstm.persistence import from_bytes, to_bytes
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
    arrays = _arrays(header, memoryview(content)[start:])
    if digest(metadata, arrays) != metadata["sha256"]:
        raise ValueError("it is damaged: its contents do not have the digest that was saved with them")
    document = parse(metadata["document"], name="the document in it")
    if type(document) is not dict:
        raise ValueError("the document in it is no object")
    document = _with_arrays(document, arrays)
    if arrays:
        raise ValueError(f"nothing in it refers to the tensor {next(iter(arrays))!r:.80}")
    return document


def _header_size(start: bytes, file_size: int) -> int:
    """Size of the header by the first 8 bytes of a file."""
    if len(start) < 8:
        raise ValueError("it is too short")
    (size,) = struct.unpack("<Q", start)
    if size > min(_LARGEST_HEADER, file_size - 8):
        if start[:1] == b"\x80":  # how pickles begin, those of joblib among them
            raise ValueError("it looks like a pickle; joblib.load reads those, which executes what they say")
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
    numbers = text.split(".") if type(text) is str else []
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


def _arrays(header: dict[str, Any], data: memoryview) -> dict[str, np.ndarray]:
    """Read-only views; the tensors must cover the data without gap or overlap."""
    pieces = []
    for name, entry in header.items():
        if type(entry) is not dict or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise ValueError(f"the tensor {name!r:.80} is not described by dtype, shape and data_offsets")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in _DTYPES:
            raise ValueError(f"the tensor {name!r:.80} has an unknown dtype")
        if not (_sizes(shape) and len(shape) <= 8 and _sizes(offsets) and len(offsets) == 2):
            raise ValueError(f"the tensor {name!r:.80} has no shape or no place")
        begin, end = offsets
        if not begin <= end <= len(data) or end - begin != math.prod(shape) * np.dtype(_DTYPES[dtype]).itemsize:
            raise ValueError(f"the tensor {name!r:.80} does not have the size of its shape and dtype")
        pieces.append((begin, end, name, np.dtype(_DTYPES[dtype]).newbyteorder("<"), shape))
    arrays, place = {}, 0
    for begin, end, name, dtype, shape in sorted(pieces, key=lambda piece: piece[:3]):
        if begin != place:
            raise ValueError("its tensors overlap, or leave a gap")
        arrays[name] = np.frombuffer(data[begin:end], dtype=dtype).reshape(shape)
        if dtype.kind == "b" and (arrays[name].view(np.uint8) > 1).any():
            raise ValueError(f"the tensor {name!r:.80} holds more than true and false")
        place = end
    if place != len(data):
        raise ValueError(f"{len(data) - place} bytes follow its tensors")
    return arrays


def _sizes(value: Any) -> bool:
    return type(value) is list and all(type(size) is int and size >= 0 for size in value)


def digest(metadata: Mapping[str, str], arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the versions, the document, and name, dtype, shape and bytes of every array in the order of names."""
    total = hashlib.sha256()

    def add(part: bytes) -> None:
        total.update(struct.pack("<Q", len(part)))
        total.update(part)

    for key in ("format_version", "package_version", "document"):
        add(metadata[key].encode())
    for name in sorted(arrays):
        add(f"{name}|{arrays[name].dtype.name}|{arrays[name].shape}".encode())
        add(_little(arrays[name]))
    return total.hexdigest()


def _sorted(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: entry[key] for key in sorted(entry)}


def _little(array: np.ndarray) -> bytes:
    return array.astype(array.dtype.newbyteorder("<"), order="C", copy=False).tobytes()


def _without_arrays(value: Any, path: str, arrays: dict[str, np.ndarray]) -> Any:
    """The values with names in the places of arrays, which are added to ``arrays``."""
    if type(value) is np.ndarray:
        name = path
        while name in arrays:
            name += "'"
        arrays[name] = value
        return name
    if type(value) is list:
        return [_without_arrays(entry, f"{path}.{i}".lstrip("."), arrays) for i, entry in enumerate(value)]
    if type(value) is not dict:
        return value
    if value.get("kind") == "dict":
        items = [[key, _without_arrays(entry, f"{path}.{key}".lstrip("."), arrays)] for key, entry in value["items"]]
        return {"kind": "dict", "items": items}
    return {key: _without_arrays(entry, _below(path, value, key), arrays) for key, entry in value.items()}


def _below(path: str, parent: Mapping[str, Any], key: str) -> str:
    """Path of an entry: the codec's own words for the inside of a value are left out."""
    return path if "kind" in parent else f"{path}.{key}".lstrip(".")


def _with_arrays(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Inverse of `_without_arrays`; takes every array that is referred to out of ``arrays``."""
    if type(value) is list:
        return [_with_arrays(entry, arrays) for entry in value]
    if type(value) is not dict:
        return value
    if "kind" in value and "values" in value:
        name = value["values"]
        if type(name) is not str or name not in arrays:
            raise ValueError(f"its document refers to a tensor that is not there or is taken already: {name!r:.80}")
        return {key: arrays.pop(name) if key == "values" else entry for key, entry in value.items()}
    return {key: _with_arrays(entry, arrays) for key, entry in value.items()}
