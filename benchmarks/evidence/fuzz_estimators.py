"""Do the estimators keep their promises on input that nobody has thought of?

Random estimators, data and orders of calls, as in `tests/fuzz`, but many more of them. Every run, whatever it finds, is
appended to `results/fuzz_estimators.jsonl`.
"""

import argparse
import subprocess
import sys
import time
from datetime import date

import hypothesis

from tests.support.fuzz import campaign, watch
from tests.support.fuzz.defects import DEFECTS
from tests.support.fuzz.known import KNOWN
from tests.support.records import PAGES, ROOT, append, latest, machine, table
from tests.support.suite import write

NAME, PAGE = "fuzz_estimators", "fuzzing"
WORDS = {
    "valid_input_is_taken_and_every_route_agrees": "valid input is taken; predictions, certificates, pickles agree",
    "the_same_values_in_any_form_make_the_same_network": "the same values in two forms make the same network",
    "settings_of_the_process_do_not_matter": "settings of the process do not matter",
    "partial_fits_go_on_where_they_stopped": "partial fits go on where they stopped",
    "any_value_of_any_parameter": "any value of any parameter",
    "sequences_to_train_on": "bad and doubtful X in training",
    "targets_and_labels": "bad and doubtful y",
    "weights": "bad and doubtful sample_weight",
    "sequences_to_predict_and_sizes_to_certify": "bad and doubtful X afterwards, and eps",
    "intervals_and_votes_are_the_same_in_any_form": "intervals and votes are the same in any form of X",
    "sequences_and_sizes_of_intervals_and_votes": "bad and doubtful X, sigma and eps of intervals and votes",
    "windows_of_a_table": "labels: windows of tables, their targets and ids, permuted",
    "windows_of_panels": "labels: windows of panels with ids and times",
    "sequences_from_a_long_table": "labels: sequences from long tables, permuted",
    "scalers_of_tables": "labels: scalers of frames and wide tables, permuted",
    "predictions_and_certificates_of_frames": "labels: predictions, certificates and radii of frames, permuted",
    "predictions_and_sizes_of_wide_tables": "labels: predictions and certificates of wide tables, permuted",
    "random_noise_and_intervals_by_label": "labels: intervals under noise and from calibration, permuted",
    "targets_and_weights_with_an_index": "labels: targets and weights with an index of their own",
    "call_orders": "orders of calls, of up to 20 each",
}


def revision():
    try:
        command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def fuzz(examples, number):
    watch.calls.clear()
    started, parts = time.perf_counter(), {}
    for offset, name in enumerate(campaign.NAMES):
        parts[name] = campaign.run(name, profile="long", examples=examples, number=number + offset)
        record = parts[name]
        print(
            f"{record['examples']:6d} examples, {record['seconds']:6.1f} s, {len(record['findings'])} findings: {name}"
        )
        for finding in record["findings"]:
            print(f"    {finding['what']}\n    {finding['example']}", flush=True)
    calls = {}
    for (method, ok), count in sorted(watch.calls.items()):
        calls.setdefault(method, {"taken": 0, "refused": 0})["taken" if ok else "refused"] = count
    return {
        "date": date.today().isoformat(),
        "revision": revision(),
        "machine": f"{machine()}, hypothesis {hypothesis.__version__}",
        "seed": number,
        "asked": examples,
        "examples": sum(part["examples"] for part in parts.values()),
        "seconds": round(time.perf_counter() - started, 1),
        "known": KNOWN,
        "findings": sum(len(part["findings"]) for part in parts.values()),
        "calls": calls,
        "properties": parts,
    }


def page(records):
    """The page, of which only the last part is made here; what must hold is written by hand."""
    last = records[-1]
    rows = [
        [WORDS[name], f"{part['examples']:,}", f"{part['seconds']:.0f} s", len(part["findings"])]
        for name, part in last["properties"].items()
    ]
    labelled = sum(part["examples"] for name, part in last["properties"].items() if WORDS[name].startswith("labels"))
    rows.append(["all", f"{last['examples']:,}", f"{last['seconds']:.0f} s", last["findings"]])
    calls = [[f"`{name}`", f"{c['taken']:,}", f"{c['refused']:,}"] for name, c in last["calls"].items()]
    by_hand = (PAGES / f"{PAGE}.md").read_text(encoding="utf-8").partition("\n## The last run\n")[0]
    how_many = f"{labelled:,} of the examples have labels.\n\n" if labelled else ""
    return (
        f"{by_hand}\n## The last run\n\n"
        f"{table(['property', 'examples', 'time', 'findings'], rows)}\n\n"
        f"{table(['calls under watch', 'taken', 'refused'], calls)}\n\n"
        f"{how_many}Every one of the {len(DEFECTS)} planted defects is found in every run of the suite.\n\n"
        f"Regenerate: `python -m benchmarks.evidence.fuzz_estimators --examples {last.get('asked', 2000)} --report`. "
        f"Recorded with seed {last['seed']} on {last['machine']}.\n"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=2700, help="of all properties together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", action="store_true", help="write the last run into docs/benchmarks/fuzzing.md")
    arguments = parser.parse_args()
    record = fuzz(arguments.examples, arguments.seed)
    append(NAME, record)
    if arguments.report:
        write(PAGE, latest(NAME), page)
    return 1 if record["findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
