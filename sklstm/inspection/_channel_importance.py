"""Importance of channels: how much the score falls if a channel is permuted among the sequences."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_classifier
from sklearn.inspection import permutation_importance
from sklearn.metrics import check_scoring
from sklearn.utils import Bunch, check_consistent_length

from sklstm._layout import Layout
from sklstm._tables import (
    as_plain,
    filled_like,
    is_wide,
    names_of_columns,
    one_set_of_names,
    read_entries,
    sequences_in,
    targets_in,
    wide_places,
)
from sklstm._validation import OPTIONAL_POSITIVE_INT, Number, fresh_random_state
from sklstm.estimators._base import SequenceEstimator
from sklstm.estimators._composition import check_predictor, innermost, layout_of

from ._display import PALETTE, Display, curve_values
from ._model_errors import check_draws, targets

_OPTIONAL_INT = Number(Integral, optional=True)


def channel_importance(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    scoring: str | Callable | Sequence[str] | None = None,
    n_repeats: int = 5,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
    sample_weight: Any = None,
    n_channels: int | None = None,
    channel_names: Sequence[Any] | None = None,
) -> Bunch | dict[str, Bunch]:
    r"""Permutation importance of each channel of sequences.

    The importance of a channel is the decrease of the score when the series of this channel are permuted among the
    sequences. All steps of a series move together. It is `sklearn.inspection.permutation_importance` with channels
    instead of columns: for sequences of one step, the results are equal.

    Parameters
    ----------
    estimator : estimator
        Any fitted classifier or regressor, or a composition such as a Pipeline. The channels are those of its input,
        before the first step.
    X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
        Sequences, preferably of a test set. Padding is permuted with the sequences, so give sequences of unequal length
        as a list.
    y : array-like of shape (n,) or (n, k)
        True targets.
    scoring : str, callable, list of str, dict or None, default=None
        The score, as in scikit-learn's permutation_importance: one or several. None means R² or accuracy. With
        `sklstm.metrics.make_noisy_scorer` you get the importance for noisy inputs.
    n_repeats : int, default=5
        Number of permutations of each channel.
    n_jobs : int or None, default=None
        Number of worker processes, which share the channels. None means 1, and -1 means one per core.
    random_state : int, RandomState instance or None, default=None
        Seed of the permutations.
    sample_weight : array-like of shape (n,), optional
        Weights of the sequences in the score.
    n_channels : int, optional
        Channels per time step of rows (n, L * d). By default that of the estimator of this package inside.
    channel_names : sequence of d names, optional
        Names of the channels. By default those of the columns of a table, or "channel 0" and so on.

    Returns
    -------
    Bunch, or dict of str to Bunch
        Importances, with the attributes ``importances`` (d, n_repeats), ``importances_mean`` (d,), ``importances_std``
        (d,) and ``channel_names``, a list. For several scores, a dict with a Bunch for each.

    Raises
    ------
    TypeError
        If the estimator is neither classifier nor regressor.
    ValueError
        For a bad argument, no y, or arrays of different lengths.
    NotFittedError
        Before `fit`.

    See Also
    --------
    ChannelImportanceDisplay : Draws the importances.

    Notes
    -----
    Sequence i gets the channel of sequence j. If they differ in length, the series of j is stretched or shrunk in time.
    Step t of :math:`L_i` gets the value of step :math:`(t - 1)(L_j - 1)/(L_i - 1) + 1` of :math:`L_j`, rounded. So all
    values are values that occurred, and the first and the last step stay the first and the last. A channel that is
    constant in every sequence stays constant. The length of a sequence is no channel, and is not permuted.

    An importance describes the model, not the data. If two channels hold the same information, a model may use either
    of them. Permuting one of them then makes sequences that do not occur.

    Examples
    --------
    The label depends on channel 0 only:

    >>> import numpy as np
    >>> from sklstm import NoisyRNNClassifier
    >>> from sklstm.inspection import channel_importance
    >>> X = np.random.default_rng(0).standard_normal((100, 6, 2))
    >>> y = X[:, :, 0].sum(axis=1) > 0
    >>> model = NoisyRNNClassifier(8, max_epochs=60, random_state=0).fit(X, y)
    >>> found = channel_importance(model, X, y, random_state=0, channel_names=["sensor", "clock"])
    >>> found.importances.shape
    (2, 5)
    >>> for name, mean in zip(found.channel_names, found.importances_mean):
    ...     print(name, "matters" if mean > 0.2 else "hardly matters")
    sensor matters
    clock hardly matters
    """
    estimator = check_predictor(estimator, "channel_importance")
    check_draws(random_state, n_repeats=n_repeats)
    _OPTIONAL_INT.check("n_jobs", n_jobs)
    OPTIONAL_POSITIVE_INT.check("n_channels", n_channels)
    y = targets(X, y, "channel_importance", sample_weight)
    if not is_classifier(estimator):
        targets_in(y)
    layout = layout_of(estimator)
    if n_channels is not None:
        layout = replace(layout, n_channels=n_channels)
    channels = _channels_of(layout.to_ntc(X), estimator, n_channels)
    names = channels.names if channel_names is None else list(channel_names)
    if len(names) != channels.shape[1]:
        raise ValueError(f"channel_names has {len(names)} names, but X has {channels.shape[1]} channels.")
    check_consistent_length(np.empty(channels.shape), y, sample_weight)
    # scikit-learn permutes the columns of this table. Its entry at (i, c) says which sequence gives channel c to i.
    donors = np.repeat(np.arange(channels.shape[0])[:, None], channels.shape[1], axis=1)
    found = permutation_importance(
        estimator,
        donors,
        y,
        scoring=_ExchangedScorer(check_scoring(estimator, scoring), channels, layout),
        n_repeats=n_repeats,
        n_jobs=n_jobs,
        random_state=fresh_random_state(random_state),
        sample_weight=sample_weight,
    )
    for bunch in found.values() if not isinstance(found, Bunch) else [found]:
        bunch.channel_names = list(names)
    return found


class _ExchangedScorer:
    """Scores an estimator on sequences whose channels come from the sequences that a table (n, d) names."""

    def __init__(self, scorer: Any, channels: "_Channels", layout: Layout) -> None:
        self.scorer, self.channels, self.layout = scorer, channels, layout

    def __call__(self, estimator: Any, donors: NDArray[np.int64], y: Any, **params: Any) -> Any:
        return self.scorer(estimator, self.layout.from_ntc(self.channels.exchanged(donors)), y, **params)


class _Channels:
    """Sequences with the number and names of their channels; ``exchanged`` builds them from other channels."""

    shape: tuple[int, int]
    names: list[Any]

    def exchanged(self, donors: NDArray[np.int64]) -> Any:
        """The sequences in their form, with channel c of sequence i taken from sequence ``donors[i, c]``."""
        raise NotImplementedError


class _OfArray(_Channels):
    """Sequences (n, L, d)."""

    def __init__(self, X: NDArray[Any]) -> None:
        self.X, self.shape = X, (len(X), X.shape[2])
        self.names = _numbered(X.shape[2])

    def exchanged(self, donors: NDArray[np.int64]) -> NDArray[Any]:
        X = np.array(self.X)
        for channel in _moved(donors):
            X[:, :, channel] = self.X[donors[:, channel], :, channel]
        return X


class _OfRows(_Channels):
    """Rows (n, L * d), an array or a table; ``places`` (L, d) has the columns of every step and channel."""

    def __init__(self, X: Any, places: NDArray[np.int64], names: list[Any]) -> None:
        self.X, self.places, self.names = X, places, names
        self.shape = (len(X), places.shape[1])

    def exchanged(self, donors: NDArray[np.int64]) -> Any:
        if hasattr(self.X, "iloc"):  # columns keep their types
            table = self.X.copy()
            for channel in _moved(donors):
                for place in self.places[:, channel]:
                    table.isetitem(place, self.X.iloc[donors[:, channel], place].array)
            return table
        given = np.asarray(self.X)
        rows = np.array(given)
        for channel in _moved(donors):
            places = self.places[:, channel]
            rows[:, places] = given[donors[:, channel]][:, places]
        return filled_like(self.X, rows)


class _OfList(_Channels):
    """Sequences (L_i, d) of a list, arrays or tables."""

    def __init__(self, sequences: list[Any]) -> None:
        one_set_of_names(sequences)
        self.tables, self.arrays = sequences, read_entries(sequences)
        self.shape = (len(sequences), self.arrays[0].shape[1])
        self.names = names_of_columns(sequences[0]) or _numbered(self.shape[1])

    def exchanged(self, donors: NDArray[np.int64]) -> list[Any]:
        moved = _moved(donors)
        sequences = []
        for table, array, givers in zip(self.tables, self.arrays, donors, strict=True):
            values = np.array(array)
            for channel in moved:
                giver = self.arrays[givers[channel]]
                values[:, channel] = giver[_steps(len(giver), len(values)), channel]
            sequences.append(filled_like(table, values))
        return sequences


def _moved(donors: NDArray[np.int64]) -> NDArray[np.int64]:
    """The channels that some sequence takes from another one."""
    return np.flatnonzero((donors != np.arange(len(donors))[:, None]).any(axis=0))


def _steps(n_given: int, n_steps: int) -> NDArray[np.int64]:
    """Steps of a series of length ``n_given`` for a series of length ``n_steps``; a single step is the last one."""
    return np.linspace(n_given - 1, 0, n_steps)[::-1].round().astype(np.int64)


def _numbered(n_channels: int) -> list[str]:
    return [f"channel {channel}" for channel in range(n_channels)]


def _channels_of(X: Any, estimator: Any, n_channels: int | None) -> _Channels:
    """The class for the form of X.

    Raises
    ------
    ValueError
        If X has neither two nor three axes, or the channels of its rows are not known.
    """
    if is_wide(X):
        channels: _Channels = _OfRows(X, *wide_places(X))
    elif not hasattr(X, "columns") and (sequences := sequences_in(X)) is not None:
        channels = _OfList(sequences)
    else:
        X = as_plain(X) if hasattr(X, "columns") else np.asarray(as_plain(X))
        if X.ndim == 3:
            channels = _OfArray(X)
        elif X.ndim == 2:
            d = _channels_of_rows(estimator, X.shape[1]) if n_channels is None else n_channels
            if X.shape[1] % d:
                raise ValueError(
                    f"X has {X.shape[1]} columns, which is no multiple of {d} channels. A row must hold all channels "
                    "of every step. Give n_channels."
                )
            names = (names_of_columns(X) if d == X.shape[1] else None) or _numbered(d)
            return _OfRows(X, np.arange(X.shape[1]).reshape(-1, d), names)
        else:
            raise ValueError(f"X must be sequences (n, L, d), rows (n, L * d) or a list of (L_i, d); got {X.shape}.")
    if n_channels not in (None, channels.shape[1]):
        raise ValueError(f"n_channels is {n_channels}, but X has {channels.shape[1]} channels.")
    return channels


def _name_of(scoring: Any, estimator: Any) -> str:
    if scoring is None:
        return "accuracy" if is_classifier(estimator) else "R²"
    return scoring.replace("_", " ") if isinstance(scoring, str) else "score"


def _channels_of_rows(estimator: Any, n_columns: int) -> int:
    inside = innermost(estimator)
    if isinstance(inside, SequenceEstimator):
        return int(inside.get_params(deep=False)["n_channels"])
    raise ValueError(
        f"X has rows of {n_columns} numbers, and the number of channels per time step is unknown. Give n_channels, or "
        "X with three axes, (n_samples, n_steps, n_channels)."
    )


@dataclass(kw_only=True, eq=False, repr=False)
class ChannelImportanceDisplay(Display):
    """Permutation importance of each channel, as bars.

    Use `from_estimator` to create one. The parameters are stored as attributes.

    Parameters
    ----------
    importances : array-like of shape (d, n_repeats)
        Decrease of the score for each channel and each permutation.
    channel_names : sequence of d names
        Names of the channels.
    estimator_name : str, optional
        Name of the estimator, for the title.
    score_name : str, default="score"
        Name of the score.

    Attributes
    ----------
    bars_ : matplotlib BarContainer
        Means over the permutations, with the largest on top.
    points_ : matplotlib Line2D
        The single permutations.
    ax_ : matplotlib Axes
        Axes with the bars.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    channel_importance : The numbers, and how they are computed.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import NoisyRNNClassifier
    >>> from sklstm.inspection import ChannelImportanceDisplay
    >>> X = np.random.default_rng(0).standard_normal((100, 6, 2))
    >>> y = X[:, :, 0].sum(axis=1) > 0
    >>> model = NoisyRNNClassifier(8, max_epochs=20, random_state=0).fit(X, y)
    >>> names = ["sensor", "clock"]
    >>> display = ChannelImportanceDisplay.from_estimator(model, X, y, channel_names=names, random_state=0)
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]  # the largest is drawn on top
    ['sensor', 'clock']

    You can draw the data again, on other axes or with other options:

    >>> display.plot(height=0.3).ax_ is display.ax_
    True
    """

    importances: ArrayLike
    channel_names: Sequence[Any]
    estimator_name: str | None = None
    score_name: str = "score"

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        scoring: str | Callable | None = None,
        n_repeats: int = 5,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        sample_weight: Any = None,
        n_channels: int | None = None,
        channel_names: Sequence[Any] | None = None,
        ax: Any = None,
        name: str | None = None,
    ) -> Self:
        """Compute the importances of a fitted estimator with `channel_importance`, and draw them.

        Parameters
        ----------
        estimator : estimator
            Any fitted classifier or regressor, or a composition such as a Pipeline.
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            Sequences, preferably of a test set.
        y : array-like of shape (n,) or (n, k)
            True targets.
        scoring : str, callable or None, default=None
            One score. None means R² or accuracy.
        n_repeats : int, default=5
            Number of permutations of each channel.
        n_jobs : int or None, default=None
            Number of worker processes, which share the channels. None means 1, and -1 means one per core.
        random_state : int, RandomState instance or None, default=None
            Seed of the permutations.
        sample_weight : array-like of shape (n,), optional
            Weights of the sequences in the score.
        n_channels : int, optional
            Channels per time step of rows (n, L * d). By default that of the estimator of this package inside.
        channel_names : sequence of d names, optional
            Names of the channels. By default those of the columns of a table, or "channel 0" and so on.
        ax : matplotlib Axes, optional
            Axes to draw on. By default, the axes of a new figure.
        name : str, optional
            Name of the estimator, for the title. By default its class.

        Returns
        -------
        ChannelImportanceDisplay
            A display with importances of shape (d, n_repeats).

        Raises
        ------
        TypeError
            If the estimator is neither classifier nor regressor, or ``scoring`` means several scores.
        ValueError
            For a bad argument, no y, or arrays of different lengths.
        NotFittedError
            Before `fit`.
        """
        cls._check_matplotlib("from_estimator")
        if not (scoring is None or isinstance(scoring, str) or callable(scoring)):
            raise TypeError(f"scoring must be one score, a name or a function, or None; got {scoring!r:.80}.")
        found = channel_importance(
            estimator,
            X,
            y,
            scoring=scoring,
            n_repeats=n_repeats,
            n_jobs=n_jobs,
            random_state=random_state,
            sample_weight=sample_weight,
            n_channels=n_channels,
            channel_names=channel_names,
        )
        if not isinstance(found, Bunch):
            raise TypeError(f"scoring must be one score, but this one returns {', '.join(map(str, found))}.")
        return cls(
            importances=found.importances,
            channel_names=found.channel_names,
            estimator_name=type(innermost(estimator)).__name__ if name is None else name,
            score_name=_name_of(scoring, estimator),
        ).plot(ax)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Axes to draw on, preferably empty. By default, the axes of a new figure.
        name : str, optional
            Name of the estimator, for the title. By default ``estimator_name``.
        **kwargs : dict
            Passed to matplotlib's ``barh``.

        Returns
        -------
        ChannelImportanceDisplay
            The display itself.

        Raises
        ------
        ValueError
            If there is not one row of importances for each channel.
        """
        importances = curve_values("importances", self.importances, len(self.channel_names))
        ax, name = self._open(ax, name)
        order = np.argsort(-importances.mean(axis=1), kind="stable")
        importances, places = importances[order], np.arange(len(order))
        options = {"color": PALETTE["sky blue"], "height": 0.6, "label": "mean"} | kwargs
        self.bars_ = ax.barh(places, importances.mean(axis=1), **options)
        n_repeats = importances.shape[1]
        (self.points_,) = ax.plot(
            importances.ravel(), np.repeat(places, n_repeats), "|", color="black", label="one permutation"
        )
        ax.axvline(0, color="black", linewidth=0.8)
        ax.set_yticks(places, [str(self.channel_names[place]) for place in order])
        ax.set_ylim(len(order) - 0.5, -0.5)  # the largest on top
        if name is not None:
            ax.set_title(name)
        return self._finish(ax, f"decrease of the {self.score_name} when permuted", "channel")
