"""Fitted compositions around one of our estimators, and what they make of a box of inputs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.utils.validation import check_array, check_is_fitted

from sklstm._mapped import row_blocks
from sklstm._sequences import Ragged, as_sequences
from sklstm._tables import as_plain, is_wide, read_entries, read_wide, sequences_in
from sklstm.preprocessing import SequenceScaler

from ._certificates import Block, CertifiedClassifier, CertifiedEstimator
from ._radii import boxes_around, ends_of, in_order

__all__ = ["Chain"]

# Each takes every entry by itself through subtraction, division, product, sum and clipping by constants. Each of these
# is monotone in real arithmetic, rounding to nearest is monotone, and so is what they make together: the images of the
# ends of an interval, as computed, are the ends of the images of all numbers between them, as computed. (Whether a
# logarithm or an interpolation is monotone to the last digit depends on the library that computes it: none is here.)
_SCALERS = (StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler)
_KNOWN = (*_SCALERS, SequenceScaler)
_FLOATS: list[Any] = [np.float64, np.float32, np.float16]  # what scalers keep, the widest first


@dataclass(frozen=True)
class Chain:
    """What stands between the input of a composition and its output.

    Attributes
    ----------
    outermost : estimator
        The composition.
    transformers : list
        Through which X goes, in this order.
    estimator : CertifiedEstimator
        The network's.
    targets : list of TransformedTargetRegressor
        Through which the outputs go, in this order.
    """

    outermost: Any
    transformers: list[Any]
    estimator: CertifiedEstimator
    targets: list[TransformedTargetRegressor]

    @classmethod
    def around(cls, outermost: Any) -> Self:
        """Take a composition apart; ``TypeError`` if a part is unknown, `NotFittedError` if one is not fitted."""
        transformers: list[Any] = []
        targets: list[TransformedTargetRegressor] = []
        estimator = outermost
        while not isinstance(estimator, CertifiedEstimator):
            if isinstance(estimator, Pipeline):
                check_is_fitted(estimator)
                transformers += _transformers(estimator)
                estimator = estimator.steps[-1][1]
            elif isinstance(estimator, TransformedTargetRegressor):
                check_is_fitted(estimator)
                _check_target(estimator)
                targets.insert(0, estimator)
                estimator = estimator.regressor_
            else:
                estimator = _best_of(estimator)
        check_is_fitted(estimator)
        if targets and isinstance(estimator, CertifiedClassifier):
            raise TypeError(
                f"A TransformedTargetRegressor around {type(estimator).__name__}, a classifier, has no certificate."
            )
        return cls(outermost, transformers, estimator, targets)

    def read(self, X: Any, eps: Any) -> tuple[np.ndarray | Ragged, Iterator[Block]]:
        """Sequences behind the transformers, and the boxes that contain the images of X ± eps; all validated."""
        # While X has its labels.
        eps = in_order(eps, X, wide=isinstance(self.transformers[0], SequenceScaler))
        given = Given.read(X, self.transformers[0])
        sequences = self.sequences(given.whole())
        parts = boxes_around(self.outermost, given.axes, sequences, eps)
        return sequences, self._blocks(given, parts)

    def _blocks(self, given: "Given", parts: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Iterator[Block]:
        for rows, part, radii in parts:
            for block in row_blocks(part):
                X, low, high = part[block], *self.ends(given, rows[block], radii[block])
                still = np.flatnonzero(~radii[block].any(axis=(1, 2)))
                # Nothing but X itself, as it is computed in its own dtype.
                low[still] = high[still] = torch.from_numpy(X[still].astype(np.float64))
                yield rows[block], X, low, high

    def radii(self, X: Any, classifier: CertifiedClassifier, rtol: float) -> np.ndarray:
        """Certified radii (n,) in the units of X; the classifier is the estimator of this chain."""
        given = Given.read(X, self.transformers[0])
        sequences = self.sequences(given.whole())
        found = np.empty(len(sequences))
        for rows, part, _ in boxes_around(self.outermost, given.axes, sequences, 0):
            for block in row_blocks(part):
                found[rows[block]] = self._radii(given, rows[block], part[block], classifier, rtol)
        return found

    def _radii(
        self, given: "Given", rows: np.ndarray, part: np.ndarray, classifier: CertifiedClassifier, rtol: float
    ) -> np.ndarray:
        scale = np.abs(given.values(rows).astype(np.float64)).reshape(len(rows), -1).max(axis=1)
        return classifier._radii_of(part, lambda some, radii: self.ends(given, rows[some], radii), scale, rtol)

    def sequences(self, X: Any) -> Any:
        """X behind the transformers, as the network takes it."""
        for transformer in self.transformers:
            X = transformer.transform(X)
        return as_sequences(self.estimator, X, reset=False)

    def ends(self, given: "Given", rows: np.ndarray, radii: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Ends, two tensors (m, L, d) in float64, of the images of boxes around some sequences of one length.

        A box holds inputs in the dtype of X and in wider ones, and scalers compute in the dtype they are given: the
        result contains the images under all of them.
        """
        values = given.values(rows)
        lower, upper = ends_of(values, radii.reshape(values.shape))
        images = []
        for dtype in (kind for kind in _FLOATS if np.dtype(kind).itemsize >= values.dtype.itemsize):
            # Rounding is monotone and leaves numbers of the dtype alone: those of a box stay between its rounded ends.
            largest = float(np.finfo(dtype).max)
            ends = (given.form(end.clip(-largest, largest).astype(dtype)) for end in (lower, upper))
            images += self._images(*ends)
        # The two of a dtype are in order, unless someone has set a negative scale.
        return (
            torch.from_numpy(np.minimum.reduce(images).astype(np.float64)),
            torch.from_numpy(np.maximum.reduce(images).astype(np.float64)),
        )

    def _images(self, lower: Any, upper: Any) -> list[np.ndarray]:
        for transformer in self.transformers:
            if isinstance(transformer, SequenceScaler) and transformer.padding_value is not None:
                lower, upper = transformer._transform_ends(lower, upper)
            else:
                lower, upper = transformer.transform(lower), transformer.transform(upper)
        return [as_sequences(self.estimator, end, reset=False) for end in (lower, upper)]

    def outputs(self, lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bounds on the network's outputs to bounds on those of the composition."""
        for target in self.targets:
            known = np.isfinite(lower) & np.isfinite(upper)
            low, high = (_inverse(target, np.where(known, end, 0.0)) for end in (lower, upper))
            known = known.reshape(low.shape)
            lower = np.where(known, np.minimum(low, high), -np.inf)
            upper = np.where(known, np.maximum(low, high), np.inf)
        return lower, upper


@dataclass(frozen=True)
class Given:
    """Input of a composition: its numbers, and how to put others in the same form.

    Attributes
    ----------
    numbers : list of ndarray
        One array, or one for each sequence of a list, all of one dtype of floats.
    tables : list
        As the caller gave them.
    listed : bool
        Whether there is a table for each sequence.
    axes : array-like
        What the caller thinks of as X when giving sizes for it.
    """

    numbers: list[np.ndarray]
    tables: list[Any]
    listed: bool
    axes: Any

    @classmethod
    def read(cls, X: Any, reader: Any) -> Self:
        """X as the first transformer reads it."""
        tables = sequences_in(X)
        if tables is not None:
            entries = read_entries(tables)
            values = _numbers(np.concatenate(entries))
            return cls(np.split(values, np.cumsum([len(entry) for entry in entries])[:-1]), tables, True, X)
        if is_wide(X) and isinstance(reader, SequenceScaler):  # to which the columns are times and channels
            ordered = read_wide(X)[0]
            return cls([_numbers(ordered)], [ordered], False, X)
        values = _numbers(as_plain(X))
        return cls([values], [X], False, values)

    def whole(self) -> Any:
        """A copy of X, which may be transformed in place."""
        return self._filled(self.tables, [array.copy() for array in self.numbers])

    def values(self, rows: np.ndarray) -> np.ndarray:
        """Numbers of some samples, which are of one length: (m, L * d) or (m, L, d)."""
        return np.stack([self.numbers[row] for row in rows]) if self.listed else self.numbers[0][rows]

    def form(self, values: np.ndarray) -> Any:
        """Other numbers, of samples of one length, in the form of X."""
        return (
            self._filled([self.tables[0]] * len(values), list(values))
            if self.listed
            else self._filled(self.tables, [values])
        )

    def _filled(self, tables: list[Any], numbers: list[np.ndarray]) -> Any:
        filled = [_like(table, values) for table, values in zip(tables, numbers, strict=True)]
        return filled if self.listed else filled[0]


def _numbers(values: Any) -> np.ndarray:
    """Values in a dtype of floats; those missing and infinite are for the composition to refuse."""
    return check_array(values, dtype=_FLOATS, allow_nd=True, ensure_all_finite=False, input_name="X")


def _like(table: Any, values: np.ndarray) -> Any:
    """Values with the names of a table's columns, if it has any."""
    if not hasattr(table, "columns"):
        return values
    if hasattr(table, "iloc"):  # pandas, and what is like it
        return type(table)(values, columns=table.columns)
    return type(table)(dict(zip(table.columns, values.T, strict=True)))


def _steps(steps: list[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Transformers by their names, those of pipelines within included, without those that do nothing."""
    for name, step in steps:
        if isinstance(step, Pipeline):
            yield from _steps(step.steps)
        elif step is not None and not (isinstance(step, str) and step == "passthrough"):
            yield name, step


def _transformers(pipeline: Pipeline) -> list[Any]:
    """The transformers before the last step; ``TypeError`` if one is unknown."""
    found = list(_steps(pipeline.steps[:-1]))
    for name, step in found:
        if type(step) not in _KNOWN:  # a subclass may do anything
            raise TypeError(
                f"Step {name!r} of the pipeline, {type(step).__name__}, is not among the transformers that are known "
                f"to be monotone in each entry: {_names(_KNOWN)}. Certify behind the transformers, with eps in the "
                "units there: pipeline[-1].certify(pipeline[:-1].transform(X), eps)."
            )
        check_is_fitted(step)
    return [step for _, step in found]


def _check_target(estimator: TransformedTargetRegressor) -> None:
    """``TypeError`` if the way back to the target is not known to be monotone."""
    for _, step in _steps([("transformer", estimator.transformer_)]):
        identity = type(step) is FunctionTransformer and step.inverse_func is None
        if not identity and type(step) not in _SCALERS:
            what = "functions" if estimator.transformer is None else type(step).__name__
            raise TypeError(
                f"The target goes through {what}, not through one of the transformers that are known to be monotone in "
                f"each entry: {_names(_SCALERS)}. Certify model.regressor_, with limits in the units of the "
                "transformed target, and take these back yourself if the inverse is monotone."
            )


def _best_of(search: Any) -> Any:
    """The estimator that a search has fitted to all data."""
    found = getattr(search, "best_estimator_", None)
    if found is not None:
        return found
    name = type(search).__name__
    # TunedThresholdClassifierCV has refit as well, and when it is fitted an estimator_ in place of a best one.
    if isinstance(search, type) or not hasattr(search, "refit") or hasattr(search, "estimator_"):
        raise TypeError(
            "A certificate needs a fitted estimator of sklstm, or a Pipeline, a TransformedTargetRegressor or a search "
            f"such as GridSearchCV around one; got {search!r:.80}."
        )
    if not search.refit:
        raise NotFittedError(
            f"This {name} has refit=False and holds no fitted model. Use refit=True, or fit its estimator with "
            "best_params_ and certify that."
        )
    raise NotFittedError(f"This {name} is not fitted yet: call fit first.")


def _inverse(target: TransformedTargetRegressor, values: np.ndarray) -> np.ndarray:
    """Outputs of the regressor, (n,) or (n, k), in the units and the shape of its target, as ``predict`` does it."""
    columns = values.reshape(len(values), -1)
    back = target.transformer_.inverse_transform(columns)
    one_axis = target._training_dim == 1 and back.shape[1] == 1
    return back[:, 0] if one_axis else back


def _names(classes: tuple[type, ...]) -> str:
    return ", ".join(cls.__name__ for cls in classes)
