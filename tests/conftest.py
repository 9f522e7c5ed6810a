import os

# One thread: the suite runs in several processes at once, and torch threads of several processes fight for cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# scikit-learn skips one of its checks unless scipy was imported with this.
os.environ["SCIPY_ARRAY_API"] = "1"

import pickle
import signal
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir
from sklearn.utils.fixes import parse_version

from sklstm._subnormals import are_flushed

# Nothing is written to disk, and one run is like another: in whichever process, beside whichever tests.
set_hypothesis_home_dir(Path(os.devnull) / "hypothesis")
settings.register_profile("suite", database=None, deadline=None, derandomize=True)
settings.load_profile("suite")


# Started in the background by a shell, a process ignores Ctrl-C, and so does all that it starts: tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def workers_stay_until_the_end():
    """joblib's workers end after five idle minutes; a test that hands them a task just then may wait for ever.

    See https://github.com/joblib/joblib/issues/869.
    """
    # Earlier versions cannot be told, or not in this way.
    options = {"idle_worker_timeout": 3600} if parse_version(joblib.__version__) >= parse_version("1.5") else {}
    with joblib.parallel_config("loky", **options):
        yield


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture(autouse=True)
def process_state_is_left_alone(request):
    """Every test doubles as a check that threads, grad mode, flushing and global random states are restored."""

    def settings():
        return torch.get_num_threads(), torch.is_grad_enabled(), torch.get_default_dtype(), are_flushed()

    before = settings()
    random_state, numpy_state = torch.random.get_rng_state(), pickle.dumps(np.random.get_state())
    yield
    assert settings() == before
    assert torch.equal(torch.random.get_rng_state(), random_state), "torch's global random state was used"
    if not request.node.get_closest_marker("draws_from_numpy"):
        assert pickle.dumps(np.random.get_state()) == numpy_state, "numpy's global random state was used"
