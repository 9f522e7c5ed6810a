"""What does the quickstart find?

`examples/quickstart.py` runs once. It gives the test errors of ridge regression, of the same trained on noisy copies of
the data, and of one LSTM, trained as usual and for input errors. It says how far input errors can move their forecasts
at most, and how many labels of a classifier no input error can change. Its picture goes to docs/quickstart.png.
"""

import importlib
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.support.records import PAGES, ROOT, table
from tests.support.suite import campaign, explanation, question, regenerate

NAME = "quickstart"
EXAMPLES = ROOT / "examples"
PICTURE = "Forecasts of fine dust by an LSTM trained as usual and by one trained for input errors, with certified bands"


def measure(options, done):
    if done:
        return
    sys.path.insert(0, str(EXAMPLES))
    quickstart = importlib.import_module("quickstart")
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        forecasts, labels = quickstart.run(Path(folder))
        shutil.copy(Path(folder) / "quickstart.png", PAGES.parent / "quickstart.png")
    seconds = time.perf_counter() - started
    X, _, X_test, *_ = quickstart.windows_of_air(*quickstart.load_air()[:3])
    yield {
        "n_train": len(X),
        "n_test": len(X_test),
        "noise": quickstart.NOISE,
        "eps": quickstart.EPS,
        "eps_labels": quickstart.EPS_LABELS,
        "forecasts": {name: rounded(found) for name, found in forecasts.items()},
        "labels": {name: rounded(labels[name]) for name in ("usual", "robust")},
        "holdout_bound": round(labels["bound"], 4),
        "seconds": round(seconds, 1),
    }


def rounded(numbers):
    return {name: float(f"{value:.4g}") for name, value in numbers.items()}


def change(record, of, against, kind):
    """By how many per cent the test error of a model is above that of another, ``kind`` "clean" or "noisy"."""
    return 100 * (record["forecasts"][of][kind] / record["forecasts"][against][kind] - 1)


def page(records):
    record = records[-1]
    forecasts = [
        [name, f"{found['clean']:.3f}", f"{found['noisy']:.3f}", f"{found['moved']:.0f} µg/m³"]
        for name, found in record["forecasts"].items()
    ]
    labels = [
        [f"ReLU network, {name}", f"{found['accuracy']:.3f}", f"{found['certified']:.3f}"]
        for name, found in record["labels"].items()
    ]
    noisy, moved = f"with noise of {record['noise']:g}", f"input errors of up to {record['eps']:g} move a forecast by"
    return (
        f"# The quickstart\n\n{question(__doc__)}\n\n{explanation(__doc__)}\n\n![{PICTURE}](../quickstart.png)\n\n"
        f"Fine dust three hours ahead: {record['n_train']:,} training windows, {record['n_test']:,} later test "
        "windows. The test error is the mean squared error of the logarithm; predicting the mean scores 1. Noise and "
        "input errors are in standard deviations of each channel. The last column is certified, a median over the test "
        "windows.\n\n"
        f"{table(['', 'test error', noisy, f'{moved} at most'], forecasts)}\n\n"
        "Japanese vowels, nine speakers, 270 training and 370 test utterances. Certified accuracy is the share of test "
        f"utterances that stay correct under every input error of up to {record['eps_labels']:g}.\n\n"
        f"{table(['', 'accuracy', 'certified accuracy'], labels)}\n\n"
        f"The error rate of the robust network on new utterances is at most {record['holdout_bound']:.3f}, with a "
        "confidence level of 0.95 (hold-out bound).\n\n"
        f"It takes {record['seconds']:.0f} seconds. {regenerate('quickstart_figures', records[-1:])}"
    )


if __name__ == "__main__":
    campaign(NAME, __doc__, measure, page)
