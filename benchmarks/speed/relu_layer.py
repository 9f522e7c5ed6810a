"""What does the ReLU layer's written pass bring over torch's own layer?

The task is forward and backward of one layer, with the weights' gradients only, as in training. `sklstm.networks` is
compared with `nn.RNN`, which multiplies by both matrices and adds up the gradients of both at every step. The table
also has the matrix products of the written pass alone. No way of writing the pass can be faster than these. The first
line is the size for which the aim of 1.5 (a ratio of 0.67) was set.
"""

from itertools import pairwise

import torch
from torch import nn

from sklstm.networks._kernels import last_relu_state
from tests.support.records import ratio, recorded_on, table, timing
from tests.support.suite import Bar, explanation, question, run
from tests.support.timing import compare, pinned, thread_counts

NAME = "relu_layer"
SIZES = [
    (64, 100, 50, 128),
    (64, 100, 50, 32),
    (64, 29, 12, 64),
    (64, 24, 7, 16),
    (256, 100, 50, 128),
    (64, 100, 50, 256),
]
CALLS = 3
RNN, WRITTEN, PRODUCTS = "nn.RNN", "written pass", "products alone"


def measure(options):
    for threads in thread_counts():
        for B, L, d, m in SIZES[2:4] if options.quick else SIZES:
            with pinned(threads):
                yield one(B, L, d, m, threads, options.rounds)


def one(B, L, d, m, threads, rounds):
    torch.manual_seed(0)
    layer = nn.RNN(d, m, nonlinearity="relu", bias=False, batch_first=True)
    with torch.no_grad():
        layer.weight_hh_l0.copy_(torch.eye(m))
        layer.weight_ih_l0.mul_(0.1)
    X = torch.randn(B, L, d)

    def torchs():
        for _ in range(CALLS):
            layer.zero_grad()
            layer(X)[1][0].square().mean().backward()

    def written():
        for _ in range(CALLS):
            layer.zero_grad()
            last_relu_state(X[None], layer.weight_ih_l0[None], layer.weight_hh_l0[None]).square().mean().backward()

    inputs, states, gradients = torch.randn(L * B, d), torch.randn(L, B, m), torch.randn(L * B, m)
    by_step, flat = states.unbind(0), states.view(L * B, m)
    U, W = (weight.detach() for weight in (layer.weight_ih_l0, layer.weight_hh_l0))

    def products():
        for _ in range(CALLS):
            torch.mm(inputs, U.T, out=flat)
            for transposed in (W.T, W):  # forward, backward
                for before, after in pairwise(by_step):
                    torch.mm(before, transposed, out=after)
            torch.mm(gradients.T, inputs)
            torch.mm(gradients.T, flat)

    pairs = compare({RNN: torchs}, {WRITTEN: written, PRODUCTS: products}, rounds)
    pair, alone = pairs[WRITTEN, RNN], pairs[PRODUCTS, RNN]
    # Multiply-adds of forward and backward, twice: of U once and its gradient, of W three times.
    flops = 2 * CALLS * B * L * m * (2 * d + 3 * m)
    rates = {
        "gflops": round(flops / pair.seconds / 1e9, 1),
        "baseline_gflops": round(flops / pair.baseline_seconds / 1e9, 1),
        "products_ratio": round(alone.ratio, 4),
    }
    return timing(NAME, WRITTEN, RNN, {"B": B, "L": L, "d": d, "m": m}, threads, pair, **rates)


def page(records):
    rows = [
        [
            r["threads"],
            *r["sizes"].values(),
            f"{1e3 * r['baseline_seconds'] / CALLS:.2f} ms",
            f"{1e3 * r['seconds'] / CALLS:.2f} ms",
            ratio(r),
            f"{r['products_ratio']:.2f}",
            r["baseline_gflops"],
            r["gflops"],
        ]
        for r in records
    ]
    header = ["threads", "B", "L", "d", "m", "nn.RNN", "written", "written / nn.RNN", "products alone / nn.RNN",
              "GFLOP/s nn.RNN", "written"]  # fmt: skip
    return (
        f"# The ReLU layer\n\n{question(__doc__)}\n\n{explanation(__doc__)}\n\n"
        f"Medians over {records[0]['rounds']} rounds of A B A, quartiles in brackets.\n\n{table(header, rows)}\n\n"
        "The written pass can save the difference between `nn.RNN` and the products alone. The larger the layer, the "
        "smaller this is. The pass is used in training on a CPU. Predictions, other devices and autocast take torch's "
        "own layer.\n\n"
        f"Regenerate: `python -m benchmarks.speed.{NAME} --report` on an otherwise idle machine. Recorded on "
        f"{recorded_on(records)}.\n"
    )


def bars(records):
    """1.5 times as fast at the first size."""
    for r in records:
        if tuple(r["sizes"].values()) == SIZES[0]:
            yield Bar(f"written pass over nn.RNN, threads = {r['threads']}", 0.67, r["ratio"])


if __name__ == "__main__":
    run(NAME, __doc__, measure, page, rounds=15, bars=bars)
