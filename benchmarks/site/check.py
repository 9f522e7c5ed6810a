"""Do scripts, records and pages fit together, and do the quoted numbers say what is recorded?

Nothing is measured and nothing is written. `make docs` runs this first; it names every check that fails. Tests import
no benchmark, so what would be a test of one is here.
"""

import ast
import contextlib
import io
import json
import sys
import tempfile
import traceback
from argparse import Namespace
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from benchmarks.common import peer_environment, peer_times
from benchmarks.evidence import imdb_noise, peer_features
from benchmarks.site import pages, quoted, regenerate, summary
from benchmarks.speed import certificate_cost, predict_speed
from tests.support import records
from tests.support.quoting import differences, without_source
from tests.support.records import PAGES, RESULTS, ROOT
from tests.support.suite import question, run

# They measure nothing and have no page.
WITHOUT_PAGE = {"prepare_datasets"}
NOT_MADE_FROM_RECORDS = {"index", "summary"}


def sources():
    """Text of every script of evidence and speed, by name."""
    paths = [path for folder in regenerate.FOLDERS for path in (ROOT / "benchmarks" / folder).glob("*.py")]
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(paths)}


def page(name):
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


def refusal(function):
    """What a ValueError says, or an error of its own if there is none."""
    try:
        function()
    except ValueError as error:
        return str(error)
    raise AssertionError(f"{function} raised no ValueError")


def every_script_asks_a_question():
    scripts = sources() | {path.stem: path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("*.py")}
    for name in scripts.keys() - WITHOUT_PAGE:
        assert "?" in question(ast.get_docstring(ast.parse(scripts[name]))), name


def no_two_scripts_have_one_name():
    names = [path.name for path in (ROOT / "benchmarks").rglob("*.py")]
    assert len(names) == len(set(names)), sorted(name for name in names if names.count(name) > 1)


def every_script_with_a_page_can_be_run_again():
    assert {Path(module.__file__).stem for module in pages.scripts()} == set(regenerate.NAMES)
    assert set(sources()) - WITHOUT_PAGE == set(regenerate.NAMES)
    for step in regenerate.STEPS:
        source = sources()[step.name]
        assert ("campaign(NAME" in source) == ("--anew" in step.options), step.name
        assert ("    run(NAME" in source or "quick=quick" in source) == step.quick, step.name
        assert ('"--data"' in source) == (step.needs == regenerate.IMDB), step.name


def pages_are_what_is_recorded():
    assert list(pages.differing()) == []
    found = pages.pages()
    for name, (module, _) in found.items():
        assert hasattr(module, "picture") == (f"]({name}.png)" in page(name)), name
    assert {path.stem for path in PAGES.glob("*.md")} == set(found) | NOT_MADE_FROM_RECORDS
    assert {path.stem for path in PAGES.glob("*.png")} <= set(found)
    assert (set(found) | NOT_MADE_FROM_RECORDS) - {"index"} <= set(page("index").splitlines())
    assert {path.stem for path in RESULTS.glob("*.jsonl")} == {module.NAME for module, _ in found.values()}
    assert "Not explained yet" not in page("summary")


def pages_that_differ_are_named():
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(pages, "PAGES", Path(folder)):
        for path in PAGES.iterdir():
            (Path(folder) / path.name).write_bytes(path.read_bytes())
        assert list(pages.differing()) == []
        (Path(folder) / "memory.md").write_text("by hand")
        (Path(folder) / "imdb_noise.png").unlink()
        assert set(pages.differing()) == {"memory.md", "imdb_noise.png"}


def figures_are_drawn_from_records():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "figure.png"
        for module, found in pages.pages().values():
            if hasattr(module, "picture"):
                module.picture(found, path)
                assert path.read_bytes().startswith(b"\x89PNG"), module.NAME
                path.unlink()


def what_is_lost_is_named_with_its_reason():
    lost = {"contender": "sklstm, λ = 0", "baseline": "loop", "ratio": 1.5, "quartiles": [1.5, 1.5], "threads": 1}
    lost |= {"question": "fit_speed", "sizes": {"H": 16}}
    with mock.patch.object(summary, "current", return_value=[lost, lost | {"contender": "skorch"}]):
        (line,) = summary.losses("fit_speed", ("sklstm, λ = 0",))
    assert "one thread. Up to 1.50 against the loop (H = 16)." in line
    assert line.endswith(summary.WHY["fit_speed", "sklstm, λ = 0", "one thread"])


def the_table_of_packages_is_what_was_tried():
    found = records.load(peer_features.NAME)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert peer_features.readme(text, found) == text
    assert tuple(peer_times.PEERS) == peer_environment.NAMES


def quoted_numbers_are_what_is_recorded():
    assert list(differences(quoted.QUOTES, ROOT)) == []
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    own = [quote for quote in quoted.QUOTES if quote.page == "README.md"]
    assert list(without_source(text, own, quoted.NOT_MEASURED)) == []
    assert all(text.count(exception) == 1 for exception in quoted.NOT_MEASURED), "an exception without use"
    assert list(without_source(f"{text}\nIt takes 1.5 s.", own, quoted.NOT_MEASURED)), "a new number is found"


def sentences_that_are_no_longer_true_are_errors():
    faster, last = [{"ratio": 0.98, "sizes": {}}], records.latest("quickstart")[-1]
    wider = [last | {"forecasts": last["forecasts"] | {"robust LSTM": last["forecasts"]["LSTM"]}}]
    for name, found, fields in (("current", faster, quoted.penalty_cost), ("latest", wider, quoted.quickstart)):
        with mock.patch.object(quoted, name, lambda name, found=found: found):
            assert "not true any more" in refusal(fields)


def smoke_runs_record_nothing():
    for module in (certificate_cost, predict_speed):
        printed = io.StringIO()
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(records, "RESULTS", Path(folder)):
            with contextlib.redirect_stdout(printed):
                options = getattr(module, "add_options", None)
                run(module.NAME, module.__doc__, module.measure, module.page, add_options=options, argv=["--quick"])
            assert question(module.__doc__) in printed.getvalue(), module.NAME
            assert not list(Path(folder).iterdir()), module.NAME


def everything_is_measured_again_by_one_command():
    done, failing = [], set()

    def pretend(script, arguments):
        done.append((script, list(arguments)))
        return int(script in failing)

    def names(*argv, status=0):
        done.clear()
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            assert regenerate.main(argv, pretend) == status
        return [name for name, _ in done], printed.getvalue()

    last = ["pages", "quoted", "bars"]
    with mock.patch.object(regenerate, "has_gpu", return_value=False):
        wanted = [n for n in regenerate.NAMES if n not in ("gpu", "smallest_eigenvalue", "imdb_noise")]
        assert names()[0] == [*wanted, *last]
        assert {("noise_robustness", ("--anew",)), ("memory", ())} <= {(name, tuple(given)) for name, given in done}
        assert ("occam_bound", ["--anew", "--tasks", "digits"]) in done
        with tempfile.NamedTemporaryFile() as archive:
            names("--imdb", archive.name, "--continue")
            with_data = [name for name, arguments in done if arguments == ["--data", archive.name]]
        assert with_data == ["smallest_eigenvalue", "occam_bound", "pac_bayes", "imdb_noise"]
        assert set(names("--only", "speed")[0]) == regenerate.in_folder("speed") - {"gpu"} | set(last)
        names("--quick", "--only", "noise_robustness", "memory", "fit_speed")
        assert done == [("fit_speed", ["--quick"]), ("memory", ["--quick"])], "smoke runs write nothing"
        failing.add("memory")
        found, printed = names("--only", "memory", "stack_penalty", status=1)
        assert found == ["memory", "stack_penalty", *last], "a failure stops nothing"
        assert printed.endswith("failed: memory\n")
        found, printed = names("--list")
        assert [line.split()[0] for line in printed.splitlines()] == list(regenerate.NAMES)
        assert found == []


def the_experiment_on_reviews_goes_on_where_it_was_stopped():
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(records, "RESULTS", Path(folder)):
        np.savez(
            Path(folder) / "tiny.npz",
            tokens=rng.integers(1, 6, size=(40, 7)).astype(np.int32),
            length=np.full(40, 7),
            labels=np.arange(40) % 2,
            is_train=np.arange(40) < 24,
            embedding=np.vstack([np.zeros(3), rng.standard_normal((5, 3))]),
        )
        options = Namespace(
            data=Path(folder) / "tiny.npz",
            steps=[4, 6],
            sigmas=imdb_noise.PAPER,
            beyond=(1.2,),
            runs=2,
            hidden=3,
            epochs=1,
        )

        def record_all():
            with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.redirect_stderr(io.StringIO()):
                for record in imdb_noise.measure(options, records.unfinished("imdb_noise")):
                    records.append("imdb_noise", record)
            return records.load("imdb_noise"), printed.getvalue()

        first, _ = record_all()
        assert len({imdb_noise.key(record) for record in first}) == len(first) == 2 * 2 * len(imdb_noise.PAPER) + 1
        path = Path(folder) / "imdb_noise.jsonl"
        lines = path.read_text().splitlines()
        path.write_text("\n".join(lines[:13]) + "\n" + lines[13][:20])  # killed while it wrote
        again, printed = record_all()
        assert printed.count("gap") == 8, "what was finished is not run again"
        same = ("test_error", "train_error_with_noise", "loss")
        assert [imdb_noise.key(record) for record in again] == [imdb_noise.key(record) for record in first]
        assert [[r[name] for name in same] for r in again] == [[r[name] for name in same] for r in first]

    gaps = [r["test_error"] - r["train_error_with_noise"] for r in first if (r["n_steps"], r["sigma"]) == (4, 0.2)]
    mean, error, count = imdb_noise.summary(first)[4, 0.2]
    assert count == 2
    assert np.isclose(mean[0], np.mean(gaps))
    assert np.isclose(error[0], abs(gaps[0] - gaps[1]) / 2)
    mixed = [json.loads('{"hidden": 3, "epochs": 1}'), json.loads('{"hidden": 4, "epochs": 1}')]
    assert "several settings" in refusal(lambda: imdb_noise.page(mixed))


CHECKS = (
    every_script_asks_a_question,
    no_two_scripts_have_one_name,
    every_script_with_a_page_can_be_run_again,
    pages_are_what_is_recorded,
    pages_that_differ_are_named,
    figures_are_drawn_from_records,
    what_is_lost_is_named_with_its_reason,
    the_table_of_packages_is_what_was_tried,
    quoted_numbers_are_what_is_recorded,
    sentences_that_are_no_longer_true_are_errors,
    smoke_runs_record_nothing,
    everything_is_measured_again_by_one_command,
    the_experiment_on_reviews_goes_on_where_it_was_stopped,
)


def main():
    torch.set_num_threads(1)
    failed = []
    for check in CHECKS:
        try:
            check()
        except Exception:
            traceback.print_exc()
            failed.append(check.__name__.replace("_", " "))
    print(f"not true: {'; '.join(failed)}" if failed else f"{len(CHECKS)} checks of benchmarks and their pages passed")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
