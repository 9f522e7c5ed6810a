"""Ctrl-C ends a path, in all of its threads."""

import _thread
import threading
import time

import numpy as np
import pytest
from joblib import parallel_config

from sklstm import NoisyRNNClassifier
from sklstm.model_selection import RegularizationPathCV


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("strategy", ["stacked", "separate"])
def test_ctrl_c(n_jobs, strategy):
    X = np.random.default_rng(0).standard_normal((60, 4, 1))
    y = X[:, -1, 0] > 0
    model = NoisyRNNClassifier(4, max_epochs=10**6)
    path = RegularizationPathCV(model, "sigma", [0.1, 0.3], cv=2, strategy=strategy, n_jobs=n_jobs)
    before = threading.active_count()
    timer = threading.Timer(0.5, _thread.interrupt_main)
    timer.start()
    # Worker processes are joblib's to end; threads are ours.
    with parallel_config(backend="threading"), pytest.raises(KeyboardInterrupt):
        path.fit(X, y)
    timer.join()
    deadline = time.monotonic() + 20
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before, "a worker trains on"
    assert not hasattr(path, "score_path_")
