"""Times on a machine whose speed drifts: contenders alternate with a baseline, and only ratios within a round count.

Needs torch and numpy only, so that it runs in the environment of the peers too.
"""

import gc
import itertools
import time
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Paired:
    """A contender against a baseline: medians of seconds; median and quartiles of the ratio within each round."""

    seconds: float
    baseline_seconds: float
    ratio: float
    quartiles: tuple[float, float]
    rounds: int


def seconds(function, *arguments, **options):
    started = time.perf_counter()
    function(*arguments, **options)
    return time.perf_counter() - started


@contextmanager
def pinned(threads):
    """torch computes with so many threads inside the block, and with what it had before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def thread_counts():
    """One, and what torch takes by itself."""
    return sorted({1, torch.get_num_threads()})


def paired(times, baseline_times):
    """One time and one baseline's time a round, in seconds."""
    ratios = np.divide(times, baseline_times)
    quartiles = np.quantile(ratios, [0.25, 0.75])
    return Paired(
        float(np.median(times)),
        float(np.median(baseline_times)),
        float(np.median(ratios)),
        (float(quartiles[0]), float(quartiles[1])),
        len(ratios),
    )


def compare(baselines, contenders, rounds, warm_up=True):
    """Run A B A C A, `rounds` times; A stands for every baseline, in an order that turns round each time.

    Parameters
    ----------
    baselines, contenders : dict of str to callable
        What is run, without arguments.
    rounds : int
    warm_up : bool
        Run everything once before.

    Returns
    -------
    dict of (str, str) to Paired
        For every contender and baseline. A contender's time is divided by the mean of the baseline's before and after
        it: drift of the machine's speed cancels to first order. Every baseline but the first is a contender too.
    """
    if warm_up:
        for function in (*baselines.values(), *contenders.values()):
            function()
    turns = itertools.cycle([list(baselines), list(baselines)[::-1]])

    def run_baselines():
        return {name: seconds(baselines[name]) for name in next(turns)}

    first, *others = baselines
    found = {pair: ([], []) for pair in itertools.product((*others, *contenders), baselines) if pair[0] != pair[1]}
    for _ in range(rounds):
        gc.collect()  # what earlier rounds left is not cleared away at somebody's cost
        groups = [run_baselines()]
        for name, function in contenders.items():
            mine = seconds(function)
            groups.append(run_baselines())
            for baseline in baselines:
                found[name, baseline][0].append(mine)
                found[name, baseline][1].append((groups[-2][baseline] + groups[-1][baseline]) / 2)
        means = {name: float(np.mean([group[name] for group in groups])) for name in baselines}
        for name in others:
            found[name, first][0].append(means[name])
            found[name, first][1].append(means[first])
    return {pair: paired(*times) for pair, times in found.items() if times[0]}
