"""Input with labels: permuted columns, rows, ids and levels give permuted answers or an error, never anything else."""

import functools
import warnings
from collections import defaultdict

import numpy as np
import pandas as pd
from hypothesis import note
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

import sklstm
from sklstm.exceptions import DataWarning, WideCertificateWarning
from sklstm.preprocessing import SequenceScaler, SequencesFromTable, sliding_windows
from tests.support.estimators import CLASSIFIERS, ESTIMATORS, REGRESSORS
from tests.support.fuzz.profiles import holds
from tests.support.fuzz.watch import finding

# ---------------------------------------------------------------- labels

# Names of three columns.
NAMES = {
    "letters": ["b", "a", "c"],
    "numbers": [2, 0, 1],
    "numbers as texts": ["2", "0", "1"],
    "numbers beside texts": [1, "1", "0"],
    "floats": [0.5, -1.0, 2.0],
    "options": ["eps", "robust_eps", "sigma"],
    "other options": ["target", "times", "groups"],
    "tuples": [("a", 1), ("b", 0), ("a", 0)],
    "unicode and spaces": ["Druck [bar]", "日付 1", " x "],
    "None": ["a", None, "b"],
    "NaN": ["a", np.nan, "b"],
    "dates": list(pd.date_range("2024", periods=3)[::-1]),
    "bools": [True, "x", False],
}
SAFE = [name for name in NAMES if name not in ("NaN", "None")]
# scikit-learn takes texts, or names none of which is a text.
UNMIXED = [name for name in SAFE if name not in ("bools", "numbers beside texts")]

_ZONE = "Europe/Berlin"
# Times of n rows, in order. The clock is turned back, or forward, within those with a zone.
TIMES = {
    "dates": lambda n: pd.date_range("2024-01-01", periods=n, freq="D"),
    "zone": lambda n: pd.date_range("2024-10-27 00:00", periods=n, freq="h", tz=_ZONE),
    "zone, spring": lambda n: pd.date_range("2024-03-31 00:00", periods=n, freq="h", tz=_ZONE),
    "periods": lambda n: pd.period_range("2024-01", periods=n, freq="M"),
    "durations": lambda n: pd.timedelta_range("0s", periods=n, freq="90s"),
    "integers": lambda n: pd.Index(3 + 2 * np.arange(n)),
    "floats": lambda n: pd.Index(np.arange(n) / 4 - 1),
    "nanoseconds": lambda n: pd.DatetimeIndex(np.arange(n) + 1_700_000_000_000_000_000),
}
# Labels of n rows that are no times.
LABELS = {
    "texts": lambda n: pd.Index([f"row {i * 7 % 100}" for i in range(n)]),
    "categories": lambda n: pd.CategoricalIndex([f"r{i * 7 % 100}" for i in range(n)]),
    "tuples": lambda n: pd.Index([("p", i) for i in range(n)], tupleize_cols=False),
    "mixed": lambda n: pd.Index([i if i % 2 else f"r{i}" for i in range(n)], dtype=object),
}
IDS = {
    "texts": ["p2", "p1", "p10"],
    "integers": [7, 3, 11],
    "dates": list(pd.date_range("2024", periods=3)[[1, 0, 2]]),
    "zone": list(pd.date_range("2024", periods=3, tz=_ZONE)[[2, 0, 1]]),
    "tuples": [("a", 1), ("a", 0), ("b", 0)],
    "texts of numbers": ["2", "10", "1"],
    "bools and texts": [True, "x", False],
}
seeds, names, safe_names = st.integers(0, 999), st.sampled_from(sorted(NAMES)), st.sampled_from(sorted(UNMIXED))
times_of, labels_of = st.sampled_from(sorted(TIMES)), st.sampled_from(sorted(TIMES | LABELS))

taken: dict[str, list] = defaultdict(lambda: [0, 0])  # what was asked -> how often answered and how often refused


def quietly(check):
    """Run a check without the warnings that its small trainings and arrays beside names bring."""

    @functools.wraps(check)
    def quiet(**arguments):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)
            for category in (ConvergenceWarning, DataWarning, WideCertificateWarning):
                warnings.simplefilter("ignore", category)
            check(**arguments)

    return quiet


def either(call, expected, what, *, must=False, never=False, rounded=False):
    """The answer that is expected, or a refusal in words; ``must`` be answered, ``never`` may be.

    Sums in another order are ``rounded`` otherwise; whatever else is to be equal is so bit for bit.
    """
    note(what)
    try:
        found = call()
    except (ValueError, TypeError) as error:
        taken[what][1] += 1
        if type(error).__module__.split(".")[0] not in ("builtins", "sklearn", "sklstm") or not str(error).strip():
            finding(f"{what}: an error of another library, or without words: {error!r}")
        if must:
            finding(f"{what} was refused: {error}")
        return
    except Exception as error:
        finding(f"{what} ended in {error!r}")
    taken[what][0] += 1
    if never:
        finding(f"{what} was taken")
    expected = expected() if callable(expected) else expected
    compare(found, expected, what, rounded)


def compare(found, expected, what, rounded=False):
    if isinstance(expected, tuple | list):
        if len(found) != len(expected):
            finding(f"{what}: {len(found)} parts, and {len(expected)} were expected")
        for one, other in zip(found, expected, strict=True):
            compare(one, other, what, rounded)
        return
    found, expected = np.asarray(found), np.asarray(expected)
    same = found.shape == expected.shape and (
        np.array_equal(found, expected)
        if "O" in (found.dtype.kind, expected.dtype.kind)
        else np.allclose(found, expected, rtol=1e-12, atol=1e-12, equal_nan=True)
        if rounded
        else np.array_equal(found, expected, equal_nan=found.dtype.kind == "f")
    )
    if not same:
        finding(f"{what}: {found!r:.300} and not {expected!r:.300}")


def table_of(kind, n, seed, index=None):
    """A table (n, 3) of numbers that float64 holds exactly, no two of them alike."""
    values = np.random.default_rng(seed).permutation(4 * 3 * n)[: 3 * n].reshape(n, 3) / 4
    return pd.DataFrame(values, columns=pd.Index(NAMES[kind], tupleize_cols=False, dtype=object), index=index)


def moved(n, seed):
    """A permutation of n things that moves some."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    return order if (order != np.arange(n)).any() else np.roll(order, 1)


# ---------------------------------------------------------------- series and tables


@holds(0.35, kind=names, rows=labels_of, seed=seeds, window=st.integers(1, 3), horizon=st.integers(1, 2))
@quietly
def windows_of_a_table(kind, rows, seed, window, horizon):
    n = 9
    index = (TIMES | LABELS)[rows](n)
    table, order = table_of(kind, n, seed, index), moved(3, seed)
    which = 0 if table.columns[seed % 3] is None else seed % 3  # a target of None is that of all columns
    target = table.columns[which]
    starts = range(n - window - horizon + 1)
    X = np.stack([table.to_numpy()[at : at + window] for at in starts])
    y = table.to_numpy()[[at + window - 1 + horizon for at in starts], which]
    at = index[[at + window - 1 + horizon for at in starts]]
    told = kind in SAFE and kind != "bools"  # a target may be no bool
    permuted = table.iloc[:, order]
    by_name = functools.partial(sliding_windows, window=window, horizon=horizon)
    # Texts are no times, and other labels are returned as they are.
    with_times = functools.partial(by_name, table, target=target, times=True)
    either(with_times, (X, y, at), "windows, target and times", must=told and rows in TIMES | {"tuples": None})
    either(lambda: by_name(permuted, target=target), (X[:, :, order], y), "windows of permuted columns", must=told)
    shuffled = moved(n, seed + 1)
    if rows in TIMES:
        either(lambda: by_name(table.iloc[shuffled], target=target), None, "windows of rows out of order", never=True)
        twice = index[[*range(n - 1), n - 2]]
        either(lambda: by_name(table.set_axis(twice), target=target), None, "windows of a time twice", never=True)
    values = pd.Series(np.arange(n) / 8, index=index)
    steps = [at + window - 1 + horizon for at in starts]
    expected = (X, values.to_numpy()[steps])
    either(lambda: by_name(table, target=values), expected, "windows, target of its own", must=True)
    either(
        lambda: by_name(table, target=values.iloc[shuffled]), expected, "windows, target in another order", must=True
    )
    strange = values.set_axis([f"other {i}" for i in range(n)])
    either(lambda: by_name(table, target=strange), None, "windows, target with other labels", never=True)
    ids = pd.Series(np.array(["b", "a"])[np.arange(n) // 5], index=index)
    want = [
        window_part for part in (slice(0, 5), slice(5, n)) for window_part in _windows(table, part, window, horizon)
    ]
    if want:
        expected = (np.stack([one for one, _ in want]), values.to_numpy()[[step for _, step in want]])
        if min(5, n - 5) >= window + horizon:
            shuffled_ids = ids.iloc[shuffled]
            either(
                lambda: by_name(table, target=values, groups=shuffled_ids)[:2],
                expected,
                "windows, ids in another order",
                must=True,
            )


def _windows(table, part, window, horizon):
    places = np.arange(len(table))[part]
    for at in range(len(places) - window - horizon + 1):
        yield table.to_numpy()[places[at : at + window]], places[at + window - 1 + horizon]


@st.composite
def panels(draw):
    """Rows of three series, in order of time within each: numbers, ids, times, in an order of the rows."""
    lengths = draw(st.lists(st.integers(3, 5), min_size=3, max_size=3))
    ids = IDS[draw(st.sampled_from(sorted(IDS)))]
    times = TIMES[draw(times_of)](5)
    rng = np.random.default_rng(draw(seeds))
    turn = rng.permutation(np.repeat(np.arange(3), lengths))  # which series the next row belongs to
    step = np.array([np.sum(turn[:i] == one) for i, one in enumerate(turn)])
    labels = np.empty(len(turn), dtype=object)
    labels[:] = [ids[one] for one in turn]
    return rng.permutation(8 * len(turn))[: 2 * len(turn)].reshape(-1, 2) / 8, labels, times[step], turn


@holds(0.3, panel=panels(), flipped=st.booleans(), window=st.integers(1, 2), seed=seeds)
@quietly
def windows_of_panels(panel, flipped, window, seed):
    values, ids, times, turn = panel
    found = list(dict.fromkeys(turn.tolist()))  # in the order of their first rows
    parts = [np.flatnonzero(turn == one) for one in found]
    want = [(part[at : at + window], part[at + window]) for part in parts for at in range(len(part) - window)]
    X, y = np.stack([values[rows] for rows, _ in want]), np.stack([values[row] for _, row in want])
    at = times[[row for _, row in want]]
    table = pd.DataFrame(values, columns=["a", "b"])
    columns = table.assign(pump=pd.Series(ids, dtype=object), when=times)
    shape = {"target": ["a", "b"], "window": window}
    of_columns = functools.partial(sliding_windows, **shape, groups="pump", times="when")
    either(lambda: of_columns(columns)[:3], (X, y, at), "windows of a panel with columns", must=True)
    either(lambda: list(of_columns(columns)[3]), lambda: [ids[row] for _, row in want], "ids of windows", must=True)
    if not any(isinstance(one, tuple) for one in ids):
        levels = [pd.Index(ids, dtype=object), times]
        index = pd.MultiIndex.from_arrays(
            levels[::-1] if flipped else levels, names=["time", "id"][:: 1 if flipped else -1]
        )
        either(
            lambda: sliding_windows(table.set_axis(index), **shape, times=True, groups=True)[:3],
            (X, y, at),
            "windows of a panel with an index",
            must=True,
        )
        wrong = moved(len(turn), seed)
        order = pd.Series(times[wrong]).groupby(turn[wrong]).apply(lambda part: part.is_monotonic_increasing)
        if not order.all():
            either(
                lambda: sliding_windows(table.set_axis(index).iloc[wrong], **shape),
                None,
                "windows of a panel that runs backwards",
                never=True,
            )


@holds(0.3, panel=panels(), seed=seeds)
@quietly
def sequences_from_a_long_table(panel, seed):
    values, ids, times, turn = panel
    frame = pd.DataFrame(values, columns=["a", "b"]).assign(
        pump=pd.Series(ids, dtype=object), when=times, failed=np.array([3.0, 1.0, 2.0])[turn]
    )
    rows, columns = moved(len(frame), seed), moved(5, seed)
    gather = SequencesFromTable("pump", "when", ["a", "b"], target="failed").fit(frame)
    for what, table in (
        ("a long table", frame),
        ("a long table of permuted columns", frame.iloc[:, columns]),
        ("a long table of permuted rows", frame.iloc[rows]),
    ):
        order = rows if what.endswith("rows") else np.arange(len(frame))
        found = list(dict.fromkeys(turn[order].tolist()))
        either(lambda: gather.transform(table), [values[turn == one] for one in found], what, must=True)  # noqa: B023
        either(lambda: gather.get_targets(table), np.array([3.0, 1.0, 2.0])[found], f"targets of {what}", must=True)  # noqa: B023
        if any(isinstance(one, tuple) for one in ids):
            continue
        known = pd.Series([1.0, 2.0, 3.0], index=pd.Index([ids[turn == one][0] for one in range(3)], dtype=object))
        known = known.iloc[moved(3, seed)]
        either(
            lambda: gather.get_targets(table, known),  # noqa: B023
            np.array([1.0, 2.0, 3.0])[found],
            f"targets by id of {what}",
            must=True,
        )
    twice = pd.concat([frame, frame.iloc[[seed % len(frame)]]])
    either(lambda: gather.transform(twice), None, "a long table with a time twice", never=True)


def wide(values, channels, times, names=("time", "channel")):
    """Sequences (n, L, d) as a table with columns of two levels."""
    columns = pd.MultiIndex.from_product([times, channels], names=names)
    return pd.DataFrame(values.reshape(len(values), -1), columns=columns)


def turned(table, seed, *, levels, columns):
    """The same wide table, its levels in the other order, channels in another order at every step."""
    n_channels = table.columns.levshape[1]
    order = np.arange(table.shape[1]).reshape(-1, n_channels)
    if columns:
        order = order[:, moved(n_channels, seed)]
    table = table.iloc[:, order.ravel()]
    return table.swaplevel(axis=1) if levels else table


@holds(0.25, kind=safe_names, when=times_of, seed=seeds, levels=st.booleans(), columns=st.booleans())
@quietly
def scalers_of_tables(kind, when, seed, levels, columns):
    if kind == "tuples":  # pandas takes a tuple in a level for more levels
        kind = "letters"
    n, steps, channels = 4, 3, NAMES[kind]
    values = table_of(kind, n * steps, seed).to_numpy().reshape(n, steps, 3)
    plain = SequenceScaler().fit(values)
    expected = plain.transform(values)
    order = moved(3, seed)
    frames = [pd.DataFrame(one, columns=pd.Index(channels, dtype=object)) for one in values]
    scaler = SequenceScaler().fit(frames)
    compare(scaler.mean_, plain.mean_, "means of frames", rounded=True)
    permuted = [frame.iloc[:, order] for frame in frames]
    either(lambda: scaler.transform(frames), list(expected), "a list of frames, scaled", must=True, rounded=True)
    wrong = "a list of frames of permuted columns, scaled"
    either(lambda: scaler.transform(permuted), None, wrong, never=True)
    mixed = [*frames[:-1], permuted[-1]]
    either(lambda: SequenceScaler().fit(mixed), None, "frames with columns in two orders", never=True)
    table = wide(values, channels, TIMES[when](steps))
    other = turned(table, seed, levels=levels, columns=columns)
    own = np.arange(3) if not columns else order
    what = f"a wide table{', levels turned' * levels}{', columns permuted' * columns}"
    either(lambda: SequenceScaler().fit(other).transform(other), expected[:, :, own], what, must=True, rounded=True)
    weights = pd.Series([1.0, 2.0, 0.0, 3.0], index=[f"r{i}" for i in range(n)])
    rows = table.set_axis(weights.index)
    weighted = SequenceScaler().fit(values, sample_weight=weights.to_numpy()).mean_
    either(
        lambda: SequenceScaler().fit(rows, sample_weight=weights).mean_,
        weighted,
        "weights of a scaler",
        must=True,
        rounded=True,
    )
    shuffled = weights.iloc[moved(n, seed)]
    either(
        lambda: SequenceScaler().fit(rows, sample_weight=shuffled).mean_,
        weighted,
        "weights of a scaler in another order",
    )


# ---------------------------------------------------------------- estimators

N, STEPS = 12, 4


@functools.cache
def fitted(kind, names_of):
    """A small network of frames whose columns have names, and of nothing else; its sequences and targets."""
    X = np.random.default_rng(5).integers(-8, 9, (N, STEPS, 3)) / 8
    y = X[:, -1, 0] if kind in REGRESSORS else np.where(X[:, -1, 0] > 0, "up", "down")
    frames = [pd.DataFrame(x, columns=pd.Index(NAMES[names_of], dtype=object, tupleize_cols=False)) for x in X]
    return kind(2, max_epochs=1, random_state=0).fit(frames, y), X, y


def _flat_names(name):
    return [(step, channel) for step in range(STEPS) for channel in NAMES[name]]


kinds, two_kinds = st.sampled_from(ESTIMATORS), st.sampled_from(sorted(set(UNMIXED) - {"tuples"}))


@holds(0.2, kind=kinds, name=safe_names, seed=seeds, method=st.sampled_from(["intervals", "best"]))
@quietly
def predictions_and_certificates_of_frames(kind, name, seed, method):
    model, X, _ = fitted(kind, name)
    channels, order = NAMES[name], moved(3, seed)
    columns = pd.Index(channels, dtype=object, tupleize_cols=False)
    some = np.random.default_rng(seed).permutation(N)[:3]
    frames = [pd.DataFrame(X[row], columns=columns) for row in some]
    plain = model.predict(X[some])
    texts = all(isinstance(one, str) for one in channels)
    either(lambda: model.predict(frames), plain, "predictions of frames", must=True)
    permuted = [frame.iloc[:, order] for frame in frames]
    either(lambda: model.predict(permuted), None, "predictions of frames of permuted columns", never=True)
    sizes = np.array([0.0, 0.125, 0.25])
    expected = model.certify(X[some], sizes, method=method)
    certify = functools.partial(model.certify, method=method)
    labelled = pd.Series(sizes, index=columns)
    for what, eps in (
        ("eps as a Series", labelled.iloc[order]),
        ("eps as a dict", {channels[i]: sizes[i] for i in order}),
        ("eps as a frame", pd.DataFrame([sizes] * STEPS, columns=columns).iloc[:, order]),
        ("eps as frames", [pd.DataFrame([sizes] * STEPS, columns=columns).iloc[:, order]] * 3),
    ):
        either(lambda: certify(frames, eps), expected, what, must=name != "numbers")  # noqa: B023
        if texts:
            either(lambda: certify(X[some], eps), expected, f"{what} beside arrays")  # noqa: B023
    strange = labelled.rename({channels[0]: "nobody"})
    either(lambda: certify(frames, strange), None, "eps of a channel that is not there", never=True)
    either(lambda: certify(frames, labelled.iloc[:2]), None, "eps without a channel", never=True)
    if kind in CLASSIFIERS:
        radius = model.certified_radius(X[some], scale=sizes + 0.5, method=method)
        scale = (labelled + 0.5).iloc[order]
        either(
            lambda: model.certified_radius(frames, scale=scale, method=method),
            radius,
            "scale as a Series",
            must=name != "numbers",
        )
        either(
            lambda: model.certified_radius(frames, scale=strange, method=method), None, "scale of nobody", never=True
        )


@holds(0.2, kind=kinds, name=two_kinds, when=times_of, seed=seeds, levels=st.booleans(), columns=st.booleans())
@quietly
def predictions_and_sizes_of_wide_tables(kind, name, when, seed, levels, columns):
    model, X, _ = fitted(kind, name)
    some = np.random.default_rng(seed).permutation(N)[:3]
    channels, times = NAMES[name], TIMES[when](STEPS)
    table = wide(X[some], channels, times)
    other = turned(table, seed, levels=levels, columns=columns)
    plain = model.predict(X[some])
    what = f"predictions of a wide table{', levels turned' * levels}{', columns permuted' * columns}"
    either(lambda: model.predict(other), plain, what, must=not columns, never=columns)
    sizes = np.random.default_rng(seed).integers(0, 3, (STEPS, 3)) / 8
    expected = model.certify(X[some], sizes, method="intervals")
    eps = turned(wide(sizes[None], channels, times), seed + 1, levels=seed % 2 == 0, columns=True).iloc[0]
    own = model.certify
    if not columns:
        either(lambda: own(other, eps, method="intervals"), expected, f"eps of steps and channels, {what}", must=True)
    shifted = eps.set_axis(pd.MultiIndex.from_tuples([(f"{a}!", b) for a, b in eps.index], names=eps.index.names))
    either(lambda: own(other, shifted, method="intervals"), None, "eps of steps that are not there", never=True)


@holds(0.15, kind=kinds, name=two_kinds, seed=seeds)
@quietly
def random_noise_and_intervals_by_label(kind, name, seed):
    model, X, y = fitted(kind, name)
    channels, order = NAMES[name], moved(3, seed)
    columns = pd.Index(channels, dtype=object)
    frames = [pd.DataFrame(x, columns=columns) for x in X]
    sizes = np.array([0.0, 0.125, 0.25])
    labelled = pd.Series(sizes, index=columns).iloc[order]
    options = {"n_draws": 20, "coverage": 0.5, "confidence": 0.9, "random_state": seed}
    expected = sklstm.noise_interval(model, X[:2], sigma=sizes, **options)
    either(
        lambda: sklstm.noise_interval(model, frames[:2], labelled, **options),
        expected,
        "sigma as a Series",
        must=name != "numbers",
    )
    strange = labelled.rename({channels[1]: "nobody"})
    either(lambda: sklstm.noise_interval(model, frames[:2], strange, **options), None, "sigma of nobody", never=True)
    rows = pd.Index([f"r{i}" for i in range(N)])
    table = wide(X, channels, range(STEPS)).set_axis(rows)
    # What calibrates must not be the training data: the first row is left out.
    told = pd.Series(y, index=rows).iloc[1:]
    known = table.iloc[1:]
    expected = sklstm.prediction_interval(model, X[1:], y[1:], X[:2], coverage=0.5, eps=sizes)
    given = functools.partial(sklstm.prediction_interval, model, known, coverage=0.5, eps=labelled)
    either(lambda: given(told, table.iloc[:2]), expected, "calibration by label", must=name != "numbers")
    shuffled = told.iloc[moved(N - 1, seed)]
    either(lambda: given(shuffled, table.iloc[:2]), expected, "calibration in another order")


@holds(0.12, kind=kinds, name=safe_names, rows=labels_of, seed=seeds)
@quietly
def targets_and_weights_with_an_index(kind, name, rows, seed):
    """y and weights of the rows of X train what arrays train; those of other rows, or in another order, are refused."""
    _, X, y = fitted(kind, name)
    index = (TIMES | LABELS)[rows](N)
    table = pd.DataFrame(X.reshape(N, -1), index=index, columns=[f"c{i}" for i in range(STEPS * 3)])
    target, weight = pd.Series(y, index=index), pd.Series(1.0 + np.arange(N) % 3, index=index)
    start = kind(2, max_epochs=1, n_channels=3, random_state=0)
    plain = start.fit(table.to_numpy(), y, weight.to_numpy()).predict(table.to_numpy())
    score = start.score(table.to_numpy(), y, weight.to_numpy())
    twin = kind(2, max_epochs=1, n_channels=3, random_state=0)
    either(lambda: twin.fit(table, target, weight).predict(table), plain, "y and weights of the rows of X", must=True)
    either(lambda: twin.score(table, target, weight), score, "score by label", must=True)
    order = moved(N, seed)
    for what, one, other in (
        ("y in another order", target.iloc[order], weight),
        ("weights in another order", target, weight.iloc[order]),
        ("y of other rows", target.set_axis([f"other {i}" for i in range(N)]), weight),
    ):
        either(lambda: twin.fit(table, one, other).predict(table), None, what, never=True)  # noqa: B023
        either(lambda: twin.score(table, one, other), None, f"score, {what}", never=True)  # noqa: B023
    columns = pd.Index([(a, str(b)) if seed % 2 else 3 * i + 5 for i, (a, b) in enumerate(_flat_names(name))])
    other = table.set_axis(pd.Index(list(columns), dtype=object, tupleize_cols=False), axis=1)
    flat = moved(STEPS * 3, seed)
    either(lambda: twin.fit(other, y).predict(other.iloc[:, flat]), None, "rows of permuted columns", never=True)
    twin.fit(table, target, weight)
    both = table.iloc[order], target.iloc[order], weight.iloc[order]
    either(
        lambda: twin.score(*both), lambda: start.score(*(part.to_numpy() for part in both)), "rows permuted", must=True
    )
