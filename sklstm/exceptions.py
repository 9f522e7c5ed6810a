"""Errors and warnings of the package's own; each is also one of Python's, for those who catch these."""

from typing import Any

__all__ = [
    "DataWarning",
    "DivergenceError",
    "InaccurateFunctionError",
    "NonFiniteOutputError",
    "WideCertificateWarning",
]


class DataWarning(UserWarning):
    """Data can be used, and are probably not as they were meant, or too few.

    X or y is far from a mean of 0 and a variance of 1, the rows of a table with times in its index are each read as
    a sequence, the axes of X look swapped, or calibration data are so few that prediction intervals are infinite. The
    message names the remedy.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> from sklstm import TikhonovLSTMRegressor
    >>> from sklstm.exceptions import DataWarning
    >>> X = np.random.default_rng(0).standard_normal((50, 5, 1))
    >>> model = TikhonovLSTMRegressor(4, max_epochs=1, random_state=0)
    >>> with warnings.catch_warnings(record=True, action="always", category=DataWarning) as heard:
    ...     model = model.fit(X, 1000 * X[:, -1, 0])
    >>> "TransformedTargetRegressor" in str(heard[0].message)
    True
    """


class WideCertificateWarning(UserWarning):
    """Certified limits of predictions are farther apart than the targets of the training are.

    They are sound, and say hardly more than that the prediction could be anything. The message says for how many, how
    wide they are, and what makes them narrower.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> from sklstm import TikhonovLSTMRegressor
    >>> from sklstm.exceptions import WideCertificateWarning
    >>> X = np.random.default_rng(0).standard_normal((50, 5, 1))
    >>> model = TikhonovLSTMRegressor(4, max_epochs=1, random_state=0).fit(X, X[:, -1, 0])
    >>> with warnings.catch_warnings(record=True, action="always", category=WideCertificateWarning) as heard:
    ...     limits = model.certify(X, eps=10.0)
    >>> "robust_eps" in str(heard[0].message)
    True
    """


class DivergenceError(ValueError):
    """The training loss became infinite or NaN.

    The estimator keeps the weights after the last epoch with a finite loss, or those at the start, and can predict
    with them; ``n_iter_`` counts the epochs that they have seen. It has no generalisation bound. If not even
    the weights at the start have finite outputs, it is left as it was before.

    Parameters
    ----------
    message : str
    kept : bool
        Whether there are weights to keep.

    Attributes
    ----------
    net : SequenceNet or None
        The net with these weights, from `sklstm.training.train`; None from an estimator, which has it itself.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import TikhonovLSTMRegressor
    >>> from sklstm.exceptions import DivergenceError
    >>> X = np.random.default_rng(0).standard_normal((50, 5, 1))
    >>> model = TikhonovLSTMRegressor(4, lr=1e30, max_epochs=5, random_state=0)
    >>> try:
    ...     model.fit(X, X[:, -1, 0])
    ... except DivergenceError as error:
    ...     print(error.kept)
    True
    >>> bool(np.isfinite(model.predict(X)).all())  # by the last good weights
    True
    """

    def __init__(self, message: str, kept: bool = True):
        super().__init__(message)
        self.kept = kept
        self.net: Any = None


class NonFiniteOutputError(ValueError):
    """The outputs of a network are infinite or NaN for some sequences: there is no prediction, label or certificate.

    Parameters
    ----------
    message : str
    first : int
        Position in X of the first such sequence.
    count : int
        How many there are.

    Attributes
    ----------
    first, count : int

    Examples
    --------
    A ReLU network that has learned from 6 steps is asked about 1000:

    >>> import numpy as np
    >>> from sklstm import NoisyRNNClassifier
    >>> from sklstm.exceptions import NonFiniteOutputError
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((60, 6, 2))
    >>> model = NoisyRNNClassifier(8, max_epochs=20, random_state=0).fit(X, X[:, :, 0].sum(axis=1) > 0)
    >>> try:
    ...     model.predict(rng.standard_normal((5, 1000, 2)))
    ... except NonFiniteOutputError as error:
    ...     print(error.first, error.count)
    0 5
    """

    def __init__(self, message: str, first: int = 0, count: int = 1):
        super().__init__(message)
        self.first = first
        self.count = count


class InaccurateFunctionError(RuntimeError):
    """Raised by certificates on a machine whose elementary functions have larger errors than the margins allow for.

    The first certificate of a process measures them; none is given where it would not be sound.

    Examples
    --------
    >>> from sklstm.exceptions import InaccurateFunctionError
    >>> raise InaccurateFunctionError("torch.tanh is off by 9 units, and 4 are allowed for.")
    Traceback (most recent call last):
    ...
    sklstm.exceptions.InaccurateFunctionError: torch.tanh is off by 9 units, and 4 are allowed for.
    """
