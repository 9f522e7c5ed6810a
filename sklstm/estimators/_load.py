"""A saved model of whichever class."""

from os import PathLike
from typing import Any

import torch

from sklstm._validation import Device
from sklstm.persistence import ModelFileError, read_document

from ._classifiers import NoisyRNNClassifier
from ._portable import Portable, from_document
from ._regressors import TikhonovGRURegressor, TikhonovLSTMRegressor

# A closed list: a file names its class, and cannot name any other.
_CLASSES: dict[str, type[Portable]] = {
    cls.__name__: cls for cls in (NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor)
}


# Any: whoever loads a file knows of which class its model is, and a type checker does not.
def load(path: str | PathLike[str], *, device: str | torch.device | None = None) -> Any:
    """Read a model that ``model.save(path)`` has written, of any estimator of this package.

    Nothing in the file is executed, whatever it holds.

    Parameters
    ----------
    path : str or PathLike
        Of the file.
    device : str or torch.device, optional
        Where to put the network; becomes the parameter ``device``. By default where it was when saved, or the CPU,
        with a warning, where this machine has no such device; where ``device`` is ``"auto"``, the best that it has.

    Returns
    -------
    NoisyRNNClassifier, TikhonovGRURegressor or TikhonovLSTMRegressor
        Its predictions are those of the saved one, bit for bit on a machine with the same kernels.

    Raises
    ------
    ModelFileError
        If the file is no model, is damaged, was saved by a newer version, or holds a class of someone else's: use that
        class's own ``load``.
    ValueError
        If torch cannot use ``device`` here.
    OSError
        If the file cannot be read, for instance ``FileNotFoundError``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import sklstm
    >>> X = np.random.default_rng(0).standard_normal((50, 5, 2))
    >>> model = sklstm.NoisyRNNClassifier(hidden_size=4, max_epochs=2, random_state=0).fit(X, X[:, -1, 0] > 0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(Path(folder) / "model.safetensors")
    ...     loaded = sklstm.load(Path(folder) / "model.safetensors")
    >>> bool((loaded.predict(X) == model.predict(X)).all())
    True
    """
    if device is not None:
        Device().check("device", device)
    document = read_document(path)
    name = document.get("class")
    cls = _CLASSES.get(name) if isinstance(name, str) else None
    try:
        if cls is None:
            raise ValueError(f"it holds a model of class {name!r:.80}, not one of {', '.join(_CLASSES)}")
        return from_document(cls, document, device)
    except ValueError as error:
        raise ModelFileError(path, error) from error
