"""How fast is the package beside what else there is, and where does it lose?

This page is made of what the other scripts have recorded. Nothing is measured here. Ratios are medians over rounds of
alternating runs. A ratio below 1 is faster than what is compared with. Each section names its machine, versions and
date. It links to its own page, which has the quartiles.
"""

import argparse

from benchmarks.speed import certificate_cost, fit_speed, memory, path_speed, penalty_cost, predict_speed
from tests.support.records import PAGES, current, pivot, recorded_on, table
from tests.support.suite import explanation, question

# Slower counts as lost where three quarters of the rounds say so by 2 % or more.
LOST = 1.02

# Why this package loses: by question, contender and threads. If you record new figures, correct the sentences. A loss
# without a sentence is marked on the page, and `benchmarks.site.check` fails.
ONE, MORE = "one thread", "more threads"
FIT = (
    "The reasons are skorch's bookkeeping of every batch, the checks and the copy of X. The kernels take the same time"
)
SERIAL = (
    "Below a million multiply-adds a time step (here up to H = 32) a fit takes one thread, even if torch may use more. "
    "A second thread gains little on idle cores and costs orders of magnitude on busy ones"
)
PREDICT = "X is checked and copied block by block, and the last block is filled up"
WHY = {
    ("fit_speed", "sklstm, λ = 0", ONE): f"{FIT}.",
    ("fit_speed", "sklstm, λ = 0", MORE): f"{SERIAL}.",
    ("fit_speed", "sklstm, default λ", ONE): "The loop has no penalty.",
    ("fit_speed", "sklstm, default λ", MORE): f"The loop has no penalty. {SERIAL}.",
    ("fit_speed", "classifier", ONE): f"{FIT}.",
    ("fit_speed", "classifier", MORE): f"{FIT}.",
    ("predict_speed", "sklstm", ONE): f"{PREDICT}.",
    ("predict_speed", "sklstm", MORE): f"{PREDICT}. One pass over all sequences uses more threads at once.",
    ("predict_speed", "classifier", ONE): f"{PREDICT}.",
    ("predict_speed", "classifier", MORE): f"{PREDICT}. One pass over all sequences uses more threads at once.",
    ("memory", "fit", ONE): "fit makes its own copy of X; the loop reads float32 data without a copy.",
    ("memory", "fit with bounds", ONE): "The loop has no bounds.",
    ("memory", "predict", ONE): "predict holds a block of X as float32, and its outputs in float32 and float64.",
}


def median(record):
    return f"{record['ratio']:.2f}"


def where(record):
    sizes = record["sizes"]
    named = [f"{key} = {sizes[key]}" for key in ("H", "sigma", "n", "dtype") if key in sizes]
    data = [sizes[key] for key in ("network", "data") if key in sizes]
    return ", ".join([*data, *named])


def key(record, baseline):
    return record["question"], record["contender"], baseline, ONE if record["threads"] == 1 else MORE


def losses(name, contenders):
    """Lines on every pair of a contender of this package and a baseline that it loses against."""
    found = {}
    for record in current(name):
        if record["contender"] in contenders and record.get("quartiles", [0])[0] > LOST:
            found.setdefault(key(record, record["baseline"]), []).append(record)
    return lines_of(found, {what: max(r["ratio"] for r in records) for what, records in found.items()}, "{:.2f}")


def memory_losses():
    records = current("memory")
    loops = {(str(r["sizes"]), r["threads"]): r["extra_bytes"] for r in records if r["contender"] == "loop"}
    found, worst = {}, {}
    for r in records:
        more = r["extra_bytes"] - loops.get((str(r["sizes"]), r["threads"]), r["extra_bytes"])
        if r["contender"] != "loop" and more > 0.05 * r["data_bytes"] + 2e6:
            found.setdefault(key(r, "loop"), []).append(r)
            worst[key(r, "loop")] = max(worst.get(key(r, "loop"), 0), more / r["data_bytes"])
    return lines_of(found, worst, "{:.1f} times the data more")


def lines_of(found, worst, amount):
    lost = {}
    for what, records in found.items():
        name, contender, baseline, threads = what
        places = "; ".join(where(record) for record in records)
        cells = places if len(records) <= 3 else f"{len(records)} cells"
        against = f"{amount.format(worst[what])} against the {baseline} ({cells})"
        lost.setdefault((name, contender, threads), []).append(against)
    return [
        f"- {contender}, {threads}. Up to {'. Up to '.join(parts)}. "
        f"{WHY.get((name, contender, threads), 'Not explained yet.')}"
        for (name, contender, threads), parts in lost.items()
    ]


def section(title, name, parts, lost):
    records = current(name)
    end = f"[More]({name}.md). Recorded on {recorded_on(records)}."
    where_lost = ["Where we lose:\n\n" + "\n".join(lost)] if lost else []
    return "\n\n".join([f"## {title}", *parts, *where_lost, end])


def fit():
    header, rows = fit_speed.against(current("fit_speed"), fit_speed.LOOP, median)
    parts = []
    if rows:
        own = [r for r in current("fit_speed") if r["baseline"] == fit_speed.FUSED and "sigma" not in r["sizes"]]
        beside = {(r["threads"], r["sizes"]["H"]): median(r) for r in own if r["contender"] == "sklstm, λ = 0"}
        place = header.index("sklstm, λ = 0") + 1 if "sklstm, λ = 0" in header else len(header)
        header = [*header[:place], "sklstm, λ = 0, by the fused loop", *header[place:]]
        rows = [[*r[: 2 + place], beside.get((r[0], r[1]), "–"), *r[2 + place :]] for r in rows]
        parts.append(
            "One LSTM, batches of 64, time relative to a hand-written PyTorch loop of the same cell, batches and "
            f"epochs.\n\n{table(['threads', 'H', *header], rows)}"
        )
    classifier = [r for r in current("fit_speed") if r["contender"] == "classifier"]
    if classifier:
        header, rows = pivot(classifier, lambda r: (r["threads"], r["sizes"]["sigma"]), lambda r: r["baseline"], median)
        header = [f"by the {name}" for name in header]
        parts.append(f"The ReLU classifier by its own loop:\n\n{table(['threads', 'σ', *header], rows)}")
    ours = ("sklstm, λ = 0", "sklstm, default λ", "classifier")
    return section("fit", "fit_speed", parts, losses("fit_speed", ours))


def penalty():
    times = [r for r in current("penalty_cost") if "ratio" in r]
    header, rows = pivot(times, lambda r: (r["contender"],), lambda r: f"H = {r['sizes']['H']}", median)
    text = "A fit with the default penalty by one without, fits of 6 to 16 epochs on one thread.\n\n"
    return section("The penalty", "penalty_cost", [text + table(["cell", *header], rows)], [])


def path():
    records = current("path_speed")
    rows = [
        [
            r["sizes"]["data"], f"{r['sizes']['values']} values of {r['parameter']}, {r['sizes']['folds']} folds",
            f"{r['baseline_seconds']:.1f} s", f"{r['seconds']:.1f} s", f"{1 / r['ratio']:.1f}",
            f"{r['grid_best_score']:.3f}", f"{r['best_score']:.3f}",
        ]
        for r in records
    ]  # fmt: skip
    header = ["data", "search", "grid", "path", "times faster", "grid's best score", "path's best score"]
    text = f"Cross-validated over a path, by GridSearchCV over the same values.\n\n{table(header, rows)}"
    return section("A regularisation path", "path_speed", [text], losses("path_speed", ("path",)))


def predict():
    header, rows = predict_speed.against(current("predict_speed"), predict_speed.WHOLE, median)
    text = "By one batched forward pass of the same network.\n\n" + table(["threads", "H", "n", *header], rows)
    return section("predict", "predict_speed", [text], losses("predict_speed", ("sklstm", "classifier")))


def certificates():
    header, rows = pivot(
        current("certificate_cost"),
        certificate_cost.row,
        lambda r: r["contender"],
        lambda r: f"{r['ratio']:.1f}",
        certificate_cost.METHODS,
    )
    text = f"certify by predict, 1,000 sequences.\n\n{table(['network', 'H', 'L', 'd', *header], rows)}"
    return section("Certificates", "certificate_cost", [text], [])


def memory_of_fit():
    text = "MB beyond the data, at the peak of the call.\n\n" + memory.peaks(current("memory"))
    return section("Memory", "memory", [text], memory_losses())


SECTIONS = {
    "fit_speed": fit,
    "penalty_cost": penalty,
    "path_speed": path,
    "predict_speed": predict,
    "certificate_cost": certificates,
    "memory": memory_of_fit,
}
MODULES = {each.NAME: each for each in (fit_speed, penalty_cost, path_speed, predict_speed, certificate_cost, memory)}


def page():
    parts = [f"# Speed and memory\n\n{question(__doc__)}\n\n{explanation(__doc__)}"]
    parts += [make() for name, make in SECTIONS.items() if current(name)]
    missing = [f"`{name}.py`" for name in SECTIONS if not current(name)]
    if missing:
        parts.append(f"Nothing is recorded yet of {', '.join(missing)}.")
    parts.append(
        "Further pages: [search_speed.md](search_speed.md), searches on two workers; "
        "[smallest_eigenvalue.md](smallest_eigenvalue.md), the smallest eigenvalue at scale.\n\n"
        "Regenerate: `make bench` measures everything on an otherwise idle machine and writes the pages; "
        "`make bench-pages` writes them from what is recorded. `make bench-peers` installs the other packages."
    )
    return "\n\n".join(parts) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report", action="store_true", help="write docs/benchmarks/summary.md")
    text = page()
    print(text)
    if parser.parse_args().report:
        (PAGES / "summary.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
