"""How much faster are sequences that are filled up than torch's packed ones?

One step of training, forward and backward, on 64 sequences of 20 to 24 steps is timed in two ways. In the first, as in
the estimators, sequences are filled up to the longest and each is read at its own end. In the second they are a
`PackedSequence`. Both give the same states and gradients.
"""

import numpy as np
import torch
from torch import nn

from tests.support.peers import gru, lstm, noisy
from tests.support.ragged_steps import ragged, step_of
from tests.support.records import ratio, recorded_on, table, timing
from tests.support.suite import Bar, explanation, question, run
from tests.support.timing import compare, pinned

NAME = "packed_steps"
N, H, CALLS = 64, 16, 10
ESTIMATORS = {"LSTM": lstm, "GRU": gru, "ReLU": noisy}
PACKED, FILLED_UP = "packed", "filled up"


def one(cell, rounds):
    sequences = ragged(N)
    y = np.random.default_rng(1).standard_normal(N)
    module = ESTIMATORS[cell](hidden_size=H).fit(sequences, y > 0 if cell == "ReLU" else y).net_.module_
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    X = nn.utils.rnn.pad_sequence([torch.tensor(sequence) for sequence in sequences], batch_first=True)

    def steps(packed):
        for _ in range(CALLS):
            step_of(module, X, lengths, packed)

    pair = compare({PACKED: lambda: steps(True)}, {FILLED_UP: lambda: steps(False)}, rounds)[FILLED_UP, PACKED]
    sizes = {"cell": cell, "n": N, "L": int(lengths.max()), "d": X.shape[2], "H": H}
    return timing(NAME, FILLED_UP, PACKED, sizes, 1, pair, calls=CALLS)


def measure(options):
    with pinned(1):
        for cell in ESTIMATORS:
            yield one(cell, options.rounds)


def page(records):
    rows = [
        [
            r["sizes"]["cell"],
            f"{1e3 * r['baseline_seconds'] / r['calls']:.2f} ms",
            f"{1e3 * r['seconds'] / r['calls']:.2f} ms",
            ratio(r),
            f"{1 / r['ratio']:.1f}",
        ]
        for r in records
    ]
    header = ["cell", PACKED, FILLED_UP, f"{FILLED_UP} / {PACKED}", "times faster"]
    return (
        f"# Packed sequences\n\n{question(__doc__)}\n\n{explanation(__doc__)}\n\n"
        f"{H} units, one thread; medians over {records[0]['rounds']} rounds of A B A, quartiles in brackets.\n\n"
        f"{table(header, rows)}\n\n"
        f"Regenerate: `python -m benchmarks.speed.{NAME} --report` on an otherwise idle machine. Recorded on "
        f"{recorded_on(records)}.\n"
    )


def bars(records):
    """1.5 times as fast with the LSTM; the other cells gain less."""
    for r in records:
        if r["sizes"]["cell"] == "LSTM":
            yield Bar("a step filled up over one packed, LSTM", 0.67, r["ratio"])


if __name__ == "__main__":
    run(NAME, __doc__, measure, page, rounds=15, bars=bars)
