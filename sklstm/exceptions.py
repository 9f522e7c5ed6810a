"""Errors of the package's own; each is also one of Python's, for those who catch these."""

__all__ = ["DivergenceError"]


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
    """

    def __init__(self, message: str, kept: bool = True):
        super().__init__(message)
        self.kept = kept
