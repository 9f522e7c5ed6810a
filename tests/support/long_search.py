"""Searches in processes of their own, for tests that interrupt them. Input: lines of JSON, ``[folder, n_jobs, pause]``.

A search counts epochs in ``folder/epochs``, keeps states in ``folder/states``, and leaves its numbers in
``folder/result.json``.
"""

import json
import os
import signal
import sys
from pathlib import Path

from sklearn.model_selection import GridSearchCV

from sklstm.training import Checkpoint
from tests.support.searches import Tally, pipeline, problem

EPOCHS, FITS = 20, 5  # two candidates on two folds, and the refit


def search(kind, n_jobs, callbacks, epochs=EPOCHS):
    model = pipeline(kind, callbacks=callbacks, max_epochs=epochs, early_stopping=True, n_iter_no_change=epochs)
    return GridSearchCV(model, {"model__lr": [0.003, 0.03]}, cv=2, n_jobs=n_jobs, error_score="raise")


def numbers(fitted, X):
    """All the digits of what a search found."""
    scores = {name: list(map(float, values)) for name, values in fitted.cv_results_.items() if name.endswith("_score")}
    return scores | {"predictions": fitted.predict(X).tolist(), "loss": fitted.best_estimator_["model"].loss_curve_}


def run(folder, n_jobs, pause):
    # A runner that was itself started in the background would have Ctrl-C ignored, in all that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = Path(folder)
    os.chdir(folder)
    X, y = problem("lstm", n=60)
    callbacks = [Checkpoint(folder / "states", every=1), Tally(folder / "epochs", pause=pause)]
    epochs = EPOCHS if pause < 1 else 10_000  # with such a pause this is no search to wait for
    fitted = search("lstm", n_jobs, callbacks, epochs)
    try:
        fitted.fit(X, y)
    except BaseException as reason:
        (folder / "reason").write_text(f"{type(reason).__name__} {hasattr(fitted, 'cv_results_')}")
        raise
    (folder / "result.json").write_text(json.dumps(numbers(fitted, X)))


def serve():
    """One process group for every line of input; its number comes back at once, its exit status in the end.

    The imports take longer than the searches, and are made once.
    """
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            os.setsid()
            folder, n_jobs, pause = json.loads(line)
            with open(Path(folder) / "errors", "wb") as errors:
                os.dup2(errors.fileno(), sys.stderr.fileno())
            run(folder, n_jobs, pause)
            return
        answer(process)
        answer(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))


def answer(number):
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
