"""Sequences from a long table, which has one row for each id and time."""

import copy
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from sklstm._fitted import of_one_fit, take_over
from sklstm._labels import as_index, is_missing, labelled, numbered, refuse_texts
from sklstm._tables import names_of_columns, numbers_in
from sklstm._validation import API_PAGE, FLAG, check_parameters
from sklstm.preprocessing._steps import split


# A data frame cannot hold a list of sequences, so there is no set_output.
class SequencesFromTable(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]  # scikit-learn has no types
    """Gather the rows of a long table into one sequence for each id.

    Parameters
    ----------
    id : str or hashable
        Name of the column that says which sequence a row belongs to.
    time : str or hashable, default=None
        Name of the column by which the rows of a sequence are sorted; it holds numbers, or dates and times. None keeps
        the order of the table.
    channels : list of names, default=None
        Columns that become the channels, in this order. None takes all columns of the table given to `fit`, except
        `id`, `time` and `target`.
    target : name or list of names, default=None
        Column or columns to predict, with the same value in all rows of an id. They are not channels; `get_targets`
        returns them. The table given to `transform` may lack them.
    allow_nan : bool, default=False
        Whether channels may hold NaN. `SequenceScaler` keeps NaN; the estimators refuse it.

    Attributes
    ----------
    channels_ : list of names
        Columns that become the channels.
    n_features_in_ : int
        Number of columns of the table given to `fit`.
    feature_names_in_ : ndarray of shape (``n_features_in_``,)
        Names of these columns, if all are strings.

    See Also
    --------
    sliding_windows : Windows of one long series.
    pad_sequences : The sequences as one array.

    Notes
    -----
    Sequences are in the order in which their ids first appear in the table; `get_ids` and `get_targets` return ids and
    targets in the same order. Columns are found by name, so their order does not matter, and other columns are ignored.
    A table is a pandas DataFrame, or any object that has ``columns`` and whose ``table[name]`` NumPy can convert to an
    array.

    A table has more rows than there are sequences. As the first step of a pipeline, with one target for each sequence,
    this class works in ``pipeline.fit(table, y)`` and ``pipeline.predict(table)``. Cross-validation of such a pipeline
    does not work, because it splits the rows. Transform first, and cross-validate on the sequences. This leaks nothing
    from test data, because no statistic of the data is learned.

    Targets with ids in another order are refused, unless something in between drops their index. A
    TransformedTargetRegressor around a pipeline that begins with this class does so: transform first.

    For groups of ids, such as the patients of several recordings, name their column in `target` too. ``target=["label",
    "patient"]`` makes both columns of what `get_targets` returns.

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

    A new table gives the same channels as the table given to `fit`; it need not have the target:

    >>> new = pd.DataFrame({"bar": [6.0], "hour": [0], "pump": ["c"]})
    >>> list(gather.fit(table).transform(new))
    [array([[6.]])]
    """

    _doc_link_module, _doc_link_template = "sklstm", API_PAGE

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
        """Find the columns; nothing is learned from their values.

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
            If a column that a parameter names is absent or has two roles, or if no channel is left.
        TypeError
            If X is not a table, or `channels` is a single name.
        """
        check_parameters(self, {"allow_nan": FLAG})
        names = _names(X)
        if isinstance(self.channels, str):
            raise TypeError(f"channels must be a list of names; got {self.channels!r}.")
        roles = [self.id, *([] if self.time is None else [self.time]), *self._target_names()]
        if self.channels is None:
            channels = [name for name in names if name not in roles]
        else:
            channels = list(self.channels)
        named = [*roles, *channels]
        _refuse_repeated(named, "Column {!r} has two roles: id, time, target and channels must be different columns.")
        if not channels:
            raise ValueError("The table has no column left for channels. Name the channels, or add columns.")
        for name in named:
            _check_name(X, name)
        model = copy.copy(self)
        model.channels_ = channels
        validate_data(model, X, skip_check_array=True)  # n_features_in_ and feature_names_in_
        take_over(self, model)
        return self

    @of_one_fit
    def transform(self, X: Any) -> Any:
        """Gather the rows of each id.

        Parameters
        ----------
        X : DataFrame
            The table, with the columns `id`, `time` and ``channels_``.

        Returns
        -------
        Series or list of ndarrays of shape (L_i, d)
            One array for each id; float32 if all channels are float32, float64 otherwise. Of a table of pandas, they
            come in a Series whose index holds the ids. If y has an index, it must hold these ids too.

        Raises
        ------
        ValueError
            If a column is absent, a channel does not hold numbers, an id or a time is missing, or a value is infinite.
            Also if an id has two rows of one time, or if a value is missing and `allow_nan` is False.
        """
        check_is_fitted(self)
        ids, codes, first = self._groups(X)
        order = self._order(X, ids, codes)
        channels = [_numbers(X, name) for name in self.channels_]
        values = np.stack([values[order] for values in channels], axis=1)  # (n_rows, d)
        self._check_values(X, values, order)
        sequences = split(values, np.bincount(codes))
        return labelled(sequences, as_index(X[self.id])[first]) if hasattr(X, "iloc") else sequences

    def get_ids(self, X: Any) -> NDArray:
        """Return the ids in the order of the sequences.

        Parameters
        ----------
        X : DataFrame
            The table.

        Returns
        -------
        ndarray of shape (n,)
        """
        return self._groups(X)[0]

    def get_targets(self, X: Any, y: Any = None) -> NDArray:
        """Return the targets in the order of the sequences.

        Parameters
        ----------
        X : DataFrame
            The table, with the columns `target` if `y` is None.
        y : mapping or Series, default=None
            Target of each id; ids that are not in the table are ignored. None: the columns `target` of the table.

        Returns
        -------
        ndarray of shape (n,) or (n, k)
            Two axes if `target` is a list, or the targets in `y` are lists.

        Raises
        ------
        ValueError
            If a target is missing, or an id has two different targets. If an id has no target or two targets in `y`. If
            neither `y` nor `target` is given.
        TypeError
            If `y` is neither a mapping nor a Series.
        """
        ids, codes, first = self._groups(X)
        if y is not None:
            return _targets_by_id(y, list(dict.fromkeys(X[self.id])))
        names = self._target_names()
        if not names:
            raise ValueError("There are no targets: name their column with the parameter target, or pass y.")
        targets = []
        for name in names:
            values = _column(X, name)
            missing = is_missing(values)
            if missing.any():
                raise ValueError(f"Target {name!r} of id {ids[codes[int(missing.argmax())]]!s} is missing.")
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
        """Return the names of the channels.

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

    def _groups(self, X: Any) -> tuple[NDArray, NDArray[np.int64], NDArray[np.int64]]:
        """Ids in the order of the sequences, (n,), index of the id of each row, (n_rows,), and first row of each id."""
        _names(X)
        labels = _column(X, self.id)
        if len(labels) == 0:
            raise ValueError("The table has no row.")
        _refuse_missing(labels, self.id, "an id")
        codes, _ = numbered(X[self.id])
        first = np.unique(codes, return_index=True)[1]
        return labels[first], codes, first

    def _order(self, X: Any, ids: NDArray, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows sorted by id and, within an id, by time."""
        if self.time is None:
            return np.argsort(codes, kind="stable")
        _check_name(X, self.time)
        times = as_index(X[self.time])  # time zones and periods are integers inside, and no object for each row
        ranks = _time_ranks(times, self.time)
        order = np.lexsort((ranks, codes))
        same = (np.diff(codes[order]) == 0) & (np.diff(ranks[order]) == 0)
        if same.any():
            row = order[int(same.argmax())]
            raise ValueError(
                f"Id {ids[codes[row]]!s} has two rows of the time {times[row]!s} (number of such pairs: "
                f"{int(same.sum())}). Keep one of them, or their average."
            )
        return order

    def _check_values(self, X: Any, values: NDArray, order: NDArray[np.int64]) -> None:
        """Refuse infinite values, and missing ones unless allowed; row i of the values is row order[i] of X."""
        refused = [(np.isinf(values), "infinite", ".")]
        if not self.allow_nan:
            refused.append((np.isnan(values), "missing", ": fill it, or pass allow_nan=True."))
        for bad, what, advice in refused:
            if bad.any():
                step, channel = np.unravel_index(int(bad.argmax()), bad.shape)
                row = order[step]
                when = "" if self.time is None else f" at time {as_index(X[self.time])[row]!s}"
                raise ValueError(
                    f"Channel {self.channels_[channel]!r} of id {_column(X, self.id)[row]!s} is {what}{when} "
                    f"(number of such values: {int(bad.sum())}){advice}"
                )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # X needs named columns, and there are fewer sequences than rows.
        tags.input_tags.two_d_array = False
        tags.input_tags.allow_nan = bool(self.allow_nan)
        return tags


def _names(table: Any) -> list:
    """Names of the columns; ``TypeError`` or ``ValueError`` if this is no table or a name occurs twice."""
    names = names_of_columns(table)
    if names is None or not hasattr(table, "__getitem__"):
        raise TypeError(
            f"X must be a table with named columns, such as a pandas DataFrame; got {type(table).__name__}."
        )
    _refuse_repeated(names, "The table has two columns {!r}.")
    return names


def _refuse_repeated(names: list, message: str) -> None:
    repeated = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if repeated is not None:
        raise ValueError(message.format(repeated))


def _check_name(table: Any, name: Hashable) -> None:
    names = list(table.columns)
    if name not in names:
        levels = list(getattr(getattr(table, "index", None), "names", None) or [])
        hint = " It is a level of the index: call reset_index() first." if name in levels else ""
        raise ValueError(f"The table has no column {name!r}; it has {', '.join(map(repr, names))}.{hint}")


def _column(table: Any, name: Hashable) -> NDArray:
    """A column as an array of shape (n_rows,)."""
    _check_name(table, name)
    return np.asarray(table[name])


def _numbers(table: Any, name: Hashable) -> NDArray:
    """A column as float32 or float64, missing values as NaN; ``ValueError`` if it does not hold numbers."""
    _check_name(table, name)
    try:
        return numbers_in(table[name], f"Column {name!r}")
    except TypeError as error:
        raise ValueError(
            f"Column {name!r} does not hold numbers, but every channel must. Encode it first, or list the other "
            "columns in the parameter channels."
        ) from error


def _refuse_missing(values: NDArray, name: Hashable, what: str) -> None:
    missing = is_missing(values)
    if missing.any():
        raise ValueError(f"Column {name!r} has no value in row {int(missing.argmax())}; every row needs {what}.")


def _time_ranks(labels: Any, name: Hashable) -> NDArray[np.int64]:
    """Rank of each time among the different times; ``ValueError`` if a time is missing or they cannot be sorted."""
    if getattr(labels, "hasnans", False):
        _refuse_missing(np.asarray(labels), name, "a time")
    times = labels.asi8 if hasattr(labels, "asi8") else np.asarray(labels)
    _refuse_missing(times, name, "a time")
    refuse_texts(times, f"Column {name!r}")
    try:
        return np.unique(times, return_inverse=True)[1]
    except TypeError as error:
        raise ValueError(f"Column {name!r} holds times that cannot be compared with each other: {error}") from error


def _targets_by_id(y: Any, ids: Sequence[Hashable]) -> NDArray:
    """Targets in the order of `ids`, from a mapping or a Series whose index holds ids."""
    if isinstance(y, Mapping):
        by_id = y
    elif hasattr(y, "index") and hasattr(y, "items") and getattr(y, "ndim", 0) == 1:
        by_id = dict(y.items())
        if len(by_id) < len(y):
            raise ValueError("The index of y holds an id twice.")
    else:
        raise TypeError("y must give the target of each id: a dict, or a Series with the ids as its index.")
    absent = [label for label in ids if label not in by_id]
    if absent:
        raise ValueError(f"y has no target for id {absent[0]!s} (number of such ids: {len(absent)}).")
    targets = np.array([by_id[label] for label in ids])
    if targets.ndim == 1 and (missing := is_missing(targets)).any():
        raise ValueError(f"The target of id {ids[int(missing.argmax())]!s} is missing in y.")
    return targets
