"""Ctrl-C ends a search as Ctrl-C, and kill -9 costs it no more than the epochs since the last stored state."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from skorch.callbacks import Callback

import sklstm
from sklstm import TikhonovLSTMRegressor
from sklstm.training import Checkpoint
from sklstm.training._checkpoint import read_state
from tests.support.long_search import EPOCHS, FITS, numbers, search
from tests.support.searches import Tally, epochs_counted, problem

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and process groups")

ROOT = Path(__file__).parents[2]


class Searches:
    """Searches in process groups of their own, as a shell would start them, one at a time."""

    def __init__(self):
        places = [Path(sklstm.__file__).parents[1], ROOT]  # of the package that is tested, and of these tests
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, places))}
        command = [sys.executable, "-m", "tests.support.long_search"]
        pipe = subprocess.PIPE
        self.server = subprocess.Popen(command, env=environment, text=True, stdin=pipe, stdout=pipe)

    def start(self, folder, n_jobs, pause):
        self.server.stdin.write(json.dumps([str(folder), n_jobs, pause]) + "\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())

    def stop(self, group, kind):
        """Signal a whole group, as a terminal does, or a power cut; the exit status once the search has ended."""
        os.killpg(group, kind)
        return int(self.server.stdout.readline())


@pytest.fixture(scope="module")
def searches():
    found = Searches()
    yield found
    found.server.stdin.close()
    found.server.wait(120)
    found.server.stdout.close()


def wait_for_epochs(folder, count):
    deadline = time.monotonic() + 300  # a guard against waiting for ever
    while epochs_counted(folder / "epochs") < count:
        assert time.monotonic() < deadline, (folder / "errors").read_text()
        time.sleep(0.002)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_ctrl_c_ends_a_search_at_once_and_no_result_is_recorded(n_jobs, searches, tmp_path):
    group = searches.start(tmp_path, n_jobs, pause=1.0)  # hours of training, were it left alone
    wait_for_epochs(tmp_path, n_jobs)
    assert searches.stop(group, signal.SIGINT) in (-signal.SIGINT, 128 + signal.SIGINT)
    assert (tmp_path / "errors").read_text().rstrip().endswith("KeyboardInterrupt")
    assert (tmp_path / "reason").read_text() == "KeyboardInterrupt False", "no cv_results_"
    assert not (tmp_path / "result.json").exists()


class Interrupt(Callback):
    """Ctrl-C after some epochs."""

    changes_training = False

    def __init__(self, after):
        self.after = after

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.after:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::sklstm.exceptions.DataWarning")
def test_an_interrupted_fit_leaves_a_fitted_estimator_as_it_was():
    X, y = problem("lstm", n=40)
    model = TikhonovLSTMRegressor(4, n_channels=2, max_epochs=3, random_state=0).fit(X, y)
    model.set_params(callbacks=[Interrupt(2)])
    before, predictions = dict(vars(model)), model.predict(X)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, 2 * y)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert vars(model) == before
    np.testing.assert_array_equal(model.predict(X), predictions)


@pytest.fixture(scope="module")
def undisturbed():
    """What the search finds if nobody disturbs it, without any checkpoint."""
    X, y = problem("lstm", n=60)
    return json.loads(json.dumps(numbers(search("lstm", 1, None).fit(X, y), X)))


def check_folder(states):
    for path in states.iterdir():
        if path.suffix == ".safetensors":
            assert read_state(path)["state"]["history"], "a file that is there is whole"
        else:
            assert path.suffix == ".tmp", "at most the file that was being written"


@pytest.mark.parametrize(("n_jobs", "n_kills"), [(1, 2), (2, 1)])
def test_a_killed_search_goes_on_and_ends_as_if_nothing_had_happened(n_jobs, n_kills, searches, undisturbed, tmp_path):
    moments = random.Random(n_jobs)
    states, counted = tmp_path / "states", tmp_path / "epochs"
    spent = 0
    for _ in range(n_kills):
        group = searches.start(tmp_path, n_jobs, pause=0.01)
        goal = spent + moments.randint(3, FITS * EPOCHS // (n_kills + 2))
        wait_for_epochs(tmp_path, goal)
        time.sleep(moments.uniform(0, 0.03))
        assert searches.stop(group, signal.SIGKILL) == -signal.SIGKILL  # workers too: a power cut
        spent = epochs_counted(counted)
        assert spent >= goal
        check_folder(states)
    assert not (tmp_path / "result.json").exists()

    # The rest in this process, whatever the number of workers was.
    X, y = problem("lstm", n=60)
    callbacks = [Checkpoint(states, every=1), Tally(counted)]
    resumed = search("lstm", 1, callbacks).fit(X, y)
    assert numbers(resumed, X) == undisturbed
    # Every kill costs each worker at most the epoch that it was in, and one that it had ended and not yet stored.
    assert FITS * EPOCHS <= epochs_counted(counted) <= FITS * EPOCHS + 2 * n_jobs * n_kills
    check_folder(states)
    assert len(list(states.glob("*.safetensors"))) == FITS

    before = epochs_counted(counted)
    again = search("lstm", 1, callbacks).fit(X, y)
    assert numbers(again, X) == undisturbed
    assert epochs_counted(counted) == before, "a finished search is read, not trained"
