"""The checks of aeon and sktime on our adapters, and aeon's classifiers beside ours, in the environment that has both.

`benchmarks.evidence.adapter_checks` runs this in the environment that `make check-adapters` makes, with "checks" and
perhaps an adapter, or with "vowels" as its arguments, and reads the line of JSON that it prints.
"""

import inspect
import json
import sys
import warnings
from importlib.metadata import version

import torch
from aeon.classification.compose import ClassifierPipeline
from aeon.classification.convolution_based import MiniRocketClassifier
from aeon.classification.distance_based import KNeighborsTimeSeriesClassifier, ProximityForest
from aeon.classification.feature_based import Catch22Classifier
from aeon.classification.shapelet_based import RDSTClassifier
from aeon.testing.estimator_checking import check_estimator as aeon_checks
from aeon.transformations.collection.unequal_length import Padder
from sklearn.pipeline import make_pipeline
from sktime.utils.estimator_checks import check_estimator as sktime_checks

from sklstm import NoisyRNNClassifier, TikhonovGRUClassifier, TikhonovLSTMClassifier
from sklstm.adapters import aeon, sktime
from sklstm.datasets import load_japanese_vowels
from sklstm.preprocessing import SequenceScaler

PACKAGES = ("aeon", "sktime", "scikit-learn", "numpy", "pandas", "torch")


def checked(only):
    """A record of each adapter, or of one: how many checks ran, and what became of those that did not pass."""
    for toolkit, module, check in (("aeon", aeon, aeon_checks), ("sktime", sktime, sktime_checks)):
        for name in module.__all__:
            adapter = getattr(module, name)
            if only not in ("", f"{toolkit}.{name}"):
                continue
            quiet = {"verbose": False} if "verbose" in inspect.signature(check).parameters else {}
            results = check(adapter, **quiet)
            others = {check: str(outcome)[:200] for check, outcome in results.items() if str(outcome) != "PASSED"}
            yield {"toolkit": toolkit, "adapter": name, "run": len(results), "others": others}


def ours(estimator):
    return aeon.RecurrentClassifier(make_pipeline(SequenceScaler(), estimator))


def contenders():
    """Classifiers of aeon that take sequences of unequal length, at their defaults; MiniRocket, behind padding."""
    return {
        "TikhonovGRUClassifier": ours(TikhonovGRUClassifier(random_state=0)),
        "TikhonovLSTMClassifier": ours(TikhonovLSTMClassifier(random_state=0)),
        "NoisyRNNClassifier": ours(NoisyRNNClassifier(random_state=0)),
        "KNeighborsTimeSeriesClassifier": KNeighborsTimeSeriesClassifier(),
        "ProximityForest, 20 trees": ProximityForest(n_trees=20, random_state=0),
        "Catch22Classifier": Catch22Classifier(random_state=0),
        "RDSTClassifier": RDSTClassifier(random_state=0),
        "MiniRocketClassifier": ClassifierPipeline(Padder(padded_length=29), MiniRocketClassifier(random_state=0)),
    }


def vowels():
    """Accuracy of each on the test part of the source, in aeon's layout."""
    X, y = load_japanese_vowels(padded=False, return_X_y=True)
    X_test, y_test = load_japanese_vowels(subset="test", padded=False, return_X_y=True)
    X, X_test = ([one.T for one in part] for part in (X, X_test))
    for name, model in contenders().items():
        accuracy = model.fit(X, y).score(X_test, y_test)
        yield {"classifier": name, "n": len(y), "n_test": len(y_test), "accuracy": accuracy}


def main(part, only=""):
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # what the checks train is tiny and unscaled on purpose
    packages = {name: version(name) for name in PACKAGES}
    found = list(vowels() if part == "vowels" else checked(only))
    print(json.dumps({"part": part, "packages": packages, "found": found}))


if __name__ == "__main__":
    main(*sys.argv[1:])
