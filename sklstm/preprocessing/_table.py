"""Sequences from a long table: one row for each identity and time."""

from collections.abc import Hashable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from sklstm._validation import FLAG, check_parameters
from sklstm.preprocessing._columns import (
    column,
    column_names,
    first_places,
    is_missing,
    looked_up,
    number_column,
    time_ranks,
)
from sklstm.preprocessing._sequences import split


# No data frame can hold a list of sequences, so there is no set_output.
class SequencesFromTable(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]  # scikit-learn has no types
    """Gather the rows of a long table into one sequence for each id.

    Parameters
    ----------
    id : str or hashable
        Name of the column that says to which sequence a row belongs.
    time : str or hashable, default=None
        Name of the column, of numbers or of dates and times, by which the rows of a sequence are put in order. None
        keeps the order of the table.
    channels : list of names, default=None
        Columns that become the channels, in this order. None takes all columns of the table given to `fit` but `id`,
        `time` and `target`.
    target : name or list of names, default=None
        Column, or columns, of what is to be predicted, the same in all rows of an id: kept out of the channels, and
        returned by `get_targets`. It need not be there when `transform` is called.
    allow_nan : bool, default=False
        Let NaN in channels pass instead of refusing it; `SequenceScaler` passes it on, the estimators refuse it.

    Attributes
    ----------
    channels_ : list of names
        Columns that become the channels.
    n_features_in_ : int
        Columns of the table given to `fit`.
    feature_names_in_ : ndarray of shape (``n_features_in_``,)
        Their names, if all are strings.

    See Also
    --------
    sliding_windows : Windows of one long series.
    pad_sequences : The sequences as one array.

    Notes
    -----
    The order of the sequences is that in which their ids first appear in the table; `get_ids` and `get_targets` return
    ids and targets in the same order. Columns are found by name, so their order does not matter and further ones are
    ignored. A table is a pandas DataFrame, or any object with ``columns`` and with ``table[name]`` that NumPy can
    convert to an array.

    A table has more rows than sequences. In a pipeline, this can be the first step, with one target for each sequence:
    ``pipeline.fit(table, y)`` and ``pipeline.predict(table)`` work. Cross-validation does not, because it would split
    the rows: transform first, and search over the list. Without statistics of the data, nothing leaks by that.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklstm.preprocessing import SequencesFromTable
    >>> table = pd.DataFrame(
    ...     {"pump": ["b", "a", "b", "a"], "hour": [2, 0, 0, 1], "bar": [7.0, 4, 5, 4], "failed": [1, 0, 1, 0]}
    ... )
    >>> gather = SequencesFromTable("pump", "hour", target="failed")
    >>> [sequence.ravel() for sequence in gather.fit_transform(table)]
    [array([5., 7.]), array([4., 4.])]
    >>> gather.get_ids(table), gather.get_targets(table)
    (array(['b', 'a'], dtype=object), array([1, 0]))
    >>> gather.get_feature_names_out()
    array(['bar'], dtype=object)

    The channels are those of the table given to `fit`, in new tables too, where the target is not known yet:

    >>> new = pd.DataFrame({"bar": [6.0], "hour": [0], "pump": ["c"]})
    >>> gather.fit(table).transform(new)
    [array([[6.]])]
    """

    def __init__(
        self,
        id: Hashable,
        time: Hashable | None = None,
        channels: Sequence[Hashable] | None = None,
        *,
        target: Hashable | Sequence[Hashable] | None = None,
        allow_nan: bool = False,
    ) -> None:
        self.id = id
        self.time = time
        self.channels = channels
        self.target = target
        self.allow_nan = allow_nan

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the columns; of the values, nothing is learned.

        Parameters
        ----------
        X : DataFrame
            The table.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a column named by a parameter is absent, has two roles, or no channel is left.
        TypeError
            If X is not a table, or `channels` is a single name.
        """
        check_parameters(self, {"allow_nan": FLAG})
        names = column_names(X)
        if isinstance(self.channels, str):
            raise TypeError(f"channels must be a list of names; got {self.channels!r}.")
        roles = [self.id, *([] if self.time is None else [self.time]), *self._target_names()]
        if self.channels is None:
            channels = [name for name in names if name not in roles]
        else:
            channels = list(self.channels)
        named = [*roles, *channels]
        twice = next((name for i, name in enumerate(named) if name in named[:i]), None)
        if twice is not None:
            raise ValueError(
                f"Column {twice!r} has two roles: id, time, target and channels must be different columns."
            )
        if not channels:
            raise ValueError("The table has no column left for channels.")
        for name in named:
            column(X, name)
        self.channels_ = channels
        validate_data(self, X, skip_check_array=True)  # n_features_in_ and feature_names_in_
        return self

    def transform(self, X: Any) -> list[NDArray]:
        """Gather the rows.

        Parameters
        ----------
        X : DataFrame
            The table, with the columns `id`, `time` and ``channels_``.

        Returns
        -------
        list of ndarrays of shape (L_i, d)
            One for each id, always a list; float32 if all channels are, float64 otherwise.

        Raises
        ------
        ValueError
            If a column is absent, a channel is not of numbers, an id or a time is missing, an id has two rows of one
            time, or a value is infinite or, without `allow_nan`, missing.
        """
        check_is_fitted(self)
        codes, first = self._groups(X)
        order = self._order(X, codes, first)
        channels = [number_column(X, name) for name in self.channels_]
        values = np.stack([values[order] for values in channels], axis=1)  # (n_rows, d)
        self._check_values(X, values, order)
        return split(values, np.bincount(codes, minlength=len(first)))

    def get_ids(self, X: Any) -> NDArray:
        """Ids in the order of the sequences.

        Parameters
        ----------
        X : DataFrame
            The table.

        Returns
        -------
        ndarray of shape (n,)
        """
        _, first = self._groups(X)
        return column(X, self.id)[first]

    def get_targets(self, X: Any, y: Any = None) -> NDArray:
        """Targets in the order of the sequences.

        Parameters
        ----------
        X : DataFrame
            The table, with the columns `target` if `y` is None.
        y : mapping or Series, default=None
            Target of each id; ids that are not in the table are ignored. None: the columns `target`.

        Returns
        -------
        ndarray of shape (n,) or (n, k)
            Two axes if `target` is a list, or the values of `y` are.

        Raises
        ------
        ValueError
            If a target is missing or differs within an id, an id has no target in `y` or two, or there are neither `y`
            nor `target`.
        TypeError
            If `y` has no ids.
        """
        codes, first = self._groups(X)
        if y is not None:
            return looked_up(y, list(dict.fromkeys(X[self.id])))
        ids = column(X, self.id)[first]
        names = self._target_names()
        if not names:
            raise ValueError("There are no targets: name their column by the parameter target, or give y by id.")
        targets = []
        for name in names:
            values = column(X, name)
            if is_missing(values).any():
                row = int(is_missing(values).argmax())
                raise ValueError(f"Target {name!r} of id {ids[codes[row]]!s} is missing.")
            differs = values != values[first][codes]
            if differs.any():
                row = int(differs.argmax())
                raise ValueError(
                    f"Target {name!r} of id {ids[codes[row]]!s} is both {values[first[codes[row]]]!s} and "
                    f"{values[row]!s}: it must be the same in all rows of an id."
                )
            targets.append(values[first])
        return np.stack(targets, axis=1) if isinstance(self.target, list) else targets[0]

    def get_feature_names_out(self, input_features: Any = None) -> NDArray:
        """Names of the channels.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        ndarray of shape (d,)
        """
        check_is_fitted(self)
        return np.array([str(name) for name in self.channels_], dtype=object)

    def _target_names(self) -> list:
        if self.target is None:
            return []
        return list(self.target) if isinstance(self.target, list) else [self.target]

    def _groups(self, X: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Place of the id of each row among the ids, (n_rows,), and first row of each id, (n,)."""
        column_names(X)
        ids = column(X, self.id)
        if len(ids) == 0:
            raise ValueError("The table has no row.")
        if is_missing(ids).any():
            raise ValueError(
                f"Column {self.id!r} is missing in row {int(is_missing(ids).argmax())}: no id, no sequence."
            )
        return first_places(ids)

    def _order(self, X: Any, codes: NDArray[np.int64], first: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows by id and, within it, by time."""
        if self.time is None:
            return np.argsort(codes, kind="stable")
        times = column(X, self.time)
        ranks = time_ranks(times, self.time)
        order = np.lexsort((ranks, codes))
        same = (np.diff(codes[order]) == 0) & (np.diff(ranks[order]) == 0)
        if same.any():
            row = order[int(same.argmax())]
            label = column(X, self.id)[first[codes[row]]]
            raise ValueError(
                f"Id {label!s} has two rows of the time {times[row]!s} ({int(same.sum())} such in all): average or "
                "drop them."
            )
        return order

    def _check_values(self, X: Any, values: NDArray, order: NDArray[np.int64]) -> None:
        for bad, what, advice in (
            (np.isinf(values), "infinite", "."),
            (np.isnan(values), "missing", ": fill it, or pass allow_nan=True."),
        ):
            if not bad.any() or (what == "missing" and self.allow_nan):
                continue
            step, channel = np.unravel_index(int(bad.argmax()), bad.shape)
            row = order[step]
            when = "" if self.time is None else f" at time {column(X, self.time)[row]!s}"
            raise ValueError(
                f"Channel {self.channels_[channel]!r} of id {column(X, self.id)[row]!s} is {what}{when} "
                f"({int(bad.sum())} such in all){advice}"
            )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # It needs columns by name, and returns fewer sequences than rows.
        tags.input_tags.two_d_array = False
        tags.input_tags.allow_nan = bool(self.allow_nan)
        return tags
