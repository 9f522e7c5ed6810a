"""Errors and warnings of this package; each is also a subclass of one of Python's."""

from typing import Any

__all__ = [
    "DataWarning",
    "DivergenceError",
    "InaccurateFunctionError",
    "NonFiniteOutputError",
    "WideCertificateWarning",
]


class DataWarning(UserWarning):
    """Data can be used, but look wrong, or are too few.

    Raised in four cases. X or y is far from a mean of 0 and a variance of 1. The axes of X look swapped. X is a table
    with times in its index, so that each row is read as one sequence. Or calibration data are so few that prediction
    intervals are infinite. The message names the remedy.

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
    """Certified bounds of predictions are farther apart than the range of the training targets.

    Such bounds hold, but hardly tell anything about the prediction. The message says how many they are, how wide they
    are, and what makes them narrower.

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

    The estimator keeps the weights after the last epoch with a finite loss, or those at the start, and can predict with
    them. ``n_iter_`` counts the epochs that they have seen. It has no generalisation bound. If not even the weights at
    the start have finite outputs, the estimator does not change.

    Parameters
    ----------
    message : str
    kept : bool
        Whether there are weights to keep.

    Attributes
    ----------
    net : SequenceNet or None
        The net with these weights, from `sklstm.training.train`. None from an estimator, which has the net itself.

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
    """Outputs of a network are infinite or NaN for some sequences, so there is no prediction, label or bound.

    Parameters
    ----------
    message : str
    first : int
        Position in X of the first such sequence.
    count : int
        Number of such sequences.

    Attributes
    ----------
    first, count : int

    Examples
    --------
    A ReLU network trained on sequences of 6 steps predicts one of 1000 steps:

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
    """Raised by certificates if elementary functions of this machine are less accurate than the margins allow.

    The first certificate of a process measures them. No certificate is returned where it would not be sound.

    Examples
    --------
    >>> from sklstm.exceptions import InaccurateFunctionError
    >>> raise InaccurateFunctionError("torch.tanh is off by 9 units, and 4 are allowed for.")
    Traceback (most recent call last):
    ...
    sklstm.exceptions.InaccurateFunctionError: torch.tanh is off by 9 units, and 4 are allowed for.
    """
