"""Fitted compositions around one of our estimators, taken apart in one place, and the boxes of inputs behind them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.utils.validation import check_array, check_is_fitted

from sklstm._sequences import Sequences, as_sequences, row_blocks, shape_as_given
from sklstm._sizes import sizes_by_position
from sklstm._tables import as_plain, filled_like, is_wide, n_axes, read_entries, read_wide, sequences_in
from sklstm.preprocessing import SequenceScaler

from ._base import SequenceEstimator

# Indices (m,), sequences (m, L, d) and the ends, two tensors (m, L, d) in float64, of boxes around them.
Block = tuple[np.ndarray, np.ndarray, torch.Tensor, torch.Tensor]
# From indices (m,) of some sequences and radii (m, L, d) to the ends of the boxes around them.
Ends = Callable[[np.ndarray, np.ndarray], tuple[torch.Tensor, torch.Tensor]]

# Each takes every entry by itself through subtraction, division, product, sum and clipping by constants. Each of these
# is monotone in real arithmetic, rounding to nearest is monotone, and so is what they make together: the images of the
# ends of an interval, as computed, are the ends of the images of all numbers between them, as computed. (Whether a
# logarithm or an interpolation is monotone to the last digit depends on the library that computes it: none is here.)
_SCALERS = (StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler)
_KNOWN = (*_SCALERS, SequenceScaler)
_FLOATS: list[Any] = [np.float64, np.float32, np.float16]  # what scalers keep, the widest first

# Searches that keep the model refitted to all data as ``best_estimator_``. They are compared by name, so that their
# packages need not be installed. Another class with an attribute of this name may predict with something else.
_SEARCHES = {
    "sklearn.model_selection._search.BaseSearchCV",
    "sklstm.model_selection._path.RegularizationPathCV",
    "optuna_integration.sklearn.sklearn.OptunaSearchCV",
}


def is_search(estimator: Any) -> bool:
    """Whether it is a known search, which keeps the model that it has fitted to all data as ``best_estimator_``."""
    return bool({f"{kind.__module__}.{kind.__qualname__}" for kind in type(estimator).__mro__} & _SEARCHES)


def method_owner(estimator: Any, method: str) -> str:
    """The package whose class defines a method of an estimator; "" if there is none."""
    owner = next((kind for kind in type(estimator).__mro__ if method in vars(kind)), None)
    return "" if owner is None else owner.__module__.partition(".")[0]


def _check_predict(estimator: Any) -> None:
    """``TypeError`` if predictions are made in a way of somebody's own, about which nothing is known."""
    if method_owner(estimator, "predict") not in ("sklstm", "sklearn", "optuna_integration"):
        raise TypeError(
            f"{type(estimator).__name__} has a predict of its own: a certificate would not be about its predictions. "
            "Certify the estimator inside, or the class that it is made from."
        )


def inner_of(estimator: Any) -> Any:
    """The fitted estimator directly inside of a Pipeline, a TransformedTargetRegressor, a search, a tuned threshold.

    Returns
    -------
    estimator or None
        None for anything else.

    Raises
    ------
    NotFittedError
        If the composition is not fitted, or is a search that was told not to refit.
    """
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


@dataclass(frozen=True)
class Composition:
    """What stands between the input of a composition and its output.

    Attributes
    ----------
    outermost : estimator
        The composition.
    transformers : list
        Through which X goes, in this order.
    estimator : SequenceEstimator
        The network's.
    targets : list of TransformedTargetRegressor
        Through which the outputs go, in this order.
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
        estimator = outermost
        while not isinstance(estimator, SequenceEstimator):
            inside = inner_of(estimator)
            # The labels of a tuned threshold have a rule of their own.
            if inside is None or isinstance(estimator, TunedThresholdClassifierCV):
                raise TypeError(
                    "A certificate needs a fitted estimator of sklstm, or a Pipeline, a TransformedTargetRegressor or "
                    f"a search such as GridSearchCV around one; got {estimator!r:.80}."
                )
            _check_predict(estimator)
            if isinstance(estimator, Pipeline):
                transformers += _transformers(estimator)
            elif isinstance(estimator, TransformedTargetRegressor):
                _check_target(estimator)
                targets.insert(0, estimator)
            estimator = inside
        _check_predict(estimator)
        check_is_fitted(estimator)
        if targets and isinstance(estimator, ClassifierMixin):
            raise TypeError(
                f"A TransformedTargetRegressor around {type(estimator).__name__}, a classifier, has no certificate."
            )
        return cls(outermost, transformers, estimator, targets)

    def read(self, X: Any, eps: Any) -> tuple[Sequences, Iterator[Block]]:
        """Sequences behind the transformers, and the boxes that contain the images of X ± eps; all validated."""
        given, sequences = self._given(X)
        eps = self._in_order(eps, X, "eps")
        axes = X if given is None else given.axes
        return sequences, self._blocks(boxes_around(self.outermost, axes, sequences, eps), given)

    def _in_order(self, sizes: Any, X: Any, name: str) -> Any:
        """Sizes that may have labels, in the order of X or of what the composition was fitted on."""
        wide = not self.transformers or isinstance(self.transformers[0], SequenceScaler)
        names = getattr(self.outermost, "feature_names_in_", None)
        return sizes_by_position(sizes, X, name, names=names, wide=wide)

    def _blocks(
        self, parts: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]], given: "Given | None"
    ) -> Iterator[Block]:
        for rows, part, radii in parts:
            for block in row_blocks(part):
                X = part[block]
                low, high = self._ends(given, rows[block], X)(np.arange(len(X)), radii[block])
                if given is not None:
                    still = np.flatnonzero(~radii[block].any(axis=(1, 2)))
                    # Nothing but X itself, as it is computed in its own dtype.
                    low[still] = high[still] = torch.from_numpy(X[still].astype(np.float64))
                yield rows[block], X, low, high

    def balls(self, X: Any) -> tuple[int, Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, Ends]]]:
        """How many sequences there are, and some at a time: indices, sequences, sizes (m,) of X, boxes of any radius.

        The sizes and the radii are in the units of X, the sequences and the boxes are behind the transformers.
        """
        given, sequences = self._given(X)
        return len(sequences), self._balls(given, sequences)

    def _balls(
        self, given: "Given | None", sequences: Sequences
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, Ends]]:
        for rows, part in sequences.by_length():
            for block in row_blocks(part):
                X = part[block]
                if X.dtype.kind != "f":  # of a file; the negative of an integer may not be one
                    X = X.astype(np.float64)
                values = X if given is None else given.values(rows[block]).astype(np.float64)
                size = np.abs(values).reshape(len(X), -1).max(axis=1)
                yield rows[block], X, size, self._ends(given, rows[block], X)

    def _given(self, X: Any) -> "tuple[Given | None, Sequences]":
        if not self.transformers:
            return None, as_sequences(self.estimator, X, reset=False)
        given = Given.read(X, self.transformers[0])
        return given, self.sequences(given.whole())

    def _ends(self, given: "Given | None", rows: np.ndarray, X: np.ndarray) -> Ends:
        if given is None:
            return lambda some, radii: boxes(X[some], radii)
        return lambda some, radii: self.ends(given, rows[some], radii)

    def sequences(self, X: Any) -> Any:
        """X behind the transformers, as the network takes it."""
        for transformer in self.transformers:
            X = transformer.transform(X)
        return as_sequences(self.estimator, X, reset=False)

    def training_data(self, X: Any, y: Any) -> tuple[Any, Any]:
        """X and y of a fit of the composition as its estimator was given them."""
        if self.transformers:
            X = Given.read(X, self.transformers[0]).whole()
            for transformer in self.transformers:
                X = transformer.transform(X)
        for target in reversed(self.targets):
            y = check_array(as_plain(y, "y"), ensure_2d=False, allow_nd=True, ensure_all_finite=False, input_name="y")
            # As TransformedTargetRegressor does it.
            transformed = target.transformer_.transform(y.reshape(-1, 1) if y.ndim == 1 else y)
            y = transformed.squeeze(axis=1) if transformed.ndim == 2 and transformed.shape[1] == 1 else transformed
        return X, y

    def ends(self, given: "Given", rows: np.ndarray, radii: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Ends, two tensors (m, L, d) in float64, of the images of boxes around some sequences of one length.

        A box holds inputs in the dtype of X and in wider ones, and scalers compute in the dtype they are given: the
        result contains the images under all of them.
        """
        values = given.values(rows)
        lower, upper = _ends_of(values, radii.reshape(values.shape))
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
        images = (as_sequences(self.estimator, end, reset=False) for end in (lower, upper))
        return [next(image.by_length())[1] for image in images]  # of one length

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
        X in the shape to which ``eps`` refers.
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
        filled = [filled_like(table, values) for table, values in zip(tables, numbers, strict=True)]
        return filled if self.listed else filled[0]


def _numbers(values: Any) -> np.ndarray:
    """Values in a dtype of floats; those missing and infinite are for the composition to refuse."""
    return check_array(values, dtype=_FLOATS, allow_nd=True, ensure_all_finite=False, input_name="X")


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


def _inverse(target: TransformedTargetRegressor, values: np.ndarray) -> np.ndarray:
    """Outputs of the regressor, (n,) or (n, k), in the units and the shape of its target, as ``predict`` does it."""
    columns = values.reshape(len(values), -1)
    back = target.transformer_.inverse_transform(columns)
    one_axis = target._training_dim == 1 and back.shape[1] == 1
    return back[:, 0] if one_axis else back


def _names(classes: tuple[type, ...]) -> str:
    return ", ".join(cls.__name__ for cls in classes)


def _ends_of(X: np.ndarray, radii: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of X ± radii in float64, rounded outwards where the radius is not zero."""
    X = np.asarray(X, dtype=np.float64)
    lower = np.where(radii > 0, np.nextafter(X - radii, -np.inf), X)
    upper = np.where(radii > 0, np.nextafter(X + radii, np.inf), X)
    return lower, upper


def boxes_around(
    estimator: Any, X: Any, sequences: Sequences, eps: Any
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Sequences and the radii of the boxes around them, validated; those of one length together.

    Parameters
    ----------
    estimator : estimator
        Named in error messages.
    X : array-like
        As the caller passed it: its axes are those of ``eps``.
    sequences : Sequences
        The same, folded.
    eps : float or array-like
        One number; one per channel (d,); for 2-D X one per column (L * d,), for 3-D X one per step and channel (L, d);
        an array with as many axes as X that broadcasts to its shape; for sequences of unequal length a list of n arrays
        that broadcast to (L_i, d).

    Returns
    -------
    list of (rows, sequences, radii)
        Indices (m,), and two arrays (m, L, d), the radii in float64.

    Raises
    ------
    ValueError
        If an entry is negative or not finite, or the shape is none of the above.
    TypeError
        If eps is not numeric.
    """
    shape = shape_as_given(X, sequences)
    of_each = len(shape) == 3 and _is_list(eps) and len(eps) == len(sequences)
    if sequences.lengths is None and not of_each:
        radii = _spread(estimator, _checked(eps), shape, sequences.shape)
        return [(rows, part, radii) for rows, part in sequences.by_length()]
    every = _per_sequence(estimator, eps, sequences)
    return [
        (rows, part, np.stack([np.broadcast_to(every[row], part.shape[1:]) for row in rows]))
        for rows, part in sequences.by_length()
    ]


def _checked(eps: Any) -> np.ndarray:
    try:
        radii = np.asarray(as_plain(eps))
    except ValueError as error:  # rows of unequal length
        raise TypeError(f"eps must be a number or an array of numbers, got {eps!r}.") from error
    if radii.dtype.kind not in "iuf":
        raise TypeError(f"eps must be a number or an array of numbers, got {eps!r}.")
    radii = radii.astype(np.float64)
    if not np.isfinite(radii).all():
        raise ValueError("eps must be finite: it holds NaN or infinity.")
    if (radii < 0).any():
        raise ValueError(f"eps must not be negative, got a smallest value of {radii.min():.6g}.")
    return radii


def _per_sequence(estimator: Any, eps: Any, sequences: Sequences) -> list[np.ndarray]:
    """One array of radii for each sequence, which broadcasts to its shape (L_i, d)."""
    n, longest, d = sequences.shape
    lengths = [longest] * n if sequences.lengths is None else sequences.lengths
    if _is_list(eps):
        radii = [_checked(entry) for entry in eps]
    else:
        whole = _checked(eps)
        if whole.shape in ((), (d,)):
            return [whole] * n
        if whole.ndim == 3 and whole.shape[0] in (1, n):
            whole = np.broadcast_to(whole, (n, *whole.shape[1:]))
        radii = list(whole) if whole.ndim == 3 else []
    fits = len(radii) == n and all(
        part.ndim == 2 and part.shape[0] in (1, length) and part.shape[1] in (1, d)
        for part, length in zip(radii, lengths, strict=True)
    )
    if not fits:
        of_lengths = "" if sequences.lengths is None else " of unequal length"
        raise ValueError(
            f"eps does not fit {n} sequences{of_lengths}: {type(estimator).__name__} takes one number, ({d},) "
            f"per channel, ({n}, 1, 1) or ({n}, 1, {d}) per sequence, or a list of {n} arrays of the shapes of the "
            "sequences, in which axes may be 1."
        )
    return radii


def _is_list(eps: Any) -> bool:
    """Whether eps has an array (L_i, d) for each sequence."""
    return isinstance(eps, list | tuple) and any(n_axes(entry) == 2 for entry in eps)


def _spread(
    estimator: Any, radii: np.ndarray, X_shape: tuple[int, ...], folded_shape: tuple[int, int, int]
) -> np.ndarray:
    _, n_steps, n_channels = folded_shape
    per_step = len(X_shape) == 3 and radii.shape == (n_steps, n_channels)
    if radii.shape in ((), (n_channels,)) or per_step:
        return np.broadcast_to(radii, folded_shape)
    if len(X_shape) == 2 and radii.shape == X_shape[1:]:
        return np.broadcast_to(radii.reshape(n_steps, n_channels), folded_shape)
    if radii.ndim == len(X_shape) and all(size in (1, full) for size, full in zip(radii.shape, X_shape, strict=True)):
        return np.broadcast_to(radii, X_shape).reshape(folded_shape)
    columns = f"({n_steps * n_channels},) per column" if len(X_shape) == 2 else f"({n_steps}, {n_channels})"
    raise ValueError(
        f"eps has shape {radii.shape}; {type(estimator).__name__} takes one number, ({n_channels},) per channel, "
        f"{columns}, or the shape of X, {tuple(X_shape)}, in which axes may be 1."
    )


def boxes(X: np.ndarray, radii: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Ends of X ± radii in float64, rounded outwards where the radius is not zero."""
    lower, upper = _ends_of(X, radii)
    if max(-lower.min(), upper.max()) > np.finfo(np.float32).max:
        raise ValueError("X ± eps holds values too large for float32, in which the network computes.")
    return torch.from_numpy(lower), torch.from_numpy(upper)
