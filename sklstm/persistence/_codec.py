"""Converts values of a fitted estimator to plain ones and back: a fixed list of types, nothing else by name.

Plain values are those of JSON, with finite numbers only, and numeric arrays. Every other value is a dict whose
``"kind"`` says what it stands for. A plain dict therefore never stands for itself.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ._container import DTYPES

ARRAY_DTYPES = frozenset(DTYPES.values())
_TENSOR_DTYPES = ARRAY_DTYPES - {"uint16", "uint32", "uint64"}
# From this length on a list of numbers is an array: a loss curve as text would take twice the space and much more
# memory.
_LONG = 16
_SCALARS = (str, int, float, bool, np.generic)
_ARRAYS = (np.ndarray, np.memmap)  # joblib turns the one into the other; masked arrays would lose their masks
# numpy gives every string of an array the space of the longest: this many bytes in all, and this many per character.
_LARGEST_WASTE, _ROOM_FOR_A_CHARACTER = 1 << 20, 64
# Their hashes are not random: a file could choose keys that are each compared with all earlier ones.
_MOST_NUMBERS_AS_KEYS = 1 << 14
_MOST_OF_ONE_HASH = 100
_DEEPEST = 100  # containers inside one another; the limit for a file is smaller
_LONGEST_STEP = 40
_NUMBERS = {bool: "bool", int: "int64", float: "float64"}


def check_keys(keys: Sequence[Any], name: object) -> None:
    """``ValueError`` if keys could make a dict or set slow: too many numbers, or many with one hash."""
    n_numbers = sum(not isinstance(key, str) for key in keys)
    if n_numbers > _MOST_NUMBERS_AS_KEYS:
        raise ValueError(f"{name} has more than {_MOST_NUMBERS_AS_KEYS} numbers as keys")
    if n_numbers > _MOST_OF_ONE_HASH and len(set(map(hash, keys))) < len(keys) - _MOST_OF_ONE_HASH:
        raise ValueError(f"{name} has keys that were chosen to be slow")


class Place:
    """Position of a value, for messages: built only when one is raised, with long keys cut short.

    Parameters
    ----------
    parent : Place or str
        Position of the value's container.
    step : object
        Key or number of the value in its container.
    template : str
        How the two are joined.

    Examples
    --------
    >>> from sklstm.persistence._codec import Place
    >>> str(Place(Place("state", "weights"), 3))
    "state['weights'][3]"
    """

    __slots__ = ("depth", "parent", "step", "template")

    def __init__(self, parent: "Place | str", step: Any, template: str = "{}[{}]"):
        self.parent, self.step, self.template = parent, step, template
        self.depth: int = parent.depth + 1 if type(parent) is Place else 1

    def __str__(self) -> str:
        step = self.step if self.template == _FIELD else repr(self.step)
        cut = step if len(step) <= _LONGEST_STEP else f"{step[: _LONGEST_STEP - 3]}..."
        return self.template.format(self.parent, cut)


_FIELD, _KEY = "{}.{}", "a key of {}"
# A whole value has a name, a part of it a position.
_Name = Place | str


class Form(Protocol):
    """How objects of one class are taken apart and put together again.

    Examples
    --------
    >>> from sklstm.persistence._codec import Codec
    >>> class ComplexForm:
    ...     kind = complex
    ...
    ...     def fields(self, value):
    ...         return {"re": value.real, "im": value.imag}
    ...
    ...     def build(self, fields):
    ...         return complex(fields["re"], fields["im"])
    >>> form = ComplexForm()
    >>> form.build(form.fields(1 + 2j))
    (1+2j)
    >>> codec = Codec({"complex": form})
    >>> codec.decode(codec.encode([1j], "roots"), "roots")
    [1j]
    """

    @property
    def kind(self) -> type:
        """The class; subclasses are other classes."""

    def fields(self, value: Any) -> dict[str, Any]:
        """Parts of an object.

        Parameters
        ----------
        value : object
            An object of the class `kind`.

        Returns
        -------
        dict
            Parts of types that the codec knows.
        """

    def build(self, fields: dict[str, Any]) -> Any:
        """The object made of these parts.

        Parameters
        ----------
        fields : dict
            As `fields` returns them.

        Returns
        -------
        object

        Raises
        ------
        ValueError, TypeError
            If the parts are not valid.
        """


class Codec:
    """Encodes and decodes values of a fixed list of types.

    These are None, bool, int of 64 bits, float and str, and list, tuple and dict of these. Also numpy numbers, strings
    and arrays of numbers or labels; tensors and devices of torch; ``RandomState``; and the classes of ``forms``.

    Parameters
    ----------
    forms : mapping of str to Form
        Names of classes in encoded values, and their forms.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.persistence._codec import Codec
    >>> codec = Codec({})
    >>> codec.encode({"delta": 0.05, "sizes": (4, np.int64(8))}, "model")["kind"]
    'dict'
    >>> codec.decode(codec.encode((0.05, float("inf"), "a"), "model"), "model")
    (0.05, inf, 'a')
    >>> codec.encode(print, "callback")
    Traceback (most recent call last):
        ...
    TypeError: callback is a builtins.builtin_function_or_method, which cannot be saved.
    """

    def __init__(self, forms: Mapping[str, Form]):
        self.forms = dict(forms)
        self._names = {form.kind: name for name, form in self.forms.items()}

    def encode(self, value: Any, name: _Name) -> Any:
        """Plain values that stand for ``value``; their content is copied.

        Parameters
        ----------
        value : object
        name : str or Place
            Name of the value in messages.

        Returns
        -------
        object
            None, bool, int, str, finite float, list or dict of such, or a numeric array in such a dict.

        Raises
        ------
        TypeError
            If the value, or something in it, is of a type that is not on the list.
        ValueError
            If a string is no Unicode text, or containers are nested too deep.
        """
        kind = type(value)
        if type(name) is Place and name.depth > _DEEPEST:
            raise ValueError(f"{name.parent!s:.200}... is nested too deep to be saved")
        if kind is str:
            return text_of(value, name)
        if value is None or kind is bool:
            return value
        if kind is int and -(2**63) <= value < 2**63:
            return value
        if kind is float:
            return value if math.isfinite(value) else {"kind": "float", "value": str(value)}
        if kind is list:
            return self._encode_list(value, name)
        if kind is tuple:
            return {"kind": "tuple", "items": self._encode_each(value, name)}
        strange = [key for key in value if not isinstance(key, _SCALARS)] if kind is dict else []
        if kind is dict and not strange:
            key_of = Place(name, "", _KEY)
            pairs = [[self.encode(k, key_of), self.encode(v, Place(name, k))] for k, v in value.items()]
            return {"kind": "dict", "items": pairs}
        if isinstance(value, np.generic) and (value.dtype.name in ARRAY_DTYPES or value.dtype.kind == "U"):
            return {"kind": "scalar", "dtype": value.dtype.str, "value": self.encode(value.item(), name)}
        if kind in _ARRAYS and value.dtype.name in ARRAY_DTYPES:
            return {"kind": "array", "values": native(value)}
        if kind in _ARRAYS and value.dtype.kind in "UO":
            items = self._encode_each(value.ravel().tolist(), name)
            return {"kind": "labels", "dtype": value.dtype.str, "shape": list(value.shape), "items": items}
        if kind in (Tensor, torch.nn.Parameter):
            values = value.detach().cpu().resolve_neg().contiguous()
            if str(values.dtype).removeprefix("torch.") in _TENSOR_DTYPES:
                return {"kind": "tensor", "values": values.numpy().copy()}
        if kind is torch.device:
            return {"kind": "device", "name": str(value)}
        if kind is np.random.RandomState:
            return {"kind": "random_state", "state": self._encode_random_state(value, name)}
        if kind in self._names:
            form_name = self._names[kind]
            parts = self.forms[form_name].fields(value)
            fields = {part: self.encode(entry, Place(name, part, _FIELD)) for part, entry in parts.items()}
            return {"kind": "object", "class": form_name, "fields": fields}
        if strange:
            raise TypeError(f"{name} has the key {strange[0]!r}; only numbers and strings can be saved as keys.")
        detail = f" of dtype {value.dtype}" if hasattr(value, "dtype") else " beyond 64 bits" if kind is int else ""
        raise TypeError(f"{name} is a {kind.__module__}.{kind.__qualname__}{detail}, which cannot be saved.")

    def decode(self, plain: Any, name: _Name) -> Any:
        """Inverse of `encode`.

        Parameters
        ----------
        plain : object
        name : str or Place
            Name of the value in messages.

        Returns
        -------
        object

        Raises
        ------
        ValueError
            If `encode` cannot have returned it. An object is built from checked parts only.
        """
        if type(plain) is str:
            return text_of(plain, name)
        if plain is None or type(plain) in (bool, int, float):
            return plain
        if type(plain) is list:
            return [self.decode(entry, Place(name, i)) for i, entry in enumerate(plain)]
        kind = plain.get("kind") if type(plain) is dict else None
        reader = self._READERS.get(kind) if isinstance(kind, str) else None
        if reader is None:
            raise ValueError(f"{name} is nothing that a model holds")
        keys, read = reader
        if set(plain) != {"kind", *keys}:
            raise ValueError(f"{name} needs the entries {sorted(keys)} and no others")
        return read(self, *(plain[key] for key in keys), name)

    def _encode_each(self, values: Any, name: _Name) -> list[Any]:
        return [self.encode(entry, Place(name, i)) for i, entry in enumerate(values)]

    def _encode_list(self, value: list[Any], name: _Name) -> Any:
        kinds = {type(entry) for entry in value}
        if len(value) >= _LONG and len(kinds) == 1 and kinds <= set(_NUMBERS):
            with suppress(OverflowError):  # of an integer beyond 64 bits: below, the message says which
                return {"kind": "numbers", "values": np.array(value, dtype=_NUMBERS[kinds.pop()])}
        return self._encode_each(value, name)

    def _encode_random_state(self, value: np.random.RandomState, name: _Name) -> list[Any]:
        state = value.get_state(legacy=False)
        if state["bit_generator"] != "MT19937":
            raise TypeError(f"{name} is a RandomState on {state['bit_generator']}; only MT19937 can be saved.")
        inner = state["state"]
        entries = (inner["key"], int(inner["pos"]), int(state["has_gauss"]), float(state["gauss"]))
        return self._encode_each(entries, name)

    def _tuple(self, items: Any, name: _Name) -> tuple[Any, ...]:
        return tuple(self.decode(list_of(items, name), name))

    def _dict(self, items: Any, name: _Name) -> dict[Any, Any]:
        pairs = list_of(items, name)
        if any(type(pair) is not list or len(pair) != 2 for pair in pairs):
            raise ValueError(f"{name} is no list of pairs")
        keys = [self.decode(key, Place(name, "", _KEY)) for key, _ in pairs]
        if not all(isinstance(key, _SCALARS) for key in keys):
            raise ValueError(f"{name} has a key that is neither a number nor a string")
        check_keys(keys, name)
        values = {key: self.decode(value, Place(name, key)) for key, (_, value) in zip(keys, pairs, strict=True)}
        if len(values) != len(keys):
            raise ValueError(f"{name} has a key twice")
        return values

    def _float(self, value: Any, name: _Name) -> float:
        if value not in ("inf", "-inf", "nan"):
            raise ValueError(f"{name} is no number")
        return float(value)

    def _scalar(self, dtype: Any, value: Any, name: _Name) -> Any:
        entry = self.decode(value, name)
        kind = dtype_of(dtype, name)
        if kind.kind != "O" and type(entry) in ((str,) if kind.kind == "U" else (bool, int, float)):
            with suppress(OverflowError), np.errstate(all="ignore"):
                number = np.asarray(entry).astype(kind)[()]
                item = number.item()
                if type(item) is type(entry) and (item == entry or item != item):
                    return number
        raise ValueError(f"{name} is no {kind}")

    def _array(self, values: Any, name: _Name) -> np.ndarray:
        if type(values) not in _ARRAYS or values.dtype.name not in ARRAY_DTYPES:
            raise ValueError(f"{name} is no array of numbers")
        return native(values)  # a copy, since from a file it is a view

    def _numbers(self, values: Any, name: _Name) -> list[Any]:
        array = self._array(values, name)
        if array.ndim != 1 or array.dtype.name not in _NUMBERS.values():
            raise ValueError(f"{name} is no list of numbers")
        return array.tolist()

    def _labels(self, dtype: Any, shape: Any, items: Any, name: _Name) -> np.ndarray:
        entries, kind = self.decode(list_of(items, name), name), dtype_of(dtype, name)
        sizes = list_of(shape, name)
        if not all(type(size) is int and 0 <= size <= len(entries) for size in sizes) or len(sizes) > 8:
            raise ValueError(f"{name} is no array of {len(entries)} entries")
        if math.prod(sizes) != len(entries):
            raise ValueError(f"{name} is no array of {len(entries)} entries")
        texts = all(isinstance(entry, str) for entry in entries)
        if not (
            all(isinstance(entry, _SCALARS) for entry in entries) and (kind.kind == "O" or (kind.kind == "U" and texts))
        ):
            raise ValueError(f"{name} is no array of labels")
        n_characters = sum(len(entry) for entry in entries if isinstance(entry, str))
        if len(entries) * kind.itemsize > _LARGEST_WASTE + _ROOM_FOR_A_CHARACTER * (n_characters + len(entries)):
            raise ValueError(f"{name} would take far more memory than its labels need")
        array = np.empty(len(entries), dtype=kind)
        array[:] = entries
        return array.reshape(sizes)

    def _tensor(self, values: Any, name: _Name) -> Tensor:
        array = self._array(values, name)
        if array.dtype.name not in _TENSOR_DTYPES:
            raise ValueError(f"{name} is no tensor")
        # Cloned into torch's own memory: matrix kernels may round differently by alignment; see `as_tensor` of the
        # estimators.
        return torch.from_numpy(array).clone()

    def _device(self, device: Any, name: _Name) -> torch.device:
        if type(device) is not str:
            raise ValueError(f"{name} is no device")
        try:
            return torch.device(device)
        except RuntimeError as error:
            raise ValueError(f"{name} is no device") from error

    def _random_state(self, state: Any, name: _Name) -> np.random.RandomState:
        match self.decode(list_of(state, name), name):
            case [np.ndarray() as key, int(pos), 0 | 1 as has_gauss, float(gauss)]:
                if key.shape == (624,) and key.dtype == np.uint32 and 0 <= pos <= 624 and math.isfinite(gauss):
                    # Seeded with a number, then overwritten: without a seed it would ask the system for entropy.
                    random_state = np.random.RandomState(0)
                    random_state.set_state(("MT19937", key, pos, has_gauss, gauss))
                    return random_state
        raise ValueError(f"{name} is no state of a RandomState")

    def _object(self, form_name: Any, fields: Any, name: _Name) -> Any:
        form = self.forms.get(form_name) if isinstance(form_name, str) else None
        if form is None or type(fields) is not dict:
            raise ValueError(f"{name} is of a class that models do not hold: {form_name!r:.80}")
        parts = {part: self.decode(entry, Place(name, part, _FIELD)) for part, entry in fields.items()}
        try:
            return form.build(parts)
        except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, RuntimeError) as error:
            raise ValueError(f"{name} makes no {form_name}: {error}") from error

    _READERS: Mapping[str, tuple[tuple[str, ...], Callable[..., Any]]] = {
        "tuple": (("items",), _tuple),
        "dict": (("items",), _dict),
        "float": (("value",), _float),
        "scalar": (("dtype", "value"), _scalar),
        "array": (("values",), _array),
        "numbers": (("values",), _numbers),
        "labels": (("dtype", "shape", "items"), _labels),
        "tensor": (("values",), _tensor),
        "device": (("name",), _device),
        "random_state": (("state",), _random_state),
        "object": (("class", "fields"), _object),
    }


def native(array: np.ndarray) -> np.ndarray:
    """A plain copy in memory, in the byte order of the machine."""
    return np.array(array, dtype=array.dtype.newbyteorder("="), order="C", subok=False)


def text_of(value: str, name: _Name) -> str:
    """The string; ``ValueError`` for half of a surrogate pair, which no file can hold as text."""
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{name} holds a string that is no Unicode text: {value[:80]!r}") from error
    return value


def list_of(value: Any, name: _Name) -> list[Any]:
    """The value; ``ValueError`` if it is no list."""
    if type(value) is not list:
        raise ValueError(f"{name} is no list")
    return value


def dtype_of(text: Any, name: _Name) -> np.dtype:
    """The dtype of this name; ``ValueError`` if `Codec.encode` does not write it."""
    # A fixed list: numpy reads "i4,i4" and many other texts as a dtype.
    plain = text[1:] if isinstance(text, str) and text[:1] in "<>|=" else ""
    if not (plain in ("O", "b1") or (plain[:1] in ("U", "i", "u", "f") and plain[1:].isdecimal() and len(plain) < 9)):
        raise ValueError(f"{name} has an unknown dtype")
    try:
        return np.dtype(text)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} has an unknown dtype") from error
