"""Whether a value is what an annotation says: for values that come out of files."""

import types
import typing
from numbers import Integral, Real
from typing import Any

import numpy as np

__all__ = ["conforms"]


def conforms(value: Any, hint: Any) -> bool:
    """Whether ``value`` is of the annotated type, to the last element.

    Parameters
    ----------
    value : object
    hint : type or annotation
        bool, int, float, str, None, a class, unions of these; ``tuple[...]``, ``list[...]``, ``dict[..., ...]``; a
        numpy array with or without its dtype. An int passes for a float, numpy's numbers for Python's.

    Returns
    -------
    bool

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.persistence import conforms
    >>> conforms([1, 2.5], list[float]), conforms([1, "2.5"], list[float])
    (True, False)
    >>> conforms(np.float64(0.5), float | None)
    True
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(conforms(value, argument) for argument in arguments)
    if origin is tuple:
        if type(value) is not tuple:
            return False
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return all(conforms(entry, arguments[0]) for entry in value)
        return len(value) == len(arguments) and all(map(conforms, value, arguments))
    if origin is list:
        return type(value) is list and all(conforms(entry, arguments[0]) for entry in value)
    if origin is dict:
        of_key, of_value = arguments
        return type(value) is dict and all(conforms(k, of_key) and conforms(v, of_value) for k, v in value.items())
    if origin is np.ndarray:
        (dtype,) = typing.get_args(arguments[1])
        return isinstance(value, np.ndarray) and (dtype is Any or value.dtype == dtype)
    if hint is None or hint is type(None):
        return value is None
    flag = isinstance(value, bool | np.bool_)
    if hint is bool:
        return flag
    if hint is int:
        return isinstance(value, Integral) and not flag
    if hint is float:
        return isinstance(value, Real) and not flag
    return isinstance(value, hint)
