"""Large data: memory of a fit and time of an epoch, from an array and from a file, as recorded."""

import json
from pathlib import Path

from draw import BLUE, ORANGE

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "large_data.jsonl"
ESTIMATOR = "TikhonovLSTMRegressor"


def measured():
    """The last record of every number of sequences, from a file and from an array of float32."""
    records = map(json.loads, RESULTS.read_text(encoding="utf-8").splitlines())
    return {
        (record["source"], record["n"]): record
        for record in records
        if record.get("estimator") == ESTIMATOR and record["dtype"] == "float32" and "fit" in record
    }


def draw(figure):
    records = measured()
    memory, time = figure.subplots(1, 2)
    for source, name, colour, below in (
        ("array", "X is an array", ORANGE, False),
        ("memmap", "X is a memmap", BLUE, True),
    ):
        sizes = sorted(n for kind, n in records if kind == source)
        found = [records[source, n] for n in sizes]
        # What is recorded comes on top of X, where X is an array.
        needed = [r["fit"]["anonymous_mb"] + (r["file_size_mb"] if source == "array" else 0) for r in found]
        epoch = [1e6 * r["fit"]["epoch_seconds"] / n for n, r in zip(sizes, found, strict=True)]
        memory.loglog(sizes, needed, "o-", color=colour)
        memory.annotate(
            f"{name}: {needed[-1]:,} MB",
            (sizes[-1], needed[-1]),
            (0, -30 if below else 8),
            textcoords="offset points",
            ha="right",
            color=colour,
        )
        time.semilogx(sizes, epoch, "o-", color=colour, label=name)
    memory.set(title="memory of a fit, X included", ylabel="MB", ylim=(10, 4000), xlabel="number of sequences")
    time.set(title="an epoch, per sequence", ylabel="microseconds", ylim=(0, 20), xlabel="number of sequences")
    time.legend(frameon=False, loc="lower right")
