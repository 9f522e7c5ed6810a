"""How is every number in the documentation made again?

Runs the scripts that measure, one after the other, in the order of STEPS: what measures time comes first, while the
machine is idle and cool. Then the pages and figures of docs/benchmarks are written, and the sentences elsewhere that
quote them (`quoted.py`), and the bars on times are printed (`bars.py`). What was recorded before stays in
benchmarks/results/; pages show the latest.

    python -m benchmarks.site.regenerate --list                 # what there is, how long it takes and what it needs
    python -m benchmarks.site.regenerate --imdb imdb_glove.npz  # everything, about eleven hours on two cores
    python -m benchmarks.site.regenerate --only speed           # what is in benchmarks/speed
    python -m benchmarks.site.regenerate --only memory quickstart_figures
    python -m benchmarks.site.regenerate --continue             # long runs go on where they stopped
    python -m benchmarks.site.regenerate --quick                # smoke runs where there are some; nothing is recorded

Without --imdb, what needs the reviews is left out, and so is gpu where there is no CUDA device; their pages keep what
was recorded before. `make bench-peers` installs the other packages that fit_speed and predict_speed compare with.
"""

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.records import ROOT
from tests.support.suite import module_of

FOLDERS = ("evidence", "speed")


@dataclass(frozen=True)
class Step:
    """A script: how it begins anew, whether it has a smoke run, how long it takes on two cores, what it needs."""

    name: str
    duration: str
    options: tuple[str, ...] = ("--anew",)
    quick: bool = False
    needs: str = ""
    without_imdb: tuple[str, ...] | None = None  # options with which it does without the reviews


def timed(name, duration, **more):
    """A script that always measures everything."""
    return Step(name, duration, (), quick=True, **more)


ADAPTERS = "make check-adapters"
PEERS, IMDB, GPU = "make bench-peers, else without other packages", "--imdb", "a CUDA device"
AEON = "the package aeon beside this one, for its data; MiniRocket: make bench-peers"
LIRPA, MAPIE = "auto_LiRPA 0.7.1", "MAPIE 1.6.0"
STEPS = (
    timed("fit_speed", "30 minutes, 15 without other packages", needs=PEERS),
    timed("relu_layer", "a minute"),
    timed("packed_steps", "a minute"),
    timed("predict_speed", "20 minutes, 10 without other packages", needs=PEERS),
    timed("penalty_cost", "10 minutes"),
    timed("robust_cost", "2 minutes"),
    timed("label_certificates", "5 minutes"),
    timed("certificate_cost", "2 minutes"),
    timed("path_speed", "10 minutes"),
    timed("stacked_training", "5 minutes"),
    Step("search_speed", "2 minutes", quick=True),
    Step("cluster_traffic", "2 minutes", needs="Linux"),
    Step("labelled_data", "5 minutes", quick=True),
    Step("peer_features", "2 minutes", (), needs=PEERS),
    Step("adapter_checks", "10 minutes", (), needs=ADAPTERS),
    timed("memory", "5 minutes", needs="Linux"),
    Step("large_data", "15 minutes", needs="Linux, 1.4 GB of temporary disk"),
    Step("gpu", "10 minutes", needs=GPU),
    Step("smallest_eigenvalue", "10 minutes", needs=IMDB),
    Step("quickstart_figures", "a minute"),
    Step("convergence_in_n", "10 seconds"),
    Step("stack_penalty", "10 seconds"),
    Step("fuzz_saved_models", "a minute", ()),
    Step("fuzz_estimators", "5 minutes", ()),
    Step("certificate_soundness", "25 minutes"),
    Step("bound_coverage", "25 minutes"),
    Step("guarantee_coverage", "5 minutes"),
    Step("conformal_drift", "5 minutes", needs=MAPIE),
    Step("smoothing", "12 minutes"),
    Step("certificate_tightness", "20 minutes"),
    Step("peer_verifier", "20 minutes", needs=LIRPA),
    Step("noise_robustness", "45 minutes"),
    Step("regularisers", "an hour and a half"),
    Step("what_the_papers_leave", "10 minutes"),
    Step("real_data", "an hour", needs=AEON),
    Step("small_sets", "half an hour", needs=AEON),
    Step("defaults", "an hour", needs=AEON),
    Step("robust_defaults", "10 minutes", needs=AEON),
    Step("robust_training", "two hours", needs=AEON),
    Step("occam_bound", "25 minutes, 2 without imdb", needs=IMDB, without_imdb=("--tasks", "digits")),
    Step("pac_bayes", "10 minutes, 1 without imdb", needs=IMDB, without_imdb=("--tasks", "digits")),
    Step("imdb_noise", "3 hours", needs=IMDB),
)
NAMES = tuple(step.name for step in STEPS)


def in_folder(folder):
    """Names of the steps in a folder of benchmarks/."""
    return {path.stem for path in (ROOT / "benchmarks" / folder).glob("*.py")} & set(NAMES)


def listed():
    """The steps as text, in their order."""
    width = max(map(len, NAMES))
    return "\n".join(f"{s.name:<{width}}  {s.duration}" + (f"; needs {s.needs}" if s.needs else "") for s in STEPS)


def has_gpu():
    import torch

    return torch.cuda.is_available()


def command(step, options):
    """The script's arguments, or None with the reason why it is left out.

    Returns
    -------
    arguments : list of str or None
    reason : str
    """
    if options.quick:
        return (["--quick"], "") if step.quick else (None, "it has no smoke run")
    if step.needs == GPU and not has_gpu():
        return None, "there is no CUDA device"
    arguments = [option for option in step.options if option != "--anew" or not options.go_on]
    if step.needs == IMDB:
        if options.imdb is None and step.without_imdb is None:
            return None, "--imdb is not given"
        arguments += step.without_imdb if options.imdb is None else ("--data", options.imdb)
    return arguments, ""


def run(script, arguments):
    """Exit status of a script that chooses its own number of threads."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    return subprocess.run([sys.executable, "-m", module_of(script), *arguments], env=environment).returncode


def parsed(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="name the steps and do nothing")
    choices = (*FOLDERS, *NAMES)
    parser.add_argument("--only", nargs="+", choices=choices, metavar="NAME", default=FOLDERS, help="steps or folders")
    parser.add_argument("--imdb", metavar="PATH", help="archive made by sklstm.datasets.prepare_imdb")
    parser.add_argument("--continue", dest="go_on", action="store_true", help="do not begin long runs anew")
    parser.add_argument("--quick", action="store_true", help="smoke runs; nothing is recorded, no page is written")
    options = parser.parse_args(argv)
    if options.imdb is not None and not Path(options.imdb).is_file():
        parser.error(f"--imdb: there is no file {options.imdb}")
    options.only = set(options.only).union(*(in_folder(name) for name in FOLDERS if name in options.only))
    return options


def main(argv=None, run=run):
    options = parsed(argv)
    if options.list:
        print(listed())
        return 0
    failed = []
    for step in STEPS:
        if step.name not in options.only:
            continue
        arguments, reason = command(step, options)
        if arguments is None:
            print(f"{step.name}: left out, as {reason}", flush=True)
            continue
        print(f"{step.name} ({step.duration})", flush=True)
        started = time.perf_counter()
        status = run(step.name, arguments)
        failed += [step.name] * (status != 0)
        print(f"{step.name}: {'failed' if status else 'done'}, {time.perf_counter() - started:.0f} s", flush=True)
    if not options.quick:
        last = (("pages", []), ("quoted", ["--write"]), ("bars", []))
        failed += [name for name, arguments in last if run(name, arguments)]
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
