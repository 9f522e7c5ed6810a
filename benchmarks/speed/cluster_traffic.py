"""How many bytes does a search on a Dask cluster send?

A grid search over `lambda_s` in three folds, on a cluster of two worker processes on one machine. The bytes are those
that pass the loopback device while the search runs, divided by the size of X. Other programs of the machine that use
the device would be counted too.
"""

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import joblib
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from sklstm import TikhonovLSTMRegressor
from tests.support.records import table
from tests.support.suite import Bar, campaign, explanation, question, regenerate

NAME = "cluster_traffic"
FOLDS, WORKERS = 3, 2
N_VALUES = (2, 4, 8)
DEVICES = Path("/proc/net/dev")


def received():
    """Bytes that the loopback device has received since the machine started."""
    (line,) = (line for line in DEVICES.read_text().splitlines() if line.strip().startswith("lo:"))
    return int(line.split()[1])


def searched(X, y, n_values, **options):
    """Bytes of a search over this many values."""
    model = TikhonovLSTMRegressor(4, max_epochs=1, random_state=0)
    grid = {"lambda_s": np.logspace(-1, -3, n_values)}
    search = GridSearchCV(model, grid, cv=FOLDS, refit=False, error_score="raise")
    before = received()
    with joblib.parallel_config("dask", **options):
        search.fit(X, y)
    return received() - before


def measure(options, done):
    from distributed import Client, LocalCluster

    warnings.simplefilter("ignore", ConvergenceWarning)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((options.n, 24, 10))
    y = X[:, -1, 0].copy()
    with TemporaryDirectory() as folder:
        np.save(Path(folder) / "X.npy", X)
        mapped = np.load(Path(folder) / "X.npy", mmap_mode="r")
        ways = {
            "an array": (X, {}),
            'an array, `parallel_config("dask", scatter=[X, y])`': (X, {"scatter": [X, y]}),
            "a memory map": (mapped, {}),
        }
        with (
            LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster),
        ):
            for way, (data, more) in ways.items():
                for n_values in N_VALUES:
                    key = {"way": way, "fits": FOLDS * n_values, "n": options.n, "megabytes": round(X.nbytes / 1e6, 1)}
                    if not any(key.items() <= record.items() for record in done):
                        yield key | {"ratio": round(searched(data, y, n_values, **more) / X.nbytes, 3)}


def page(records):
    last = records[-1]
    rows = [
        [way, *(f"{r['ratio']:.2f}" for r in records if r["way"] == way)]
        for way in dict.fromkeys(record["way"] for record in records)
    ]
    return (
        f"# Bytes that a search on a cluster sends\n\n{question(__doc__)}\n\n{explanation(__doc__)}\n\n"
        f"X has {last['megabytes']:g} MB ({last['n']:,} sequences). Bytes sent, as a multiple of that:\n\n"
        f"{table(['X is', *(f'{FOLDS * n} fits' for n in N_VALUES)], rows)}\n\n"
        f"The data are sent about once to each of the {WORKERS} workers, and once more on the way. That does not grow "
        "with the number of fits: joblib hands arrays to Dask once, and tasks refer to them.\n\n"
        f"{regenerate(NAME, records)}"
    )


def bars(records):
    """Sent once to each worker, once more on the way, and a quarter for models and results."""
    for record in records:
        yield Bar(f"{record['way']}, {record['fits']} fits, bytes over those of X", WORKERS + 1.25, record["ratio"])


def add_options(parser):
    parser.add_argument("--n", type=int, default=20_000)


if __name__ == "__main__":
    campaign(NAME, __doc__, measure, page, bars=bars, add_options=add_options)
