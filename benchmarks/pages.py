"""Do the pages and figures of docs/benchmarks say what is recorded?

Writes all of them from benchmarks/results/ without measuring anything: the same records give the same pages on any
machine. With --check it writes none and names those that differ. Parts of two pages are written by hand and are kept:
fuzzing.md up to "The last run", occam_bound.md up to its table.
"""

import argparse
import sys

import bound_coverage
import certificate_soundness
import certificate_tightness
import convergence_in_n
import fuzz_estimators
import fuzz_saved_models
import gpu
import imdb_noise
import large_data
import noise_robustness
import occam_bound
import regularisers
import relu_layer
import search_speed
import smallest_eigenvalue
import stacked_training
import summary
from _records import PAGES, current, latest
from _suite import write

TIMED = (*summary.MODULES.values(), relu_layer, stacked_training)
CAMPAIGNS = (
    large_data,
    search_speed,
    gpu,
    noise_robustness,
    regularisers,
    imdb_noise,
    certificate_soundness,
    certificate_tightness,
    bound_coverage,
    occam_bound,
    convergence_in_n,
    smallest_eigenvalue,
    fuzz_estimators,
    fuzz_saved_models,
)


def pages():
    """Name of every page that the records can give: its script's module, and the records it is made of."""
    found = {module.NAME: (module, current(module.NAME)) for module in TIMED}
    found |= {getattr(module, "PAGE", module.NAME): (module, latest(module.NAME)) for module in CAMPAIGNS}
    return {name: (module, records) for name, (module, records) in found.items() if records}


def differing():
    """Names of the pages whose text is not what the records give, and of figures that do not exist."""
    for name, (module, records) in pages().items():
        path = PAGES / f"{name}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != module.page(records):
            yield path.name
        if hasattr(module, "picture") and not path.with_suffix(".png").exists():
            yield f"{name}.png"
    if (PAGES / "summary.md").read_text(encoding="utf-8") != summary.page():
        yield "summary.md"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page differs")
    if parser.parse_args().check:
        names = list(differing())
        sys.exit(f"not what is recorded: {', '.join(names)}" if names else 0)
    for name, (module, records) in pages().items():
        write(name, records, module.page, getattr(module, "picture", None))
    (PAGES / "summary.md").write_text(summary.page(), encoding="utf-8")


if __name__ == "__main__":
    main()
