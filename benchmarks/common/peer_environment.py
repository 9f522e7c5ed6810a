"""Asks other packages how long they take, each in a process of the environment that `make bench-peers` makes."""

import json
import os
import subprocess

from tests.support.records import ROOT, timing
from tests.support.timing import Paired

PYTHON = ROOT / ".venv-peers" / "bin" / "python"
NAMES = ("sktime RNN", "darts LSTM", "keras LSTM", "aeon LSTM")


def ask(question, peer, sizes, threads, rounds, **case):
    """Records of one peer against all baselines of `peer_times.measure`; if it fails, none and a line that says why."""
    if not PYTHON.exists():
        print(f"{peer}: left out, as there is no .venv-peers; `make bench-peers` makes it")
        return
    names = {"n": "n", "L": "n_steps", "d": "n_channels", "H": "hidden_size", "B": "batch_size"}
    case |= {names[key]: value for key, value in sizes.items()} | {"peer": peer, "threads": threads, "rounds": rounds}
    counts = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    answer = subprocess.run(
        [PYTHON, "-m", "benchmarks.common.peer_times", json.dumps(case)],
        cwd=ROOT,
        env=os.environ | counts,
        capture_output=True,
        text=True,
    )
    if answer.returncode:
        print(f"{peer}: left out, as it ended with: {answer.stderr.strip().splitlines()[-1]}")
        return
    found = json.loads(answer.stdout)
    more = {"packages": found["packages"]} | {key: case[key] for key in ("epochs",) if key in case}
    for baseline, pair in found["pairs"].items():
        yield timing(question, peer, baseline, sizes, threads, Paired(**pair), **more)


def described(records):
    """The peers' versions, for a page."""
    packages = {name: found for record in records for name, found in record.get("packages", {}).items()}
    return ", ".join(f"{name} {found}" for name, found in sorted(packages.items()))
