"""Damaged and forged files: a clear error or a model that works, nothing else. The long run is in benchmarks/."""

from collections import Counter
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skorch.callbacks import Callback

from sklstm import TikhonovGRURegressor
from sklstm.training import Checkpoint
from tests.support.forgery import altered, damaged, originals, outcome_of_checkpoint, outcome_of_load

SEEDS = st.integers(0, 2**32 - 1)
COUNTS = Counter()


@cache
def saved(folder):
    models = originals()
    for number, (model, _) in enumerate(models):
        model.save(folder / str(number))
    return [(model, X, (folder / str(number)).read_bytes()) for number, (model, X) in enumerate(models)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


@settings(max_examples=80)
@given(seed=SEEDS)
def test_no_changed_model_does_harm(seed, folder):
    rng = np.random.default_rng(seed)
    models = saved(folder)
    model, X, content = models[rng.integers(len(models))]
    change, origin = (damaged, "damaged") if rng.random() < 0.5 else (altered, "altered")
    path = folder / "model"
    kind, changed = change(content, rng)
    path.write_bytes(changed)
    result, *_ = outcome_of_load(path, model, X)
    assert not result.startswith("failure"), f"{kind}: {result}"
    assert origin == "altered" or result in ("error", "same model")
    COUNTS[origin, result] += 1


def test_the_changes_reach_what_they_are_meant_to_reach():
    if not COUNTS:
        pytest.skip("the test before this one did not run")
    assert COUNTS["damaged", "error"] > 20
    assert COUNTS["altered", "error"] > 15
    assert sum(count for (_, result), count in COUNTS.items() if result != "error") > 1


class Stop(Callback):
    changes_training = False

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 3:
            raise KeyboardInterrupt


DATA = np.random.default_rng(1).standard_normal((40, 5, 2))


def fit(folder, *callbacks):
    model = TikhonovGRURegressor(
        3, max_epochs=4, early_stopping=True, lr_schedule="plateau", random_state=0,
        callbacks=[Checkpoint(folder, every=1), *callbacks],
    )  # fmt: skip
    return model.fit(DATA, DATA[:, -1, 0]).predict(DATA)


@cache
def stored(folder):
    """File of an interrupted training, its content, and what the undisturbed training predicts."""
    states = folder / "states"
    expected = fit(states)
    (path,) = states.iterdir()
    path.unlink()
    with pytest.raises(KeyboardInterrupt):
        fit(states, Stop())
    return path, path.read_bytes(), expected


@settings(max_examples=40)
@given(seed=SEEDS)
def test_no_changed_checkpoint_ends_a_fit_or_changes_it_unsaid(seed, folder):
    rng = np.random.default_rng(seed)
    path, content, expected = stored(folder)
    change = damaged if rng.random() < 0.3 else altered
    kind, changed = change(content, rng)
    path.write_bytes(changed)
    result, *_ = outcome_of_checkpoint(path, lambda: fit(path.parent), expected)
    assert not result.startswith("failure"), f"{kind}: {result}"
    assert change is altered or result in ("ignored", "same training")
