"""The package's own classes in encoded values, and whether a value from a file is of the annotated type."""

import dataclasses
import functools
import operator
import types
import typing
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from torch import Tensor

from sklstm._validation import Rule, check_parameters
from sklstm.generalization import (
    Description,
    GeneralizationReport,
    HoldoutBound,
    OccamBound,
    RademacherBound,
    Structure,
    TuBound,
)

from ._codec import Form

# Fields that bounds have got since the first files were written, and what these mean by their absence.
_LATER = {"loss": ""}
# A fit makes six at most; to show one a report looks at the others.
_MOST_BOUNDS = 100


class _Record:
    """A dataclass whose annotations say all there is to check."""

    def __init__(self, kind: type):
        self.kind = kind
        hints = typing.get_type_hints(kind)
        self.hints = {entry.name: hints[entry.name] for entry in dataclasses.fields(kind) if entry.init}

    def fields(self, value: Any) -> dict[str, Any]:
        return {name: getattr(value, name) for name in self.hints}

    def build(self, fields: dict[str, Any]) -> Any:
        later = {name: value for name, value in _LATER.items() if name in self.hints}
        return self.kind(**_checked(later | fields, self.hints))


class _Occam(_Record):
    """An Occam bound; the structure of its description takes names, shapes and dtypes from the weights."""

    def __init__(self) -> None:
        super().__init__(OccamBound)

    def fields(self, value: OccamBound) -> dict[str, Any]:
        parts = super().fields(value)
        if value.description is not None:
            parts["description"] = self._described(value.description)
        return parts

    def build(self, fields: dict[str, Any]) -> OccamBound:
        described = fields.get("description")
        bound: OccamBound = super().build(fields | {"description": None})
        if not bound.weights:
            raise ValueError("it has no weights")
        if described is None:
            return bound
        if type(described) is not dict:
            raise ValueError("its description is none")
        parts = _checked(described, _DESCRIPTION)
        structure = Structure(
            bound.weights,
            base=parts.pop("base"),
            ranks=parts.pop("ranks"),
            subspace=parts.pop("subspace"),
            seed=parts.pop("seed"),
        )
        return dataclasses.replace(bound, description=Description(structure, **parts))

    @staticmethod
    def _described(description: Description) -> dict[str, Any]:
        structure = description.structure
        return {
            # A base of zeros is what the structure takes for none.
            "base": {name: tensor for name, tensor in structure.base.items() if tensor.any()},
            "ranks": structure.ranks,
            "subspace": structure.subspace,
            "seed": structure.seed,
            "steps": description.steps,
            "finer": description.finer,
            "integers": description.integers,
        }


_INTEGERS = dict[str, np.ndarray[tuple[Any, ...], np.dtype[np.int64]]]
_DESCRIPTION: dict[str, Any] = {
    "base": dict[str, Tensor],
    "ranks": dict[str, int],
    "subspace": int | None,
    "seed": int,
    "steps": dict[str, int],
    "finer": _INTEGERS,
    "integers": _INTEGERS,
}


_RECORDS = (TuBound, RademacherBound, HoldoutBound)  # whose annotations say all there is to check
_Bounds: Any = functools.reduce(operator.or_, _RECORDS, OccamBound)


class _Report:
    """A report: the bounds as they were given, and the δ that was passed to it."""

    kind = GeneralizationReport

    def fields(self, value: GeneralizationReport) -> dict[str, Any]:
        return {"bounds": list(value._given), "delta": value._given_delta}

    def build(self, fields: dict[str, Any]) -> GeneralizationReport:
        parts = _checked(fields, {"bounds": list[_Bounds], "delta": float | None})
        if len(parts["bounds"]) > _MOST_BOUNDS:
            raise ValueError(f"it has more than {_MOST_BOUNDS} bounds")
        return GeneralizationReport(parts["bounds"], delta=parts["delta"])


class Parameters:
    """An object that is nothing but its constructor's parameters, as scikit-learn reads them.

    Parameters
    ----------
    kind : type
        With ``get_params``.
    rules : mapping of str to Rule
        What the parameters must satisfy.

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
            With ``get_params``.

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


def _checked(fields: dict[str, Any], hints: Mapping[str, Any]) -> dict[str, Any]:
    """The fields; ``ValueError`` if one is missing, unknown or not what its annotation says."""
    if set(fields) != set(hints):
        raise ValueError(f"it needs the fields {sorted(hints)}, not {sorted(fields)}"[:500])
    for name, hint in hints.items():
        if not conforms(fields[name], hint):
            raise ValueError(f"{name} is not of its type")
    return dict(fields)


#: Of `GeneralizationReport` and of the bounds that may be in one.
GENERALIZATION: dict[str, Form] = {
    "GeneralizationReport": _Report(),
    "OccamBound": _Occam(),
    **{kind.__name__: _Record(kind) for kind in _RECORDS},
}


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
    >>> from sklstm.persistence._class_forms import conforms
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
        if type(value) is not list:
            return False
        (of_entry,) = arguments
        if typing.get_origin(of_entry) in (None, typing.Union, types.UnionType):  # then the type of an entry says all
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
