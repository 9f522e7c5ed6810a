"""What do labels cost: lists of frames beside lists of arrays, times with a zone beside times without?

Both have the same numbers, so they give the same model or windows. Fits have λ = 0, where the network is fastest. Some
fits have one epoch only, where reading the data counts most. Every contender runs between two runs of its baseline, on
one thread.
"""

import numpy as np
import pandas as pd

from sklstm import TikhonovLSTMRegressor
from sklstm.preprocessing import SequencesFromTable, sliding_windows
from tests.support.records import table
from tests.support.suite import Bar, campaign, explanation, question, regenerate
from tests.support.timing import compare, pinned

NAME = "labelled_data"
CHANNELS = ["load", "price", "temperature", "wind"]
FITS = ("fit of one epoch", "fit of 10 epochs")
BARS = dict.fromkeys(FITS, 1.5) | {"`sliding_windows`": 2.0, "`SequencesFromTable`": 2.0}


def fits(n_frames, n_steps=24):
    X = list(np.random.default_rng(0).standard_normal((n_frames, n_steps, len(CHANNELS))))
    y = np.array([sequence[-3:, 0].mean() for sequence in X])
    forms = {"frames": [pd.DataFrame(sequence, columns=CHANNELS) for sequence in X], "arrays": X}

    def fit(form, epochs):
        options = {"lambda_s": 0.0, "lambda_1": 0.0, "lambda_2": 0.0, "random_state": 0}
        TikhonovLSTMRegressor(16, max_epochs=epochs, **options).fit(forms[form], y)

    for case, epochs in zip(FITS, (1, 10), strict=True):
        yield case, n_frames, lambda epochs=epochs: fit("frames", epochs), lambda epochs=epochs: fit("arrays", epochs)


def windows(n_rows, window=24):
    values = np.random.default_rng(0).standard_normal((n_rows, len(CHANNELS)))
    naive = pd.date_range("2020-01-01", periods=n_rows, freq="min")
    tables = {
        times: pd.DataFrame(values, index=index, columns=CHANNELS)
        for times, index in (("zone", naive.tz_localize("UTC").tz_convert("Europe/Berlin")), ("naive", naive))
    }
    cut = {times: lambda each=each: sliding_windows(each, window, target="load") for times, each in tables.items()}
    yield "`sliding_windows`", n_rows, cut["zone"], cut["naive"]
    long = {
        times: each.rename_axis("time").reset_index().assign(day=np.arange(n_rows) // 1440)
        for times, each in tables.items()
    }
    gather = SequencesFromTable("day", "time", channels=CHANNELS)
    read = {times: lambda each=each: gather.fit_transform(each) for times, each in long.items()}
    yield "`SequencesFromTable`", n_rows, read["zone"], read["naive"]


def measure(options, done):
    found = {record["case"] for record in done}
    with pinned(1):
        for case, size, contender, baseline in (*fits(options.frames), *windows(options.rows)):
            if case not in found:
                pair = compare({"plain": baseline}, {"labelled": contender}, options.rounds)["labelled", "plain"]
                yield {
                    "case": case,
                    "size": size,
                    "seconds": pair.seconds,
                    "baseline_seconds": pair.baseline_seconds,
                    "ratio": pair.ratio,
                    "quartiles": pair.quartiles,
                    "rounds": pair.rounds,
                }


def page(records):
    rows = []
    for record in records:
        low, high = record["quartiles"]
        of = ("frames", "arrays") if record["case"] in FITS else ("times with a zone", "without")
        times = [f"{record[key]:.2f} s" for key in ("baseline_seconds", "seconds")]
        rows.append([record["case"], f"{record['size']:,} {'sequences' if record['case'] in FITS else 'rows'}",
                     f"{of[0]} / {of[1]}", *times, f"{record['ratio']:.2f} ({low:.2f}–{high:.2f})"])  # fmt: skip
    header = ["what", "size", "compared", "without labels", "with labels", "ratio"]
    return (
        f"# {question(__doc__)}\n\n{explanation(__doc__)}\n\n{table(header, rows)}\n\n"
        f"Sequences of 24 steps, {len(CHANNELS)} channels; medians and quartiles of {records[-1]['rounds']} rounds. "
        "The aim is at most 1.5 for fits and 2 for windows.\n\n"
        f"{regenerate(NAME, records)}"
    )


def bars(records):
    for record in records:
        yield Bar(f"{record['case']}, with labels over without", BARS[record["case"]], record["ratio"])


def add_options(parser):
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)


def quick():
    with pinned(1):
        for case, _, contender, baseline in (*fits(200), *windows(5000)):
            print(case, compare({"plain": baseline}, {"labelled": contender}, 1)["labelled", "plain"])


if __name__ == "__main__":
    campaign(NAME, __doc__, measure, page, add_options=add_options, quick=quick, bars=bars)
