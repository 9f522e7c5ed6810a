"""Takes fitted compositions around one of our estimators apart, and computes the boxes of inputs behind them."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, is_classifier, is_regressor
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_array, check_is_fitted
from tqdm import tqdm

from sklstm._layout import NTC, Layout
from sklstm._sequences import Sequences, as_sequences, steps_of
from sklstm._sizes import sizes_by_position
from sklstm._tables import (
    as_plain,
    filled_like,
    is_wide,
    read_entries,
    read_wide,
    sequences_in,
    targets_in,
    wide_places,
)
from sklstm.preprocessing import SequenceScaler

from ._base import SequenceEstimator
from ._boxes import Boxes, Ends, Radii, ends_of
from ._targets import SCALERS, bounds_before, is_known

# Each acts on every entry by itself: it subtracts, divides, multiplies, adds and clips by constants. Each of these
# operations is monotone in real arithmetic, and rounding to nearest is monotone, so their composition is too. Hence the
# computed images of the ends of an interval are the ends of the computed images of all numbers between them. (Whether a
# logarithm or an interpolation is monotone to the last digit depends on the library that computes it, so none is here.)
_KNOWN = (*SCALERS, SequenceScaler)
_FLOATS: list[Any] = [np.float64, np.float32, np.float16]  # what scalers keep, the widest first

# Searches that keep the model refitted to all data as ``best_estimator_``. They are compared by name, so that their
# packages need not be installed. Another class with an attribute of this name may predict with something else.
_SEARCHES = {
    "sklearn.model_selection._search.BaseSearchCV",
    "sklstm.model_selection._path.RegularizationPathCV",
    "optuna_integration.sklearn.sklearn.OptunaSearchCV",
}


def is_search(estimator: Any) -> bool:
    """Whether it is a known search, which keeps the model fitted to all data as ``best_estimator_``."""
    return bool({f"{kind.__module__}.{kind.__qualname__}" for kind in type(estimator).__mro__} & _SEARCHES)


def method_owner(estimator: Any, method: str) -> str:
    """The package whose class defines a method of an estimator; "" if there is none."""
    owner = next((kind for kind in type(estimator).__mro__ if method in vars(kind)), None)
    return "" if owner is None else owner.__module__.partition(".")[0]


def _check_predict(estimator: Any) -> None:
    """``TypeError`` if a class has its own way to predict, about which nothing is known."""
    if method_owner(estimator, "predict") not in ("sklstm", "sklearn", "optuna_integration"):
        raise TypeError(
            f"{type(estimator).__name__} has a predict of its own, so a certificate would not be about its "
            "predictions. Certify the estimator inside it, or its base class."
        )


def inner_of(estimator: Any) -> Any:
    """The fitted estimator directly inside a Pipeline, a TransformedTargetRegressor, a FrozenEstimator, and so on.

    Returns
    -------
    estimator or None
        None for any other object.

    Raises
    ------
    NotFittedError
        If the composition is not fitted, or is a search with ``refit=False``.
    """
    if isinstance(estimator, FrozenEstimator):
        return estimator.estimator
    if isinstance(estimator, Pipeline):
        check_is_fitted(estimator)
        return estimator.steps[-1][1]
    if isinstance(estimator, TransformedTargetRegressor):
        check_is_fitted(estimator, "regressor_")
        return estimator.regressor_
    if isinstance(estimator, TunedThresholdClassifierCV):
        check_is_fitted(estimator, "estimator_")
        return estimator.estimator_
    if not is_search(estimator):
        return None
    name = type(estimator).__name__
    if not estimator.refit:
        raise NotFittedError(
            f"This {name} was fitted with refit=False and holds no model. Use refit=True, or fit its estimator with "
            "best_params_ and use that."
        )
    if not hasattr(estimator, "best_estimator_"):
        raise NotFittedError(f"This {name} is not fitted yet: call fit first.")
    return estimator.best_estimator_


def innermost(estimator: Any) -> Any:
    """The estimator inside a fitted composition; any other estimator is returned as it is.

    Raises
    ------
    TypeError
        If `estimator` is a class or no estimator.
    NotFittedError
        If a part of the composition is not fitted, or a search was fitted with ``refit=False``.
    """
    if isinstance(estimator, type):
        raise TypeError(f"expected a fitted estimator, got the class {estimator.__name__}.")
    if not hasattr(estimator, "fit"):
        raise TypeError(f"expected a fitted estimator, got {estimator!r:.80}.")
    inside = inner_of(estimator)
    return estimator if inside is None else innermost(inside)


def training_data_of(estimator: Any, X: Any, y: Any) -> tuple[Any, Any]:
    """X and y of a fit of a composition, as the estimator inside received them; X is not changed."""
    inside = inner_of(estimator)
    if inside is None:
        return X, y
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        X = estimator[:-1].transform(copy.deepcopy(X))  # which may happen in place
    elif isinstance(estimator, TransformedTargetRegressor):
        y = _transformed(estimator, y)
    return training_data_of(inside, X, y)


def layout_of(estimator: Any) -> Layout:
    """Layout in which an estimator or composition reads X: that of its parts, or "ntc" if none has one.

    Raises
    ------
    ValueError
        If its parts have different layouts.
    """
    found, parts = [], [estimator]
    while parts:
        part = parts.pop()
        if isinstance(part, SequenceEstimator | SequenceScaler):
            found.append(Layout.of(part))
        elif hasattr(part, "get_params") and not isinstance(part, type):
            parts += part.get_params(deep=True).values()
    names = {layout.name for layout in found}
    if len(names) > 1:
        raise ValueError(
            f"The parts of {type(estimator).__name__} have the layouts {sorted(names)}, so it is unknown which axis "
            "of X is time. Give all of them the same layout."
        )
    # A scaler with one channel may come before an estimator with several: it scales all columns of rows together.
    return Layout(names.pop(), max(layout.n_channels for layout in found)) if found else Layout()


def as_of_now(estimator: Any) -> Any:
    """A composition whose parts of this package are shallow copies, so that fits in other threads do not change it."""
    if isinstance(estimator, SequenceEstimator | SequenceScaler):
        return copy.copy(estimator)
    if isinstance(estimator, Pipeline):
        twin = copy.copy(estimator)
        twin.steps = [(name, as_of_now(step)) for name, step in estimator.steps]
        return twin
    kinds = {FrozenEstimator: "estimator", TransformedTargetRegressor: "regressor_"}
    held = next((held for kind, held in kinds.items() if isinstance(estimator, kind)), None)
    held = "best_estimator_" if is_search(estimator) else held
    if held is None or held not in vars(estimator):
        return estimator
    twin = copy.copy(estimator)
    vars(twin)[held] = as_of_now(vars(twin)[held])
    return twin


def check_predictor(estimator: Any, caller: str) -> Any:
    """Accept every fitted classifier or regressor, from this package or not.

    Returns
    -------
    estimator
        A copy, from `as_of_now`.

    Raises
    ------
    TypeError
        If it is neither.
    NotFittedError
        Before `fit`.
    """
    estimator = as_of_now(estimator)
    final = innermost(estimator)
    if not (is_classifier(estimator) or is_regressor(estimator)):
        raise TypeError(f"{caller} needs a classifier or a regressor, got {type(estimator).__name__}.")
    check_is_fitted(final)
    return estimator


@dataclass(frozen=True)
class Composition:
    """The steps between the input of a composition and its output.

    Attributes
    ----------
    outermost : estimator
        The composition, from `as_of_now`.
    transformers : list
        Transformers of X, in this order.
    estimator : SequenceEstimator
        The estimator with the network.
    targets : list of TransformedTargetRegressor
        Transformations of the outputs, in this order.
    """

    outermost: Any
    transformers: list[Any]
    estimator: SequenceEstimator
    targets: list[TransformedTargetRegressor]

    @classmethod
    def around(cls, outermost: Any) -> Self:
        """Take a composition apart; ``TypeError`` if a part is unknown, `NotFittedError` if one is not fitted."""
        transformers: list[Any] = []
        targets: list[TransformedTargetRegressor] = []
        estimator = outermost = as_of_now(outermost)
        while not isinstance(estimator, SequenceEstimator):
            inside = inner_of(estimator)
            # The labels of a tuned threshold follow a rule of their own.
            if inside is None or isinstance(estimator, TunedThresholdClassifierCV):
                of_windows = (
                    " Pass its model_, with windows from last_windows()." if hasattr(estimator, "windows") else ""
                )
                raise TypeError(
                    "Certificates and reports need a fitted estimator of sklstm, or a Pipeline, a "
                    "TransformedTargetRegressor or a search such as GridSearchCV around one; got "
                    f"{estimator!r:.80}.{of_windows}"
                )
            if type(estimator) is not FrozenEstimator:  # which has no method of its own
                _check_predict(estimator)
            if isinstance(estimator, Pipeline):
                transformers += _transformers(estimator)
            elif isinstance(estimator, TransformedTargetRegressor):
                _target_steps(estimator)
                targets.insert(0, estimator)
            estimator = inside
        _check_predict(estimator)
        check_is_fitted(estimator)
        if targets and isinstance(estimator, ClassifierMixin):
            raise TypeError(
                f"A TransformedTargetRegressor around {type(estimator).__name__}, a classifier, has no certificate. "
                "Remove it, or use a regressor."
            )
        layout_of(outermost)  # refuses two
        return cls(outermost, transformers, estimator, targets)

    @property
    def layout(self) -> Layout:
        """The layout of X."""
        return layout_of(self.outermost)

    def read(self, X: Any, eps: Any) -> tuple[Sequences, Iterator[tuple[np.ndarray, Boxes]]]:
        """Sequences after the transformers, and the boxes that contain the images of X ± eps; all validated.

        The boxes come in blocks, with the indices (m,) of their sequences.
        """
        given, sequences = self._given(X)
        radii = self._radii(given, X, sequences, eps, "eps")
        return sequences, self._blocks(given, sequences, radii)

    def _radii(self, given: "Given | None", X: Any, sequences: Sequences, sizes: Any, name: str) -> Radii:
        wide = not self.transformers or isinstance(self.transformers[0], SequenceScaler)
        names = getattr(self.outermost, "feature_names_in_", None)
        sizes = sizes_by_position(sizes, X, name, names=names, wide=wide, layout=self.layout)
        if not wide and is_wide(X) and np.ndim(sizes) and np.shape(sizes)[-1] not in (1, X.shape[1]):
            self._refuse_other_order(X, name)
        axes = self.layout.to_ntc(X) if given is None else given.axes
        return Radii.of(self.outermost, axes, sequences, sizes, name)

    def _refuse_other_order(self, X: Any, name: str) -> None:
        """``ValueError`` for sizes of channels, if columns that are not step by step have lost their levels."""
        places, _ = wide_places(X)
        if (np.diff(places.ravel()) != 1).any():
            reader = type(self.transformers[0]).__name__
            raise ValueError(
                f"{name} has a value for each channel, but {reader} does not read the two levels of the columns of X. "
                "So the estimator has them in the order of X, which is not step by step. Take a SequenceScaler, fit to "
                f"columns with all channels of the first step first, or give {name} for each column."
            )

    def _blocks(self, given: "Given | None", sequences: Sequences, radii: Radii) -> Iterator[tuple[np.ndarray, Boxes]]:
        for rows, steps, lengths in sequences.parts():
            sizes = radii.of_steps(rows, lengths, steps.shape[1])
            low, high = self._around(given, rows, steps, sizes)
            if given is not None:
                still = np.repeat(radii.largest[rows] == 0, lengths)
                low[still] = high[still] = steps[still]  # nothing but X itself, computed in its own dtype
            yield rows, Boxes.of(low, high, lengths)

    def balls(self, X: Any, scale: Any) -> tuple[Sequences, Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, Ends]]]:
        """Sequences after the transformers, and the boxes of any radius around them.

        Sequences come in blocks: their indices (m,), the sizes (m,) of X, the largest scales (m,), and a function from
        indices and radii to `Boxes`. The radii are in units of the scale, which is in units of X.
        """
        given, sequences = self._given(X)
        radii = self._radii(given, X, sequences, scale, "scale")
        still = np.flatnonzero(radii.largest == 0)
        if len(still):
            of = "" if len(still) == len(sequences) else f" of sequence {still[0]}"
            raise ValueError(
                f"scale must not be zero for every step and channel{of}: no radius would be too large. Leave out "
                "sequences that are exact, or give them a unit."
            )
        return sequences, self._balls(given, sequences, radii)

    def _balls(
        self, given: "Given | None", sequences: Sequences, radii: Radii
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, Ends]]:
        for rows, steps, lengths in sequences.parts():
            values = steps if given is None else given.values(rows).reshape(steps.shape)
            offsets = np.cumsum(lengths) - lengths
            units = radii.of_steps(rows, lengths, steps.shape[1])
            size = np.maximum.reduceat(np.abs(values.astype(np.float64)).max(axis=1), offsets)
            yield rows, size, radii.largest[rows], self._ball(given, rows, steps, lengths, units)

    def _ball(
        self, given: "Given | None", rows: np.ndarray, steps: np.ndarray, lengths: np.ndarray, unit: np.ndarray
    ) -> Ends:
        offsets = np.cumsum(lengths) - lengths

        def ends(some: np.ndarray, at: np.ndarray) -> Boxes:
            places = steps_of(some, offsets, lengths)
            units = unit[places]
            sizes = np.repeat(at, lengths[some])[:, None] * units
            sizes = np.where((units == 0) | (units == 1), sizes, np.nextafter(sizes, np.inf))  # products are rounded
            return Boxes.of(*self._around(given, rows[some], steps[places], sizes), lengths[some])

        return ends

    def _given(self, X: Any) -> "tuple[Given | None, Sequences]":
        if not self.transformers:
            return None, as_sequences(self.estimator, X, reset=False)
        given = Given.read(X, self.transformers[0], self.layout)
        return given, self.sequences(given.whole())

    def _around(
        self, given: "Given | None", rows: np.ndarray, steps: np.ndarray, radii: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Ends (S, d) in float64 of the boxes around some sequences, all steps one after the other."""
        if given is not None:
            return self.ends(given, rows, radii)
        lower, upper = ends_of(steps, radii)
        if max(-lower.min(), upper.max()) > np.finfo(np.float32).max:
            raise ValueError("X ± eps holds values too large for float32, in which the network computes. Rescale X.")
        return lower, upper

    def sequences(self, X: Any) -> Any:
        """X after the transformers, in the form that the network takes."""
        for transformer in self.transformers:
            X = transformer.transform(X)
        return as_sequences(self.estimator, X, reset=False)

    def training_data(self, X: Any, y: Any) -> tuple[Any, Any]:
        """X and y of a fit of the composition, as its estimator received them."""
        if self.transformers:
            X = Given.read(X, self.transformers[0], self.layout).whole()
            for transformer in self.transformers:
                X = transformer.transform(X)
        for target in reversed(self.targets):
            y = _transformed(target, y)
        return X, y

    def with_powers_of_two(self) -> "tuple[Self, np.ndarray] | None":
        """The same with the nearest powers of two as scales, and their exponents (d,).

        None unless the only transformer of X is a `SequenceScaler` without a mean.
        """
        scaler = self.transformers[0] if len(self.transformers) == 1 else None
        if type(scaler) is not SequenceScaler or scaler.with_mean or scaler.scale_ is None or scaler.padding_value:
            return None
        rounded = copy.copy(scaler)
        exponents = np.rint(np.log2(scaler.scale_)).astype(np.int64)
        rounded.scale_ = np.ldexp(1.0, exponents)
        return replace(self, transformers=[rounded]), exponents

    def ends(self, given: "Given", rows: np.ndarray, radii: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ends (S, d) in float64 of the images of boxes around some sequences, all steps one after the other.

        A box holds inputs in the dtype of X and in wider ones, and scalers compute in the dtype of their input. The
        result contains the images in all of these dtypes.
        """
        values = given.values(rows)
        lower, upper = ends_of(values, radii.reshape(values.shape))
        images = []
        for dtype in (kind for kind in _FLOATS if np.dtype(kind).itemsize >= values.dtype.itemsize):
            # Rounding is monotone and keeps numbers of the dtype: those of a box stay between its rounded ends.
            largest = float(np.finfo(dtype).max)
            ends = (given.form(end.clip(-largest, largest).astype(dtype), rows) for end in (lower, upper))
            images += self._images(*ends)
        # The two of a dtype are in order, unless a user has set a negative scale.
        return np.minimum.reduce(images).astype(np.float64), np.maximum.reduce(images).astype(np.float64)

    def _images(self, lower: Any, upper: Any) -> list[np.ndarray]:
        for transformer in self.transformers:
            if isinstance(transformer, SequenceScaler) and transformer.padding_value is not None:
                lower, upper = transformer._transform_ends(lower, upper)
            else:
                lower, upper = transformer.transform(lower), transformer.transform(upper)
        images = (as_sequences(self.estimator, end, reset=False).values for end in (lower, upper))
        return [image.reshape(-1, image.shape[-1]) for image in images]

    def outputs(self, lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From bounds on the network's outputs to bounds on those of the composition."""
        for target in self.targets:
            columns = (end.reshape(len(end), -1) for end in (lower, upper))
            lower, upper = bounds_before(_target_steps(target), *columns)
            if target._training_dim == 1 and lower.shape[1] == 1:  # in the shape of its target, as in ``predict``
                lower, upper = lower[:, 0], upper[:, 0]
        return lower, upper


@dataclass(frozen=True)
class Given:
    """Input of a composition: its numbers, and how to put others in the same form.

    Attributes
    ----------
    numbers : list of ndarray
        One array, or one for each sequence of a list, all of one float dtype; time steps before channels.
    tables : list
        The tables of the caller, with time steps before channels.
    listed : bool
        Whether there is a table for each sequence.
    axes : array-like
        X in the shape that ``eps`` refers to.
    layout : Layout
        Layout of the caller's X.
    """

    numbers: list[np.ndarray]
    tables: list[Any]
    listed: bool
    axes: Any
    layout: Layout

    @classmethod
    def read(cls, X: Any, reader: Any, layout: Layout = NTC) -> Self:
        """X as the first transformer reads it."""
        if layout.name == "nct" and is_wide(X) and not isinstance(reader, SequenceScaler):
            raise ValueError(
                f"{type(reader).__name__} does not read the two levels of the columns of X, and with layout='nct' "
                "rows have all steps of one channel first. Take a SequenceScaler, or layout='ntc'."
            )
        X = layout.to_ntc(X)
        tables = sequences_in(X)
        if tables is not None:
            entries = read_entries(tables)
            values = _numbers(np.concatenate(entries))
            return cls(np.split(values, np.cumsum([len(entry) for entry in entries])[:-1]), tables, True, X, layout)
        if is_wide(X) and isinstance(reader, SequenceScaler):  # which reads the columns as times and channels
            ordered = read_wide(X)[0]
            return cls([_numbers(ordered)], [ordered], False, X, layout)
        values = _numbers(as_plain(X))
        return cls([values], [X], False, values, layout)

    def whole(self) -> Any:
        """A copy of X, which may be transformed in place."""
        return self._filled(self.tables, [array.copy() for array in self.numbers])

    def values(self, rows: np.ndarray) -> np.ndarray:
        """Numbers of some samples: (m, L * d) or (m, L, d); for a list (S, d), one sequence after the other."""
        return np.concatenate([self.numbers[row] for row in rows]) if self.listed else self.numbers[0][rows]

    def form(self, values: np.ndarray, rows: np.ndarray) -> Any:
        """Other numbers of these samples, in the form of `values`, in the form of X."""
        if not self.listed:
            return self._filled(self.tables, [values])
        ends = np.cumsum([len(self.numbers[row]) for row in rows])
        return self._filled([self.tables[row] for row in rows], np.split(values, ends[:-1]))

    def _filled(self, tables: list[Any], numbers: list[np.ndarray]) -> Any:
        filled = [filled_like(table, values) for table, values in zip(tables, numbers, strict=True)]
        return self.layout.from_ntc(filled if self.listed else filled[0])


def with_progress(parts: Iterator[Any], n: int, function: str, verbose: int) -> Iterator[Any]:
    """The same blocks of n sequences, each beginning with their positions; a progress bar counts them if wanted."""
    with tqdm(total=n, desc=function, unit="sequence", disable=not verbose) as bar:
        for part in parts:
            yield part
            bar.update(len(part[0]))


def _numbers(values: Any) -> np.ndarray:
    """Values in a float dtype; the composition refuses missing and infinite ones."""
    return check_array(values, dtype=_FLOATS, allow_nd=True, ensure_all_finite=False, input_name="X")


def _steps(steps: list[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Transformers by name, with those of nested pipelines, without those that do nothing."""
    for name, step in steps:
        if type(step) is FrozenEstimator:
            yield from _steps([(name, step.estimator)])
        elif isinstance(step, Pipeline):
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
                f"to be monotone in each entry: {_names(_KNOWN)}. Certify after the transformers, with eps in the "
                "units there: pipeline[-1].certify(pipeline[:-1].transform(X), eps)."
            )
        check_is_fitted(step)
    return [step for _, step in found]


def _transformed(target: TransformedTargetRegressor, y: Any) -> np.ndarray:
    """Targets as TransformedTargetRegressor passes them to its regressor in a fit."""
    y = check_array(targets_in(y), ensure_2d=False, allow_nd=True, ensure_all_finite=False, input_name="y")
    transformed = target.transformer_.transform(y.reshape(-1, 1) if y.ndim == 1 else y)
    return transformed.squeeze(axis=1) if transformed.ndim == 2 and transformed.shape[1] == 1 else transformed


def _target_steps(target: TransformedTargetRegressor) -> list[Any]:
    """The transformers of a target; ``TypeError`` if an inverse is not known to be monotone."""
    found = [step for _, step in _steps([("transformer", target.transformer_)])]
    for step in found:
        if not is_known(step):
            what = "functions" if target.transformer is None else type(step).__name__
            raise TypeError(
                f"The target goes through {what}, not through one of the transformers whose inverse is known to be "
                f"monotone in each entry. These are {_names(SCALERS)}, PowerTransformer, and functions whose "
                "inverse_func is np.exp, np.expm1, np.exp2 or np.square. Certify model.regressor_, with bounds in "
                "the units of the transformed target. If the inverse is monotone, apply it to these bounds yourself."
            )
    return found


def _names(classes: tuple[type, ...]) -> str:
    return ", ".join(cls.__name__ for cls in classes)
