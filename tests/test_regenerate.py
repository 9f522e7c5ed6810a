"""Everything that is recorded can be measured again by one command."""

from argparse import Namespace
from pathlib import Path

import pages
import pytest
import regenerate

FOLDER = Path(regenerate.__file__).parent


@pytest.fixture
def runs(monkeypatch):
    """What is run instead of the scripts: names and arguments; status 1 for those in `failing`."""
    done, failing = [], set()

    def run(script, arguments):
        done.append((script, list(arguments)))
        return int(script in failing)

    monkeypatch.setattr(regenerate, "run", run)
    monkeypatch.setattr(regenerate, "has_gpu", lambda: False)
    return Namespace(done=done, failing=failing, names=lambda: [name for name, _ in done])


def test_every_script_with_a_page_is_a_step():
    assert {Path(module.__file__).stem for module in pages.scripts()} == set(regenerate.NAMES)


@pytest.mark.parametrize("step", regenerate.STEPS, ids=lambda step: step.name)
def test_a_step_begins_anew_and_has_a_smoke_run_if_its_script_has(step):
    source = (FOLDER / f"{step.name}.py").read_text(encoding="utf-8")
    assert ("campaign(NAME" in source) == ("--anew" in step.options)
    assert ("    run(NAME" in source or "quick=quick" in source) == step.quick
    assert ('"--data"' in source) == (step.needs == regenerate.IMDB)


def test_everything_is_measured_then_written(runs):
    assert regenerate.main([]) == 0
    wanted = [step.name for step in regenerate.STEPS if step.name not in ("gpu", "smallest_eigenvalue", "imdb_noise")]
    assert runs.names() == [*wanted, "pages", "quoted"]
    assert ("noise_robustness", ["--anew"]) in runs.done
    assert ("memory", []) in runs.done
    assert ("occam_bound", ["--anew", "--tasks", "digits"]) in runs.done


def test_the_reviews_are_handed_to_what_needs_them(runs, tmp_path):
    path = tmp_path / "imdb.npz"
    path.touch()
    regenerate.main(["--imdb", str(path), "--continue"])
    with_data = [name for name, arguments in runs.done if arguments == ["--data", str(path)]]
    assert with_data == ["smallest_eigenvalue", "occam_bound", "imdb_noise"]
    with pytest.raises(SystemExit):
        regenerate.main(["--imdb", str(tmp_path / "missing.npz")])


def test_smoke_runs_write_nothing(runs):
    assert regenerate.main(["--quick", "--only", "noise_robustness", "memory", "fit_speed"]) == 0
    assert runs.done == [("fit_speed", ["--quick"]), ("memory", ["--quick"])]


def test_a_failure_is_named_and_stops_nothing(runs, capsys):
    runs.failing.add("memory")
    assert regenerate.main(["--only", "memory", "stack_penalty"]) == 1
    assert runs.names() == ["memory", "stack_penalty", "pages", "quoted"]
    assert capsys.readouterr().out.endswith("failed: memory\n")


def test_the_list_names_all_steps_and_runs_none(runs, capsys):
    assert regenerate.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(regenerate.NAMES)
    assert runs.done == []
