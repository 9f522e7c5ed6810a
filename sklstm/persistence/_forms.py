"""The package's own classes in encoded values: reports, bounds, and objects with scikit-learn's parameters."""

import dataclasses
import typing
from collections.abc import Mapping
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
from ._types import conforms

__all__ = ["GENERALIZATION", "Parameters"]


class _Record:
    """A dataclass whose annotations say all there is to check."""

    def __init__(self, kind: type):
        self.kind = kind
        hints = typing.get_type_hints(kind)
        self.hints = {entry.name: hints[entry.name] for entry in dataclasses.fields(kind) if entry.init}

    def fields(self, value: Any) -> dict[str, Any]:
        return {name: getattr(value, name) for name in self.hints}

    def build(self, fields: dict[str, Any]) -> Any:
        return self.kind(**_checked(fields, self.hints))


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


_Bounds = OccamBound | TuBound | RademacherBound | HoldoutBound


class _Report:
    """A report: the bounds as they were given, and the δ that was passed to it."""

    kind = GeneralizationReport

    def fields(self, value: GeneralizationReport) -> dict[str, Any]:
        return {"bounds": list(value._given), "delta": value._given_delta}

    def build(self, fields: dict[str, Any]) -> GeneralizationReport:
        parts = _checked(fields, {"bounds": list[_Bounds], "delta": float | None})
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
    >>> from sklstm.persistence import Codec, Parameters
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


#: Of `GeneralizationReport` and the bounds that `fit` and `holdout_bound` put into one.
GENERALIZATION: dict[str, Form] = {
    "GeneralizationReport": _Report(),
    "OccamBound": _Occam(),
    **{kind.__name__: _Record(kind) for kind in (TuBound, RademacherBound, HoldoutBound)},
}
