"""What does the quickstart find?

`examples/quickstart.py`, run once: test errors of one LSTM trained four ways against noise on its inputs, how far
errors of the inputs can move its forecasts at most, the bound from the training windows, and the classifier's accuracy.
Its picture goes to docs/quickstart.png.
"""

import importlib
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from sklstm.datasets import load_japanese_vowels
from tests.support.records import PAGES, ROOT, table
from tests.support.suite import campaign, explanation, question, regenerate

NAME = "quickstart"
EXAMPLES = ROOT / "examples"


def numbers(quickstart, fitted, errors, occam, classifier, X_vowels, theorem_3):
    X, _, X_test, *_ = quickstart.forecasting_task(*quickstart.load_air()[:3])
    first = {name: models[0].regressor_["lstm"] for name, models in fitted.items()}
    target = load_japanese_vowels(subset="test").target
    return {
        "n_train": len(X),
        "n_test": len(X_test),
        "n_seeds": len(quickstart.SEEDS),
        "noise": list(quickstart.NOISE),
        "errors": {name: np.round(values.mean(axis=0), 4).tolist() for name, values in errors.items()},
        "labels": quickstart.LABELS,
        "lambda_s": first["tikhonov"].lambda_s,
        "weight_decay": first["decay"].weight_decay,
        "certified": {
            name: float(f"{quickstart.certified_move(models[0], X_test):.4g}") for name, models in fitted.items()
        },
        "eps": quickstart.CERTIFIED,
        "rho_h": {name: float(f"{lstm.rho_h_:.4g}") for name, lstm in first.items()},
        "bound": round(occam.value, 4),
        "cap": round(occam.ceiling, 4),
        "n_bits": occam.n_bits,
        "accuracy": round(classifier.score(X_vowels, target), 4),
        "theorem_3": float(f"{theorem_3.value:.4g}"),
    }


def measure(options, done):
    if done:
        return
    sys.path.insert(0, str(EXAMPLES))  # as Python does for a script, which imports one beside it
    quickstart = importlib.import_module("quickstart")
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        found = numbers(quickstart, *quickstart.run(Path(folder)))
        shutil.copy(Path(folder) / "quickstart.png", PAGES.parent / "quickstart.png")
    yield found | {"seconds": round(time.perf_counter() - started, 1)}


def change(record, of, against, noise):
    """By how many per cent the error of a model is above that of another at an amount of noise."""
    place = record["noise"].index(noise)
    return 100 * (record["errors"][of][place] / record["errors"][against][place] - 1)


def page(records):
    record = records[-1]
    strength = {"decay": f" ({record['weight_decay']:g})", "tikhonov": f" (λ_S = {record['lambda_s']:g})"}
    rows = [
        [record["labels"][name] + strength.get(name, ""), *(f"{value:.3f}" for value in values)]
        for name, values in record["errors"].items()
    ]
    return (
        f"# The quickstart\n\n{question(__doc__)}\n\n{explanation(__doc__)}\n\n"
        "![Test error against noise, certified bands of forecasts, and the terms of a bound](../quickstart.png)\n\n"
        f"Fine dust three hours ahead, {record['n_train']:,} training windows and {record['n_test']:,} later test "
        "windows; mean squared error of the logarithms over that of predicting their mean, averages over "
        f"{record['n_seeds']} seeds. "
        "Strengths are chosen by cross-validation under noise 0.5.\n\n"
        f"{table(['trained with', *(f'noise {sigma:g}' for sigma in record['noise'])], rows)}\n\n"
        f"Errors of up to {record['eps']:g} standard deviations in every input move a forecast of the first seed by "
        "at most so many µg/m³, in the median: "
        + ", ".join(f"{record['labels'][name]} {value:.3g}" for name, value in record["certified"].items())
        + ". That is certified.\n\n"
        f"The penalty changes the error by {change(record, 'tikhonov', 'plain', 0.0):+.0f} % on clean inputs and by "
        f"{change(record, 'tikhonov', 'plain', 1.0):+.0f} % at noise 1; against weight decay by "
        f"{change(record, 'tikhonov', 'decay', 0.0):+.0f} % and {change(record, 'tikhonov', 'decay', 1.0):+.0f} %.\n\n"
        f"The Occam bound of the first forecaster: a squared error, capped at {record['cap']:.3g}, of at most "
        f"{record['bound']:.2f} for a network in {record['n_bits']} bits. The classifier of Japanese vowels has a "
        f"test accuracy of {record['accuracy']:.3f}; Theorem 3 says {record['theorem_3']:.1e} of it.\n\n"
        f"It takes {record['seconds']:.0f} seconds. {regenerate('quickstart_figures', records[-1:])}"
    )


if __name__ == "__main__":
    campaign(NAME, __doc__, measure, page)
