"""Encoded forms of the package's own classes, and a check of values from a file against their annotated types."""

import types
import typing
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from sklstm._validation import Rule, check_parameters


class Parameters:
    """An object that consists of its constructor's parameters, as scikit-learn reads them.

    Parameters
    ----------
    kind : type
        A class with ``get_params``.
    rules : mapping of str to Rule
        Rules for the parameters.

    Examples
    --------
    >>> from sklstm import Compression
    >>> from sklstm.persistence._class_forms import Parameters
    >>> from sklstm.persistence._codec import Codec
    >>> form = Parameters(Compression, {})  # no rules
    >>> form.fields(Compression(rank=2))["rank"], form.build({"rank": 3}).rank
    (2, 3)
    >>> codec = Codec({"Compression": form})
    >>> codec.decode(codec.encode(Compression(rank=2), "compression"), "compression").rank
    2
    """

    def __init__(self, kind: type, rules: Mapping[str, Rule]):
        self.kind, self.rules = kind, rules

    def fields(self, value: Any) -> dict[str, Any]:
        """The parameters.

        Parameters
        ----------
        value : object
            An object with ``get_params``.

        Returns
        -------
        dict
        """
        return value.get_params(deep=False)

    def build(self, fields: dict[str, Any]) -> Any:
        """The object with these parameters.

        Parameters
        ----------
        fields : dict
            The parameters.

        Returns
        -------
        object

        Raises
        ------
        ValueError, TypeError
            If a parameter breaks a rule.
        """
        built = self.kind(**fields)
        check_parameters(built, self.rules)
        return built


def conforms(value: Any, hint: Any) -> bool:
    """Whether ``value`` is of the annotated type, down to the last element.

    Parameters
    ----------
    value : object
    hint : type or annotation
        bool, int, float, str, None, a class, or a union of these; ``tuple[...]``, ``list[...]``, ``dict[..., ...]``; a
        numpy array with or without its dtype. An int counts as a float, and numpy's numbers count as Python's.

    Returns
    -------
    bool

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.persistence._class_forms import conforms
    >>> conforms([1, 2.5], list[float]), conforms([1, "2.5"], list[float])
    (True, False)
    >>> conforms(np.float64(0.5), float | None)
    True
    """
    hint = _without_alias(hint)
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
        if type(value) is not list:
            return False
        of_entry = _without_alias(*arguments)
        if typing.get_origin(of_entry) in (
            None,
            typing.Union,
            types.UnionType,
        ):  # then the type of an entry says everything
            value = {type(entry): entry for entry in value}.values()
        return all(conforms(entry, of_entry) for entry in value)
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


def _without_alias(hint: Any) -> Any:
    """The type that an alias from a ``type`` statement stands for; numpy's NDArray is one from 2.5 on."""
    alias = typing.get_origin(hint) or hint
    if not hasattr(alias, "__type_params__") or not hasattr(alias, "__value__"):
        return hint
    return alias.__value__[typing.get_args(hint)] if alias.__type_params__ else alias.__value__
