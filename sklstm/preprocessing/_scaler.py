"""Standardisation of every channel of sequences."""

from collections.abc import Callable
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from sklstm._entries import n_axes, sequences_in
from sklstm._validation import FLAG, POSITIVE_INT, Number, Rule, check_parameters
from sklstm._wide import is_wide
from sklstm.preprocessing._moments import Moments, checked_weights, moments
from sklstm.preprocessing._sequences import Steps, blocks, edge_padding, read_steps

RULES: dict[str, Rule] = {
    "n_channels": POSITIVE_INT,
    "with_mean": FLAG,
    "with_std": FLAG,
    "copy": FLAG,
    "padding_value": Number(Real, optional=True),
}


class SequenceScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    r"""Standardise every channel of sequences to mean zero and variance one.

    What ``StandardScaler`` is to rows, this is to sequences: with :math:`\bar x_c` and :math:`s_c` the mean and the
    standard deviation of channel c over all time steps of all training sequences,

    .. math:: z_{i,t,c} = (x_{i,t,c} - \bar x_c) / s_c

    Sequences come back in the form in which they were given.

    Parameters
    ----------
    n_channels : int, default=1
        Channels d of 2-D X, whose columns are the steps in order, all channels of the first step first; the same
        parameter as the estimators'. Arrays of three axes and lists have a channel axis; with a value other than 1,
        their number of channels is compared with it.
    with_mean : bool, default=True
        Subtract the mean.
    with_std : bool, default=True
        Divide by the standard deviation.
    copy : bool, default=True
        If False, an array of float32 or float64 is scaled in place where its memory layout allows. A list is
        always copied.
    padding_value : float or None, default=None
        Steps at the start and at the end of a sequence in which every channel has this value are padding: they play no
        part in fit and keep the value. Steps between others are data, whatever their value. None: there is no padding.

    Attributes
    ----------
    mean_ : ndarray of shape (d,), float64, or None
        Mean of each channel; NaN for one of which `partial_fit` has seen no value yet. None if neither `with_mean` nor
        `with_std`.
    var_ : ndarray of shape (d,), float64, or None
        Variance of each channel, biased as ``numpy.var``. None unless `with_std`.
    scale_ : ndarray of shape (d,), float64, or None
        Standard deviation of each channel, 1 for a constant one. None unless `with_std`.
    n_samples_seen_ : int, float or ndarray of shape (d,)
        Time steps seen in each channel, without NaN and padding, or the sum of their weights; one number if all
        channels agree.
    n_features_in_ : int
        Columns L * d after 2-D X, channels d otherwise.
    feature_names_in_ : ndarray of shape (``n_features_in_``,)
        Names of the columns or channels, if they have any.

    See Also
    --------
    pad_sequences : Sequences of unequal length as one array.

    Notes
    -----
    X may be

    - an array (n, L, d);
    - a list of array-likes (L_i, d) of any lengths, data frames among them; it comes back as a list of arrays. Entries
      of one axis are refused: ``x.reshape(-1, 1)`` has one channel;
    - an array or data frame (n, L * d), see `n_channels`;
    - a data frame whose columns are pairs (time, channel), times and channels in the order of their first column; it
      comes back as an array (n, L, d).

    Tensors are read like arrays and come back as arrays. After 2-D X in fit, any of these forms can be transformed;
    after another form, all but 2-D X. float32 and float64 are kept, other numbers become float64; statistics and
    differences are computed in float64 either way, so that a small variance about a large mean survives.

    NaN is a missing value: left out in fit, and NaN in the result. There is no mask argument, because a mask would have
    to reach every later step of a pipeline as well; ``np.where(mask[:, :, None], X, np.nan)`` says the same to all.

    Padding is recognised by its value. In a sequence of one channel, a first or last reading that happens to equal
    `padding_value` is taken for padding, in `inverse_transform` also one that was scaled to it; give such sequences as
    a list.

    ``set_output(transform="pandas")`` works for 2-D X. Other forms have no data frame to be put in and are refused.

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

    The same with zeros before each sequence, which stay zeros:

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

    def __init__(
        self,
        n_channels: int = 1,
        *,
        with_mean: bool = True,
        with_std: bool = True,
        copy: bool = True,
        padding_value: float | None = None,
    ) -> None:
        self.n_channels = n_channels
        self.with_mean = with_mean
        self.with_std = with_std
        self.copy = copy
        self.padding_value = padding_value

    def fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn mean and standard deviation of every channel.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), list of (L_i, d) array-likes, or data frame
            Sequences in one of the forms in the notes.
        y : None
            Ignored.
        sample_weight : array-like of shape (n,), default=None
            Weight of each sequence: of every one of its steps, so a longer sequence counts for more.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X has another shape, holds infinity, or has a channel without any value.
        """
        return self._learn(X, sample_weight, first=True)

    def partial_fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn from further sequences, as if they had been given together with all earlier ones.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), list of (L_i, d) array-likes, or data frame
            A channel may be without any value.
        y : None
            Ignored.
        sample_weight : array-like of shape (n,), default=None
            Weight of each sequence; one without counts 1.

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
        return self._learn(X, sample_weight, first=not hasattr(self, "_moments"), whole=False)

    def transform(self, X: Any) -> NDArray | list[NDArray]:
        """Scale sequences.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), list of (L_i, d) array-likes, or data frame
            Sequences of the channels seen in fit.

        Returns
        -------
        ndarray of the shape of X, or list of ndarrays of shape (L_i, d)
            float32 if X is, float64 otherwise; data frames with (time, channel) columns as (n, L, d).
        """
        check_is_fitted(self)
        self._refuse_frames_of_sequences(X)
        mean, scale = self._centre_and_scale()
        steps = read_steps(self, X, reset=False, copy=self.copy)
        return self._rescaled(steps, lambda x: (x - mean) / scale)

    def inverse_transform(self, X: Any) -> NDArray | list[NDArray]:
        """Undo the scaling.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), list of (L_i, d) array-likes, or data frame
            Scaled sequences; names of columns are not compared.

        Returns
        -------
        ndarray of the shape of X, or list of ndarrays of shape (L_i, d)
            float32 if X is, float64 otherwise.

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

    def _transform_ends(self, lower: Any, upper: Any) -> tuple[Any, Any]:
        """Ends, entry by entry, of what `transform` makes of any X between these two, which are of one form.

        Without padding these are the two transformed. Where a step may be padding or not, both are possible: its value
        unchanged, and scaled.
        """
        check_is_fitted(self)
        mean, scale = self._centre_and_scale()
        ends = [read_steps(self, X, reset=False, copy=True) for X in (lower, upper)]
        low, high = np.minimum(*(end.values for end in ends)), np.maximum(*(end.values for end in ends))
        if self.padding_value is not None:
            value = self.padding_value
            possible = ((low <= value) & (value <= high)).all(axis=1)
            # NaN, which is no padding, where there is more than one value; a missing value stays one.
            certain = edge_padding(np.where(low == high, low, np.nan), ends[0].lengths, value)
        for end, values in zip(ends, (low, high), strict=True):
            end.values[...] = (values.astype(np.float64) - mean) / scale
        if self.padding_value is not None:
            for end, furthest in zip(ends, (np.minimum, np.maximum), strict=True):
                end.values[possible] = furthest(end.values[possible], value)
                end.values[certain] = value
        return ends[0].restored(), ends[1].restored()

    def _learn(self, X: Any, sample_weight: ArrayLike | None, *, first: bool, whole: bool = True) -> Self:
        check_parameters(self, RULES)
        steps = read_steps(self, X, reset=first)
        n = len(steps.lengths)
        padding = self._padding(steps)
        weights: NDArray[np.float64] | None = None
        if sample_weight is not None or padding is not None:
            each = np.ones(n) if sample_weight is None else checked_weights(sample_weight, n)
            weights = np.repeat(each, steps.lengths)
            if padding is not None:
                weights[padding] = 0.0
        new = moments(steps.values, weights)
        total = new if first else self._moments + new
        if not np.isfinite(total.squares).all():
            channel = int(np.argmin(np.isfinite(total.squares)))
            raise ValueError(f"X holds values in channel {channel} whose squares overflow float64. Rescale it.")
        if whole and not total.count.all():
            channel = int(np.argmin(total.count))
            raise ValueError(f"X has no value in channel {channel}: all are NaN, padding or of weight 0. Leave it out.")

        counted = sample_weight is None and (first or self._counted)
        self._moments, self._counted = total, counted
        seen = total.count.astype(np.int64) if counted else total.count
        self.n_samples_seen_ = seen[0].item() if (seen == seen[0]).all() else seen
        unknown = total.count == 0
        self.mean_ = np.where(unknown, np.nan, total.mean) if self.with_mean or self.with_std else None
        self.var_ = total.variance if self.with_std else None
        self.scale_ = total.scale if self.with_std else None
        return self

    def _padding(self, steps: Steps) -> NDArray[np.bool_] | None:
        if self.padding_value is None:
            return None
        return edge_padding(steps.values, steps.lengths, self.padding_value)

    def _centre_and_scale(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.asarray(self.mean_ if self.with_mean else 0.0), np.asarray(self.scale_ if self.with_std else 1.0)

    def _rescaled(self, steps: Steps, rescale: Callable[[NDArray], NDArray]) -> NDArray | list[NDArray]:
        """All steps but padding, changed in float64, in the form they came in."""
        padding = self._padding(steps)
        for rows in blocks(len(steps.values)):
            steps.values[rows] = rescale(steps.values[rows].astype(np.float64))
        if padding is not None:
            steps.values[padding] = self.padding_value
        return steps.restored()

    def _refuse_frames_of_sequences(self, X: Any) -> None:
        """Before any work: sequences cannot be put in the data frame that ``set_output`` asks for."""
        output = getattr(self, "_sklearn_output_config", {}).get("transform", get_config()["transform_output"])
        if output != "default" and (is_wide(X) or sequences_in(X) is not None or n_axes(X) > 2):
            raise ValueError(
                f"{type(self).__name__} is set to return {output} frames, which hold 2-D X only, not sequences with an "
                'axis of channels. Call set_output(transform="default").'
            )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
