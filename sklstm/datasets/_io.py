"""Reading of the archives in ``data``; each call reads anew, so that no two results share memory."""

from importlib import resources

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

Archive = dict[str, NDArray]
Arrays = tuple[NDArray[np.float64], NDArray[np.float64]]


def read_archive(name: str) -> Archive:
    """Members of ``data/<name>.npz``."""
    path = resources.files("sklstm.datasets") / "data" / f"{name}.npz"
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return dict(archive)


def read_description(name: str) -> str:
    """The section on ``<name>.npz`` in ``data/README.md``, so that attribution stands in one place only."""
    path = resources.files("sklstm.datasets") / "data" / "README.md"
    sections = path.read_text(encoding="utf-8").split("\n## ")
    title = f"{name}.npz\n"
    return next(section for section in sections if section.startswith(title)).strip() + "\n"


def unpack_feature_names(archive: Archive) -> list[str]:
    return archive["feature_names"].tolist()


def unpack_columns(archive: Archive) -> NDArray[np.float64]:
    """The table of an archive, (n_rows, n_columns), from integers and their number of decimals.

    An integer over an exact power of ten is correctly rounded: the quotient is the float that parsing the
    printed decimal gives. The smallest integer of a column's dtype stands for a missing value and becomes
    NaN.
    """
    columns = []
    for j, decimals in enumerate(archive["decimals"].tolist()):
        packed = archive[f"column_{j}"]
        missing = packed == np.iinfo(packed.dtype).min
        columns.append(np.where(missing, np.nan, packed.astype(np.float64) / 10.0**decimals))
    return np.ascontiguousarray(np.stack(columns, axis=1))


def unpack_times(archive: Archive) -> NDArray[np.datetime64]:
    """Times of the rows, (n_rows,), from the first one and the steps between them."""
    elapsed = np.concatenate([[0], np.cumsum(archive["steps"], dtype=np.int64)])
    return archive["start"] + elapsed


def load_series(name: str, return_X_y: bool) -> Bunch | Arrays:
    """A multivariate time series, (n_steps, d), whose first column is the target."""
    archive = read_archive(name)
    data = unpack_columns(archive)
    target = data[:, 0].copy()
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        times=unpack_times(archive),
        feature_names=unpack_feature_names(archive),
        DESCR=read_description(name),
    )
