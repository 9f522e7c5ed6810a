"""Labels by aeon's MiniRocket, in the peers' environment: from a file of arrays to a file of predictions.

Started by `benchmarks.evidence.real_data`, one process a fit. ``X0`` is the training data, the others are predicted.
"""

import sys

import numpy as np


def main(given, found):
    from aeon.classification.convolution_based import MiniRocketClassifier

    with np.load(given) as arrays:
        series = [arrays[f"X{i}"].transpose(0, 2, 1) for i in range(len(arrays.files) - 2)]
        y, seed = arrays["y"], int(arrays["seed"])
    model = MiniRocketClassifier(random_state=seed).fit(series[0], y)
    np.save(found, np.stack([model.predict(X) for X in series[1:]]))


if __name__ == "__main__":
    main(*sys.argv[1:])
