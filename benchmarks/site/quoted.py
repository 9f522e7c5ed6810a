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

from benchmarks.evidence import certificate_soundness, certificate_tightness, occam_bound, quickstart_figures
from sklstm.tikhonov._penalty import BARRIER_EPSILON
from tests.support.fuzz import hostile, parameters, strategies
from tests.support.quoting import Quote, at_most, corrected, differences, positive, significant
from tests.support.records import ROOT, current, latest

# What looks measured in README.md and is not, with the reason.
NOT_MEASURED = {
    "Python ≥ 3.11": "a requirement, as in pyproject.toml",
    "torch ≥ 2.6": "likewise",
    "For Python 3.11 to 3.14, NumPy ≥ 1.26, scikit-learn ≥ 1.7, and pandas ≥ 2.2.2": "likewise",
    "`lambda_s` from 0.001 to 3 in steps": "a grid to try",
    "for classifiers from 0.000001 to 0.001": "a grid to try",
    "near the noise you expect: 0.1 to 1 on": "a range to try",
    "for `eps` up to 0.01": "the sizes that the quote is about",
    "Theorems 2 and 3 never give": "numbers of theorems",
}


# What is quoted: functions without arguments to the fields as text.


def tightness():
    records = latest(certificate_tightness.NAME)
    tame = certificate_tightness.ratios(
        records, ("turkin", "tight"), "best", ("Beijing PM2.5", "sunspots"), certificate_tightness.EPS[:2]
    )
    positive(110 - 100 * max(tame), "certificates are within a few per cent where the penalty bites")
    strong = certificate_tightness.ratios(records, ("turkin",), "best", ("bike sharing",))
    without = certificate_tightness.ratios(records, ("none",), "best")
    linear = [record["cost"]["linear"] for record in records]
    return {
        "strong_low": significant(min(strong)),
        "strong_high": significant(max(strong), 2),
        "none_low": significant(min(without)),
        "none_high": significant(max(without)),
        "linear_low": significant(min(linear)),
        "linear_high": significant(max(linear), 2),
    }


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


def occam():
    last = {record["task"]: record for record in latest("occam_bound")}
    fields = {"bits": str(occam_bound.SETTINGS)}
    for task, n_classes in (("imdb", 2), ("digits", 10)):
        record = last[task]
        fields |= {
            f"{task}_bound": at_most(occam_bound.paid(record), 3),
            f"{task}_n": f"{record['n']:,}",
            f"{task}_chance": f"{1 - 1 / n_classes:g}",
            f"{task}_error": f"{record['test_error']:.3f}",
        }
    return fields


def pac_bayes():
    return {f"{record['task']}_bound": at_most(record["bound"], 3) for record in latest("pac_bayes")}


def quickstart_errors():
    record = latest(quickstart_figures.NAME)[-1]
    clean, noisy = (quickstart_figures.change(record, "tikhonov", "plain", noise) for noise in (0.0, 1.0))
    return {
        "clean": significant(positive(-clean, "the penalty costs no accuracy on clean inputs"), 2),
        "noisy": significant(positive(-noisy, "the penalty helps at noise 1"), 2),
    }


def quickstart_bound():
    record = latest(quickstart_figures.NAME)[-1]
    return {"n": f"{record['n_train']:,}", "bound": at_most(record["bound"], 2)}


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
        "within a few per cent where the penalty bites, {strong_low} to {strong_high} times on the series where the "
        "default penalty leaves strong recurrences, {none_low} to {none_high} times without it. "
        '`method="linear"`, {linear_low} to {linear_high} times slower than `predict`, narrows most of that.',
        tightness,
    ),
    Quote(
        "README.md",
        "paid for with {bits} bits: an error probability of at most {imdb_bound} on IMDB reviews ({imdb_n} reviews, "
        "chance {imdb_chance}, test error {imdb_error}), at most {digits_bound} on digits ({digits_n} images, chance "
        "{digits_chance}, test error {digits_error})",
        occam,
    ),
    Quote(
        "README.md",
        "of networks drawn at random: at most {imdb_bound} and {digits_bound} on the same data",
        pac_bayes,
    ),
    Quote(
        "README.md",
        "in the quickstart about {clean} % less squared error clean, {noisy} % less at noise of one standard deviation",
        quickstart_errors,
    ),
    Quote(
        "README.md",
        "in the quickstart, from {n} windows, a squared error below {bound}, where predicting the mean scores 1",
        quickstart_bound,
    ),
    Quote(
        "README.md",
        "With the penalty a fit on one thread takes {low} to {high} % longer",
        penalty_cost,
    ),
    Quote("docs/guide/certify.md", "In {cases} attacked cases nothing has left its bounds", attacked),
    Quote("docs/theory/certificates.md", "in {cases} attacked cases nothing has left its bounds", attacked),
    Quote("README.md", "from ρ_h² = {seam} on", seam),
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
