"""What does `sklstm.load` make of files that are damaged, or forged by someone who knows the format?

Half of the files are changed blindly: flipped bits, other bytes, pieces cut off, put in or taken out, another length of
the header. They must be refused, or be the same model. The other half are forged: values, types, names, shapes, offsets
and nesting are changed and the digest is made to fit. They must be refused, or be a model that works. Each file is
loaded in this process under limits of time and memory.
"""

import argparse

from tests.support.mutations import attack
from tests.support.records import append, latest, machine, table
from tests.support.suite import write

NAME, PAGE = "fuzz_saved_models", "saved_models"
SECONDS = 5.0  # that loading a file may take


def page(records):
    record = records[-1]
    outcomes = ["error", "same model", "other valid model", "failure"]
    counts = {tuple(row[:3]): row[3] for row in record["counts"]}
    rows = []
    for origin, kind in sorted({key[:2] for key in counts}):
        row = [counts.get((origin, kind, result), 0) for result in outcomes]
        rows.append([origin, kind, sum(row), *row])
    for origin in ("damaged", "forged"):
        sums = [sum(row[i] for row in rows if row[0] == origin) for i in range(2, 7)]
        rows.append([f"**{origin}**", "**all**", *sums])
    return TEXT.format(
        n=record["n_files"], seed=record["seed"], machine=record["machine"], failures=len(record["failures"]),
        per_byte=record["memory_per_byte"], grown=record["process_grown_mb"],
        table=table(["file", "change", "files", "clear error", "same model", "another valid model", "failure"], rows),
    )  # fmt: skip


TEXT = f"""# Saved models, damaged and forged

{__doc__}
{{n}} files (seed {{seed}}), made of six small models that between them use every part of the format: **{{failures}}
failures**. A failure is any other exception than `ModelFileError`, a model that does not predict, certify and report,
another model out of a blindly changed file, more than 5 s, or more than 20 times the file's size in memory (4 MB are
always allowed).

{{table}}

A digest over document and tensors makes blind changes errors; the few that are the same model touch what has no
meaning. Whoever forges a file can make the digest fit, so that a forged file may be another model, as valid as any:
that a file is a model says nothing about who made it.

The largest memory that Python and numpy held while loading was {{per_byte}} times the file's size (mostly a fixed
part, as the files are some 10 kB), and the process grew by {{grown}} MB over the whole run.

Regenerate: `python -m benchmarks.evidence.fuzz_saved_models --report`. Recorded on {{machine}}.
"""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", action="store_true", help="write docs/benchmarks/saved_models.md")
    arguments = parser.parse_args()
    record = attack(arguments.files, arguments.seed, seconds=SECONDS) | {"machine": machine()}
    append(NAME, record)
    print("\n".join(record["failures"]) or "no failures")
    if arguments.report:
        write(PAGE, latest(NAME), page)
