"""Which sentences outside docs/benchmarks quote a measured number, and do they say what is recorded?

A quote is a page, a sentence with named fields, and a function from the records, or from the code, to the fields. The
sentence is looked for with any white space where it has some, so that it may be wrapped as the page likes; it must
occur once. Whoever writes a measured number into a page adds a quote to QUOTES. Where the records make a sentence
untrue whatever its numbers, its function raises an error: then the sentence has to be written anew.

    python -m benchmarks.site.quoted            # names what differs
    python -m benchmarks.site.quoted --write    # puts the numbers right
"""

import argparse
import sys

from benchmarks.evidence import certificate_soundness, quickstart_figures, real_data
from sklstm.tikhonov._penalty import BARRIER_EPSILON
from tests.support.fuzz import hostile, parameters, strategies
from tests.support.quoting import Quote, at_most, corrected, differences, positive, significant
from tests.support.records import ROOT, current, latest

# What looks measured in README.md and is not, with the reason.
NOT_MEASURED = {
    "Python ≥ 3.11": "a requirement, as in pyproject.toml",
    "torch ≥ 2.6": "likewise",
    "Python 3.11 to 3.14, NumPy ≥ 1.26, scikit-learn ≥ 1.7, pandas ≥ 2.2.2": "likewise",
    "[15 data sets]": "a number of files",
}


# What is quoted: functions without arguments to the fields as text.


def occam_samples():
    n = {record["task"]: record["n"] for record in latest("occam_bound")}
    return {"imdb_n": f"{n['imdb']:,}", "digits_n": f"{n['digits']:,}"}


def fuzzed():
    """Kinds of bad input."""
    kinds = {"X": hostile.SEQUENCES, "y": hostile.TARGETS, "weights": hostile.WEIGHTS, "eps": hostile.SIZES}
    return {name: str(len(each)) for name, each in (kinds | {"values": parameters.VALUES}).items()}


def fuzzed_forms():
    """Forms of good input."""
    kinds = {"targets": strategies._TARGET_FORMS, "labels": strategies.LABELS, "weights": strategies._WEIGHT_FORMS}
    return {name: str(len(each)) for name, each in kinds.items()}


def pac_bayes():
    bounds = {record["task"]: record["bound"] for record in latest("pac_bayes")}
    return {"bound": at_most(bounds["imdb"], 3)}


def on_digits():
    bayes, occam = ({r["task"]: r for r in latest(name)}["digits"] for name in ("pac_bayes", "occam_bound"))
    values = {"holdout": bayes["prior_holdout"], "bayes": bayes["bound"], "occam": occam["bound"]}
    return {name: at_most(value, 3) for name, value in values.items()}


def quickstart():
    found = latest(quickstart_figures.NAME)[-1]["forecasts"]
    robust = found["robust LSTM"]["moved"]
    for name in ("LSTM", "ridge regression", "ridge, noisy data"):
        positive(found[name]["moved"] - robust, f"robust training has narrower bounds than {name}")
    short = {"ridge": "ridge regression", "noisy": "ridge, noisy data", "usual": "LSTM", "robust": "robust LSTM"}
    return {
        f"{label}_{kind}": f"{found[name][kind]:.0f}" if kind == "moved" else f"{found[name][kind]:.2f}"
        for label, name in short.items()
        for kind in ("clean", "noisy", "moved")
    }


def against_ridge():
    found = real_data.means(latest(real_data.NAME), "bike sharing, 1 ahead")
    return {name: f"{found[method][0]:.3f}" for name, method in (("ridge", "ridge"), ("own", "TikhonovLSTMRegressor"))}


def against_minirocket():
    found = real_data.means(latest(real_data.NAME), "OSULeaf")
    own = max(scores[0] for method, scores in found.items() if method.startswith(real_data.OURS))
    return {"minirocket": f"{found['MiniRocket'][0]:.3f}", "own": f"{own:.3f}"}


def robust_cost():
    ratios = [record["ratio"] for record in current("robust_cost") if record["contender"] in ("κ = 0", "κ = 0.5")]
    return {"low": f"{min(ratios):.0f}", "high": f"{max(ratios):.0f}"}


def penalty_cost():
    more = [100 * (record["ratio"] - 1) for record in current("penalty_cost") if "ratio" in record]
    return {
        "low": significant(positive(min(more), "a fit with the penalty takes longer"), 2),
        "high": significant(max(more), 2),
    }


def seam():
    return {"seam": f"{1 - BARRIER_EPSILON:g}"}


def attacked():
    cases, violations = certificate_soundness.summary(latest(certificate_soundness.NAME))
    if violations:
        raise ValueError(f"{violations} attacks have left their bounds")
    return {"cases": f"{cases:,}"}


QUOTES = (
    Quote(
        "README.md",
        "| ridge regression | {ridge_clean} | {ridge_noisy} | at most {ridge_moved} µg/m³ | "
        "| ridge regression, trained with noise | {noisy_clean} | {noisy_noisy} | at most {noisy_moved} µg/m³ | "
        "| LSTM | {usual_clean} | {usual_noisy} | at most {usual_moved} µg/m³ | "
        "| robust LSTM | {robust_clean} | {robust_noisy} | at most {robust_moved} µg/m³ |",
        quickstart,
    ),
    Quote("README.md", "(bicycles: R² {ridge}, our LSTM {own})", against_ridge),
    Quote("README.md", "(OSULeaf: accuracy {minirocket}, our best {own})", against_minirocket),
    Quote("README.md", "its certified bounds in {cases} attacked cases", attacked),
    Quote("README.md", "Robust training takes {low} to {high} times as long", robust_cost),
    Quote("README.md", "A fit with it takes {low} to {high} % longer", penalty_cost),
    Quote("README.md", "an error probability of at most {bound} on IMDB reviews", pac_bayes),
    Quote("docs/guide/certify.md", "In {cases} attacked cases nothing has left its bounds", attacked),
    Quote(
        "docs/guide/informative_bounds.md",
        "| [hold-out](holdout_bounds.md) | {holdout} | a network trained on one half, judged on the other half | "
        "| [PAC-Bayes](../benchmarks/pac_bayes.md) | {bayes} | networks with random weights | "
        "| [Occam](../benchmarks/occam_bound.md) | {occam} |",
        on_digits,
    ),
    Quote("docs/theory/certificates.md", "in {cases} attacked cases nothing has left its bounds", attacked),
    Quote(
        "docs/benchmarks/occam_bound.md",
        "IMDB has {imdb_n} reviews, of which the first 100 words are read as GloVe vectors; chance is 0.5. Digits has "
        "{digits_n} images of 8 × 8 pixels, read as sequences; chance is 0.9.",
        occam_samples,
    ),
    Quote(
        "docs/benchmarks/fuzzing.md",
        "message names what is wrong. There are {X} kinds of X, {y} of y, {weights} of weights, {eps} of `eps`, and "
        "{values} values of every parameter",
        fuzzed,
    ),
    Quote(
        "docs/benchmarks/fuzzing.md",
        "y has {targets} forms for regressors and {labels} for the classifier; weights have {weights}.",
        fuzzed_forms,
    ),
    Quote("sklstm/estimators/_regressors.py", ":math:`\\rho_h^2 = {seam}` the fraction", seam, times=2),
)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the numbers right")
    options = parser.parse_args()
    found = list(differences(QUOTES, ROOT))
    print("\n".join(found) or f"{len(QUOTES)} quotes say what is recorded")
    if not options.write:
        return 1 if found else 0
    for quote in QUOTES:
        path = ROOT / quote.page
        path.write_text(corrected(quote, path.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
