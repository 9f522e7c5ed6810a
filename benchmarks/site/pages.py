"""Do the pages and figures of docs/benchmarks say what is recorded?

Writes all of them from benchmarks/results/ without measuring anything: the same records give the same pages on any
machine. With --check it writes none and names those that differ. Parts of three pages are written by hand and are kept:
fuzzing.md up to "The last run", occam_bound.md and pac_bayes.md up to their tables.
"""

import argparse
import importlib
import sys

from benchmarks.site import summary
from tests.support.records import PAGES, ROOT, current, latest
from tests.support.suite import module_of, write

README = ROOT / "README.md"


def scripts():
    """The modules of all scripts that have a page of their own records."""
    paths = [path for folder in ("evidence", "speed") for path in (ROOT / "benchmarks" / folder).glob("*.py")]
    modules = [importlib.import_module(module_of(name)) for name in sorted(path.stem for path in paths)]
    return [module for module in modules if hasattr(module, "page") and hasattr(module, "NAME")]


def pages():
    """Name of every page that the records can give: its script's module, and the records it is made of."""
    found = {}
    for module in scripts():
        records = latest(module.NAME)
        if records and all("sizes" in record for record in records):  # the common format of times and memory
            records = current(module.NAME)
        found[getattr(module, "PAGE", module.NAME)] = module, records
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
        if hasattr(module, "readme"):  # a table of README.md is made of its records too
            README.write_text(module.readme(README.read_text(encoding="utf-8"), records), encoding="utf-8")
    (PAGES / "summary.md").write_text(summary.page(), encoding="utf-8")


if __name__ == "__main__":
    main()
