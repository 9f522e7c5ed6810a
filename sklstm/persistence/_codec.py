"""Between the values of a fitted estimator and plain ones: a closed list of types, and nothing by name from outside it.

Plain is what JSON has, finite numbers only, and numeric arrays. Everything else is a dict whose ``"kind"`` says what it
stands for; a plain dict therefore never stands for itself.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ._parts import dtype_of, list_of, native, text_of

__all__ = ["ARRAY_DTYPES", "Codec", "Form"]

#: What an array may hold; the names are numpy's.
ARRAY_DTYPES = frozenset(
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64".split()  # noqa: SIM905
)
_TENSOR_DTYPES = ARRAY_DTYPES - {"uint16", "uint32", "uint64"}
# From here on a list of numbers is an array: a loss curve in text would take twice the room and much more memory.
_LONG = 16
_SCALARS = (str, int, float, bool, np.generic)
_ARRAYS = (np.ndarray, np.memmap)  # joblib makes the one into the other; masked arrays would lose their masks
_LARGEST_WASTE = 1 << 20
_NUMBERS = {bool: "bool", int: "int64", float: "float64"}


class Form(Protocol):
    """How objects of one class are taken apart and put together again.

    Examples
    --------
    >>> from sklstm.persistence import Codec
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
            Of the class `kind`.

        Returns
        -------
        dict
            Of types that the codec knows.
        """

    def build(self, fields: dict[str, Any]) -> Any:
        """The object of these parts.

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
            If the parts do not make one.
        """


class Codec:
    """Encodes and decodes values of a closed list of types.

    None, bool, int of 64 bits, float, str, list, tuple and dict of such; numpy numbers, strings and arrays of numbers
    or labels; tensors and devices of torch; ``RandomState``; and the classes of ``forms``.

    Parameters
    ----------
    forms : mapping of str to Form
        Names of classes in encoded values, and their forms.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.persistence import Codec
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

    def encode(self, value: Any, name: str) -> Any:
        """Plain values that stand for ``value``; what they hold is copied.

        Parameters
        ----------
        value : object
        name : str
            What it is called, for messages.

        Returns
        -------
        object
            None, bool, int, str, finite float, list or dict of such, or a numeric array in such a dict.

        Raises
        ------
        TypeError
            If the value, or something in it, is of a type that is not on the list.
        ValueError
            If a string is no Unicode text.
        """
        kind = type(value)
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
        if kind is dict:
            if strange := [key for key in value if not isinstance(key, _SCALARS)]:
                raise TypeError(f"{name} has the key {strange[0]!r}; only numbers and strings can be saved as keys.")
            pairs = [[self.encode(k, f"a key of {name}"), self.encode(v, f"{name}[{k!r}]")] for k, v in value.items()]
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
            fields = {part: self.encode(entry, f"{name}.{part}") for part, entry in parts.items()}
            return {"kind": "object", "class": form_name, "fields": fields}
        detail = f" of dtype {value.dtype}" if hasattr(value, "dtype") else " beyond 64 bits" if kind is int else ""
        raise TypeError(f"{name} is a {kind.__module__}.{kind.__qualname__}{detail}, which cannot be saved.")

    def decode(self, plain: Any, name: str) -> Any:
        """Inverse of `encode`.

        Parameters
        ----------
        plain : object
        name : str
            What it is called, for messages.

        Returns
        -------
        object

        Raises
        ------
        ValueError
            If it is nothing that `encode` returns. An object is built of checked parts only.
        """
        if type(plain) is str:
            return text_of(plain, name)
        if plain is None or type(plain) in (bool, int, float):
            return plain
        if type(plain) is list:
            return [self.decode(entry, f"{name}[{i}]") for i, entry in enumerate(plain)]
        kind = plain.get("kind") if type(plain) is dict else None
        reader = self._READERS.get(kind) if isinstance(kind, str) else None
        if reader is None:
            raise ValueError(f"{name} is nothing that a model holds")
        keys, read = reader
        if set(plain) != {"kind", *keys}:
            raise ValueError(f"{name} needs the entries {sorted(keys)} and no others")
        return read(self, *(plain[key] for key in keys), name)

    def _encode_each(self, values: Any, name: str) -> list[Any]:
        return [self.encode(entry, f"{name}[{i}]") for i, entry in enumerate(values)]

    def _encode_list(self, value: list[Any], name: str) -> Any:
        kinds = {type(entry) for entry in value}
        if len(value) >= _LONG and len(kinds) == 1 and kinds <= set(_NUMBERS):
            with suppress(OverflowError):  # of an integer beyond 64 bits: below, the message says which
                return {"kind": "numbers", "values": np.array(value, dtype=_NUMBERS[kinds.pop()])}
        return self._encode_each(value, name)

    def _encode_random_state(self, value: np.random.RandomState, name: str) -> list[Any]:
        state = value.get_state(legacy=False)
        if state["bit_generator"] != "MT19937":
            raise TypeError(f"{name} is a RandomState on {state['bit_generator']}; only MT19937 can be saved.")
        inner = state["state"]
        entries = (inner["key"], int(inner["pos"]), int(state["has_gauss"]), float(state["gauss"]))
        return self._encode_each(entries, name)

    def _tuple(self, items: Any, name: str) -> tuple[Any, ...]:
        return tuple(self.decode(list_of(items, name), name))

    def _dict(self, items: Any, name: str) -> dict[Any, Any]:
        values = {}
        for pair in list_of(items, name):
            if type(pair) is not list or len(pair) != 2:
                raise ValueError(f"{name} is no list of pairs")
            key = self.decode(pair[0], f"a key of {name}")
            if not isinstance(key, _SCALARS) or key in values:
                raise ValueError(f"{name} has a key twice, or one that is neither a number nor a string")
            values[key] = self.decode(pair[1], f"{name}[{key!r}]")
        return values

    def _float(self, value: Any, name: str) -> float:
        if value not in ("inf", "-inf", "nan"):
            raise ValueError(f"{name} is no number")
        return float(value)

    def _scalar(self, dtype: Any, value: Any, name: str) -> Any:
        entry = self.decode(value, name)
        kind = dtype_of(dtype, name)
        if kind.kind != "O" and type(entry) in ((str,) if kind.kind == "U" else (bool, int, float)):
            with suppress(OverflowError), np.errstate(all="ignore"):
                number = kind.type(entry)
                item = number.item()
                if type(item) is type(entry) and (item == entry or item != item):
                    return number
        raise ValueError(f"{name} is no {kind}")

    def _array(self, values: Any, name: str) -> np.ndarray:
        if type(values) not in _ARRAYS or values.dtype.name not in ARRAY_DTYPES:
            raise ValueError(f"{name} is no array of numbers")
        return native(values)  # a copy: of a file it is a view

    def _numbers(self, values: Any, name: str) -> list[Any]:
        array = self._array(values, name)
        if array.ndim != 1 or array.dtype.name not in _NUMBERS.values():
            raise ValueError(f"{name} is no list of numbers")
        return array.tolist()

    def _labels(self, dtype: Any, shape: Any, items: Any, name: str) -> np.ndarray:
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
        # numpy reserves what the dtype says, whatever the strings need.
        longest = max((len(entry) for entry in entries if isinstance(entry, str)), default=0)
        if len(entries) * (kind.itemsize - 4 * longest) > _LARGEST_WASTE:
            raise ValueError(f"{name} would take far more memory than its labels need")
        array = np.empty(len(entries), dtype=kind)
        array[:] = entries
        return array.reshape(sizes)

    def _tensor(self, values: Any, name: str) -> Tensor:
        array = self._array(values, name)
        if array.dtype.name not in _TENSOR_DTYPES:
            raise ValueError(f"{name} is no tensor")
        # Cloned into torch's own memory: matrix kernels may round by alignment, see `as_tensor` of the estimators.
        return torch.from_numpy(array).clone()

    def _device(self, device: Any, name: str) -> torch.device:
        try:
            return torch.device(device)
        except (RuntimeError, TypeError) as error:
            raise ValueError(f"{name} is no device") from error

    def _random_state(self, state: Any, name: str) -> np.random.RandomState:
        match self.decode(list_of(state, name), name):
            case [np.ndarray() as key, int(pos), 0 | 1 as has_gauss, float(gauss)]:
                if key.shape == (624,) and key.dtype == np.uint32 and 0 <= pos <= 624 and math.isfinite(gauss):
                    # Seeded with a number, then overwritten: without one it would ask the system for entropy.
                    random_state = np.random.RandomState(0)
                    random_state.set_state(("MT19937", key, pos, has_gauss, gauss))
                    return random_state
        raise ValueError(f"{name} is no state of a RandomState")

    def _object(self, form_name: Any, fields: Any, name: str) -> Any:
        form = self.forms.get(form_name) if isinstance(form_name, str) else None
        if form is None or type(fields) is not dict:
            raise ValueError(f"{name} is of a class that models do not hold: {form_name!r:.80}")
        parts = {part: self.decode(entry, f"{name}.{part}") for part, entry in fields.items()}
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
