"""Standardisation of every channel of sequences, by means and variances computed in one pass."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from sklstm._fitted import of_one_fit, take_over
from sklstm._labels import refuse_mixed_rows
from sklstm._layout import LAYOUT, LayoutName
from sklstm._sequences import warn_if_rows_are_times
from sklstm._tables import is_wide, n_axes, names_of_columns, sequences_in, targets_in
from sklstm._validation import API_PAGE, FLAG, POSITIVE_INT, Number, Rule, check_parameters
from sklstm.preprocessing._steps import Steps, blocks, edge_padding, read_steps

RULES: dict[str, Rule] = {
    "n_channels": POSITIVE_INT,
    "layout": LAYOUT,
    "with_mean": FLAG,
    "with_std": FLAG,
    "copy": FLAG,
    "padding_value": Number(Real, optional=True),
}


@dataclass(frozen=True)
class Moments:
    """Weighted count, mean and sum of squared deviations of each channel, in float64.

    Attributes
    ----------
    count : ndarray of shape (d,)
        Sum of the weights of the values seen.
    mean : ndarray of shape (d,)
        Mean of each channel; 0 without values.
    squares : ndarray of shape (d,)
        Weighted sum of squared deviations from the mean.
    """

    count: NDArray[np.float64]
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]

    def __add__(self, other: "Moments") -> "Moments":
        r"""Moments of both samples together, exact up to rounding.

        .. math::
            n = n_a + n_b, \quad \delta = \bar x_b - \bar x_a, \quad \bar x = \bar x_a + \delta\, n_b / n, \quad
            S = S_a + S_b + \delta^2\, n_a n_b / n

        References
        ----------
        Chan, T. F., Golub, G. H. and LeVeque, R. J. (1983). Algorithms for computing the sample variance: analysis and
        recommendations. The American Statistician 37 (3), 242-247.
        """
        count = self.count + other.count
        share = np.divide(other.count, count, out=np.zeros_like(count), where=count > 0)  # n_b / n
        delta = other.mean - self.mean
        with np.errstate(over="ignore", invalid="ignore"):
            # In this order, the product is 0 if a sample is empty, even if the square of delta overflows.
            squares = self.squares + other.squares + delta * (self.count * share) * delta
        return Moments(count, self.mean + delta * share, squares)

    @property
    def variance(self) -> NDArray[np.float64]:
        """Biased variance, as in ``numpy.var``; NaN for a channel without values."""
        return np.divide(self.squares, self.count, out=np.full_like(self.mean, np.nan), where=self.count > 0)

    @property
    def scale(self) -> NDArray[np.float64]:
        """Standard deviation; 1 for a channel that is constant or without values."""
        deviation = np.sqrt(self.variance)
        # The values of a constant channel may differ in their last digits, if they were computed. A deviation of at
        # most ten rounding errors of the mean counts as zero: scaling must not turn it into a signal of size one.
        rounding = 10 * np.finfo(np.float64).eps * np.abs(self.mean)
        return np.where(deviation > rounding, deviation, 1.0)


def moments(values: NDArray, weights: NDArray[np.float64] | None) -> Moments:
    """Weighted moments of the rows; NaN is left out.

    Parameters
    ----------
    values : ndarray of shape (m, d), float32 or float64
        All computations are in float64.
    weights : ndarray of shape (m,) or None
        Non-negative; None: all weights are 1.

    Returns
    -------
    Moments
        A constant channel has its value as mean, and exactly zero squares. After overflow, ``inf`` or NaN.
    """
    d = values.shape[1]
    total = Moments(np.zeros(d), np.zeros(d), np.zeros(d))
    with np.errstate(over="ignore", invalid="ignore"):
        for rows in blocks(len(values), min(1 << 16, max(1, (1 << 20) // max(1, d)))):  # at most 8 MiB
            x = values[rows].astype(np.float64)
            total = total + _block(x, np.ones(len(x)) if weights is None else weights[rows])
    return total


def _block(x: NDArray[np.float64], weights: NDArray[np.float64]) -> Moments:
    """Moments of a block by the corrected two-pass algorithm of Chan, Golub and LeVeque, on shifted values."""
    seen = ~np.isnan(x) & (weights > 0)[:, None]  # (m, d)
    w = np.where(seen, weights[:, None], 0.0)
    count = w.sum(axis=0)
    divisor = np.where(count > 0, count, 1.0)
    # Shift by a value of the channel: a constant channel then has mean zero without rounding.
    shift = np.where(count > 0, x[seen.argmax(axis=0), np.arange(x.shape[1])], 0.0)
    centre = shift + (w * np.where(seen, x - shift, 0.0)).sum(axis=0) / divisor
    deviation = np.where(seen, x - centre, 0.0)
    # Error of the centre by rounding; it is large if the shift is far from the other values.
    error = (w * deviation).sum(axis=0) / divisor
    squares = (w * deviation**2).sum(axis=0) - count * error**2
    return Moments(count, centre + error, np.maximum(squares, 0.0))


class SequenceScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    r"""Standardise every channel of sequences to mean zero and variance one.

    This is ``StandardScaler`` for sequences. With the mean :math:`\bar x_c` and the standard deviation :math:`s_c` of
    channel c over all time steps of all training sequences,

    .. math:: z_{i,t,c} = (x_{i,t,c} - \bar x_c) / s_c

    `transform` returns sequences in the form and the layout of its input.

    Parameters
    ----------
    n_channels : int, default=1
        Number of channels d of 2-D X. Its columns hold all channels of the first step first; the estimators have the
        same parameter. Arrays with three axes and lists have a channel axis; if `n_channels` is not 1, it must be the
        length of that axis.
    with_mean : bool, default=True
        Whether to subtract the mean.
    with_std : bool, default=True
        Whether to divide by the standard deviation.
    copy : bool, default=True
        If False, an array of float32 or float64 is scaled in place, if its memory layout allows this. A list is always
        copied.
    padding_value : float or None, default=None
        Steps in which every channel has this value are padding, if they are at the start or at the end of a sequence.
        `fit` ignores padding, and `transform` leaves it unchanged. Steps between others are data, even if they have
        this value. None: there is no padding.
    layout : {"ntc", "nct"}, default="ntc"
        Axes of X and of the result of `transform`: ``"ntc"`` is (n, time, channels), ``"nct"`` is (n, channels, time),
        as in aeon and sktime. With ``"nct"``, sequences of a list are (d, L_i), and rows have all steps of the first
        channel first. Data frames with a column for each channel, and wide tables, are read by the names of their
        channels in both layouts. Give the estimator after the scaler the same layout.

    Attributes
    ----------
    mean_ : ndarray of shape (d,), float64, or None
        Mean of each channel; NaN for a channel without values in `partial_fit` so far. None if both `with_mean` and
        `with_std` are False.
    var_ : ndarray of shape (d,), float64, or None
        Variance of each channel, biased as in ``numpy.var``. None unless `with_std`.
    scale_ : ndarray of shape (d,), float64, or None
        Standard deviation of each channel; 1 for a constant channel. None unless `with_std`.
    n_samples_seen_ : int, float or ndarray of shape (d,)
        Number of time steps seen in each channel, without NaN and padding; with weights, the sum of their weights. One
        number if it is the same for all channels.
    n_features_in_ : int
        Number of columns L * d after a fit on 2-D X, number of channels d otherwise.
    feature_names_in_ : ndarray of shape (``n_features_in_``,)
        Names of the columns or channels, if they have any.

    See Also
    --------
    pad_sequences : Sequences of unequal length as one array.

    Notes
    -----
    X may be

    - an array (n, L, d);
    - a list of array-likes or data frames (L_i, d) of any lengths; the result is a list of arrays. Entries with one
      axis are refused: use ``x.reshape(-1, 1)`` for one channel;
    - an array or data frame (n, L * d), see `n_channels`;
    - a data frame whose columns are pairs (time, channel). The result is an array (n, L, d), with times and channels in
      the order in which they first occur.

    Tensors are read like arrays; the result is an array. After a fit on 2-D X, every form can be transformed. After a
    fit on another form, every form except 2-D X can be. float32 and float64 are kept; other numbers become float64. All
    computations are in float64, so that a small variance around a large mean is not lost.

    NaN is a missing value: `fit` leaves it out, and it stays NaN in the result. There is no parameter for a mask,
    because every later step of a pipeline would need the mask too. Mark missing steps by NaN instead:
    ``np.where(mask[:, :, None], X, np.nan)``.

    Padding is recognised by its value. With one channel, a first or last measurement equal to `padding_value` is
    therefore taken for padding. In `inverse_transform`, this happens to a measurement whose scaled value is
    `padding_value`. Give such sequences as a list, without padding.

    ``set_output(transform="pandas")`` works for 2-D X. Other forms do not fit in a data frame and are refused.

    Examples
    --------
    >>> from sklstm.datasets import load_japanese_vowels
    >>> from sklstm.preprocessing import SequenceScaler
    >>> X = load_japanese_vowels(padded=False).data  # a list of arrays (L_i, 12)
    >>> scaler = SequenceScaler().fit(X)
    >>> scaler.mean_.shape, scaler.n_samples_seen_
    ((12,), 4274)
    >>> scaler.transform(X)[0].shape
    (20, 12)

    The same sequences with zeros before the first step; these zeros stay zero:

    >>> padded = load_japanese_vowels().data  # (270, 29, 12)
    >>> scaler = SequenceScaler(padding_value=0).fit(padded)
    >>> scaler.n_samples_seen_, scaler.transform(padded)[0, 0, 0].item()
    (4274, 0.0)
    """

    mean_: NDArray[np.float64] | None
    var_: NDArray[np.float64] | None
    scale_: NDArray[np.float64] | None
    n_samples_seen_: int | float | NDArray
    _moments: Moments
    _counted: bool

    _doc_link_module, _doc_link_template = "sklstm", API_PAGE

    def __init__(
        self,
        n_channels: int = 1,
        *,
        with_mean: bool = True,
        with_std: bool = True,
        copy: bool = True,
        padding_value: float | None = None,
        layout: LayoutName = "ntc",
    ) -> None:
        self.n_channels = n_channels
        self.with_mean = with_mean
        self.with_std = with_std
        self.copy = copy
        self.padding_value = padding_value
        self.layout = layout

    def fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn mean and standard deviation of every channel.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), list of (L_i, d) array-likes, or data frame
            Sequences in one of the forms listed in Notes.
        y : array-like of shape (n,), default=None
            Ignored; but if it has row labels, they must be those of X.
        sample_weight : array-like of shape (n,), default=None
            Weight of each sequence. Every step of the sequence has this weight, so a longer sequence counts for more.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X has another shape, holds infinity, or has a channel without a value.
        """
        refuse_mixed_rows(X, y, sample_weight)
        if len(names_of_columns(X) or ()) > 1:
            warn_if_rows_are_times(X, self.n_channels, type(self).__name__)
        return self._learn(X, sample_weight, first=True)

    def partial_fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn from more sequences; the result is that of one fit on these and all earlier sequences.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), list of (L_i, d) array-likes, or data frame
            A channel without a value is allowed.
        y : array-like of shape (n,), default=None
            Ignored; but if it has row labels, they must be those of X.
        sample_weight : array-like of shape (n,), default=None
            Weight of each sequence. None: every weight is 1.

        Returns
        -------
        self

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm.preprocessing import SequenceScaler
        >>> X = np.arange(12.0).reshape(3, 4, 1)
        >>> scaler = SequenceScaler()
        >>> for sequence in X:
        ...     scaler = scaler.partial_fit(sequence[None])
        >>> scaler.mean_.item(), scaler.n_samples_seen_  # of all 12 steps
        (5.5, 12)
        """
        refuse_mixed_rows(X, y, sample_weight)
        return self._learn(X, sample_weight, first=not hasattr(self, "_moments"), whole=False)

    @of_one_fit
    def transform(self, X: Any) -> Any:
        """Scale sequences.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), list of (L_i, d) array-likes, or data frame
            Sequences of the channels seen in fit.

        Returns
        -------
        ndarray of the shape of X, or list or Series of n ndarrays or data frames (L_i, d)
            The form of X, float32 if X is float32, float64 otherwise. Data frames of sequences keep their columns and
            index, and a Series its own. A data frame with a row for each sequence becomes an array without labels,
            unless `set_output` says otherwise: (n, L, d) for (time, channel) columns.
        """
        check_is_fitted(self)
        self._refuse_frames_of_sequences(X)
        mean, scale = self._centre_and_scale()
        steps = read_steps(self, X, reset=False, copy=self.copy)
        return self._rescaled(steps, lambda x: (x - mean) / scale)

    @of_one_fit
    def inverse_transform(self, X: Any) -> Any:
        """Undo the scaling.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), list of (L_i, d) array-likes, or data frame
            Scaled sequences; names of columns are not compared.

        Returns
        -------
        ndarray of the shape of X, or list or Series of n ndarrays or data frames (L_i, d)
            float32 if X is float32, float64 otherwise.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm.preprocessing import SequenceScaler
        >>> X = [np.array([[1.0], [3.0]]), np.array([[5.0]])]
        >>> scaler = SequenceScaler().fit(X)
        >>> bool(np.allclose(scaler.inverse_transform(scaler.transform(X))[1], X[1]))
        True
        """
        check_is_fitted(self)
        mean, scale = self._centre_and_scale()
        steps = read_steps(self, X, reset=False, copy=self.copy, names=False)
        return self._rescaled(steps, lambda x: x * scale + mean)

    @of_one_fit
    def _transform_ends(self, lower: Any, upper: Any) -> tuple[Any, Any]:
        """Bounds, entry by entry, on `transform(X)` for every X between `lower` and `upper`, which have one form.

        Without padding, these are `transform(lower)` and `transform(upper)`. If a step may or may not be padding, its
        bounds allow both the unchanged value and the scaled values.
        """
        check_is_fitted(self)
        mean, scale = self._centre_and_scale()
        ends = [read_steps(self, X, reset=False, copy=True) for X in (lower, upper)]
        low, high = np.minimum(*(end.values for end in ends)), np.maximum(*(end.values for end in ends))
        if self.padding_value is not None:
            value = self.padding_value
            possible = ((low <= value) & (value <= high)).all(axis=1)
            # An entry with more than one possible value becomes NaN, which is no padding; a missing value stays NaN.
            certain = edge_padding(np.where(low == high, low, np.nan), ends[0].lengths, value)
        for end, values in zip(ends, (low, high), strict=True):
            end.values[...] = (values.astype(np.float64) - mean) / scale
        if self.padding_value is not None:
            for end, furthest in zip(ends, (np.minimum, np.maximum), strict=True):
                end.values[possible] = furthest(end.values[possible], value)
                end.values[certain] = value
        plain = [replace(end, source=None) for end in ends]  # the steps that read these know the labels already
        return plain[0].restored(), plain[1].restored()

    def _learn(self, X: Any, sample_weight: ArrayLike | None, *, first: bool, whole: bool = True) -> Self:
        check_parameters(self, RULES)
        model = copy.copy(self)
        steps = read_steps(model, X, reset=first)
        n = len(steps.lengths)
        padding = self._padding(steps)
        weights: NDArray[np.float64] | None = None
        if sample_weight is not None or padding is not None:
            each = np.ones(n) if sample_weight is None else _checked_weights(sample_weight, n)
            weights = np.repeat(each, steps.lengths)
            if padding is not None:
                weights[padding] = 0.0
        new = moments(steps.values, weights)
        total = new if first else model._moments + new
        finite = np.isfinite(total.squares)
        if not finite.all():
            channel = int(finite.argmin())
            raise ValueError(
                f"X holds values in channel {channel} whose squares overflow float64. Rescale the channel."
            )
        if whole and not total.count.all():
            channel = int(np.argmin(total.count))
            raise ValueError(
                f"X has no value in channel {channel}: all are NaN, padding or of weight 0. Leave the channel out."
            )

        model._set_moments(total, sample_weight is None and (first or model._counted))
        take_over(self, model)  # in one step: other threads transform with the old statistics or with the new ones
        return self

    def _set_moments(self, total: Moments, counted: bool) -> None:
        """Set what is learnt: moments, and whether their counts are numbers of steps instead of sums of weights."""
        self._moments, self._counted = total, counted
        seen = total.count.astype(np.int64) if counted else total.count
        self.n_samples_seen_ = seen[0].item() if (seen == seen[0]).all() else seen
        self.mean_ = np.where(total.count == 0, np.nan, total.mean) if self.with_mean or self.with_std else None
        self.var_ = total.variance if self.with_std else None
        self.scale_ = total.scale if self.with_std else None

    def _padding(self, steps: Steps) -> NDArray[np.bool_] | None:
        if self.padding_value is None:
            return None
        return edge_padding(steps.values, steps.lengths, self.padding_value)

    def _centre_and_scale(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.asarray(self.mean_ if self.with_mean else 0.0), np.asarray(self.scale_ if self.with_std else 1.0)

    def _rescaled(self, steps: Steps, rescale: Callable[[NDArray], NDArray]) -> Any:
        """Rescale all steps except padding, in float64, and return them in the form of the input."""
        padding = self._padding(steps)
        for rows in blocks(len(steps.values)):
            steps.values[rows] = rescale(steps.values[rows].astype(np.float64))
        if padding is not None:
            steps.values[padding] = self.padding_value
        return steps.restored()

    def _refuse_frames_of_sequences(self, X: Any) -> None:
        """Refuse sequences, before any work, if ``set_output`` requires a data frame, which cannot hold them."""
        output = getattr(self, "_sklearn_output_config", {}).get("transform", get_config()["transform_output"])
        if output != "default" and (is_wide(X) or sequences_in(X) is not None or n_axes(X) > 2):
            raise ValueError(
                f"{type(self).__name__} is set to return {output} frames, which hold 2-D X only, not sequences with a "
                'channel axis. Call set_output(transform="default").'
            )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _checked_weights(sample_weight: ArrayLike, n: int) -> NDArray[np.float64]:
    """Weights of the sequences, (n,); ``ValueError`` unless all are finite and non-negative, and one is positive."""
    weights = np.asarray(targets_in(sample_weight, "sample_weight"), dtype=np.float64)
    if weights.shape != (n,):
        raise ValueError(f"sample_weight must have shape ({n},), one weight for each sequence; got {weights.shape}.")
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError("sample_weight must be finite and not negative.")
    if not weights.any():
        raise ValueError("sample_weight is zero for every sequence. At least one weight must be positive.")
    return weights
