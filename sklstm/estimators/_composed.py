"""Certificates of pipelines, searches and other compositions, in the units of what is given to them."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ._certificates import BATCH_SIZE, METHOD, RTOL, CertifiedClassifier
from ._chain import Chain

__all__ = ["certified_accuracy", "certified_radius", "certify"]


def certify(
    estimator: Any,
    X: Any,
    eps: Any,
    *,
    method: Literal["best", "linear", "mean-value", "intervals"] = "best",
    batch_size: int | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bounds on the outputs of a fitted estimator, pipeline or search for every input within ``eps`` of X.

    ``eps`` is in the units of X, before any scaling, and the bounds are in those of the predictions: for every X' with
    ``|X' - X| <= eps`` in each entry, ``lower <= estimator.predict(X') <= upper``, rounding included. For a classifier
    the bounds are on the outputs of its network, one column for each class.

    Parameters
    ----------
    estimator : fitted estimator
        One of this package, or a composition around one, of Pipeline, TransformedTargetRegressor, GridSearchCV and
        others with a ``best_estimator_``, one in the other. Before the network, a pipeline may have StandardScaler,
        MinMaxScaler, MaxAbsScaler, RobustScaler, `SequenceScaler` and "passthrough"; the target may go through the
        first four.
    X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
        In any form that ``estimator.predict`` takes.
    eps : float or array-like
        Largest absolute perturbation, not negative: one number; one per channel (d,); one per column (L * d,) of 2-D X,
        or per step and channel (L, d) of 3-D X; an array of the shape of X, in which axes may be 1; for sequences of
        unequal length, a list of such arrays. A Series or DataFrame beside a DataFrame X must have its columns as
        labels, in any order; everything else counts by position.
    method : {"best", "linear", "mean-value", "intervals"}, default="best"
        As in `TikhonovLSTMRegressor.certify`.
    batch_size : int, optional
        Sequences handled at once, which bounds the memory. By default as many as take about 100 MB.

    Returns
    -------
    lower : ndarray, float64
        Limits from below.
    upper : ndarray, float64
        Limits from above. For a regressor in the shape of its predictions, for a classifier (n, k). With ``eps=0`` both
        are the outputs themselves.

    Raises
    ------
    TypeError
        If a part of the composition is unknown, because nothing can be said about what it does to a box of inputs.
    NotFittedError
        Before ``fit``, or if a search was told not to refit.
    ValueError
        For a negative or non-finite ``eps``, one of a wrong shape, or bad X, before any work.

    See Also
    --------
    TikhonovLSTMRegressor.certify : The same, of the network alone.
    certified_radius : For labels.
    certified_accuracy : For labels that are known.

    Notes
    -----
    The scalers that are allowed act on every entry by itself and are monotone, in exact arithmetic and as computed:
    each is a few sums, products and quotients with constants, and rounding keeps the order of numbers. What they make
    of the two ends of an interval are therefore the ends of what they make of all that lies between. X' may be of the
    dtype of X or of a wider one: float32 is scaled in float32, which differs in the last digits.

    A step that `SequenceScaler` takes for padding is data once it is perturbed: give such steps ``eps=0``, or the
    sequences as a list.

    Examples
    --------
    >>> import numpy as np
    >>> import sklstm
    >>> from sklearn.compose import TransformedTargetRegressor
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X = np.random.default_rng(0).normal(20, 5, (100, 8))  # degrees
    >>> y = 10 * X[:, -3:].mean(axis=1)
    >>> lstm = sklstm.TikhonovLSTMRegressor(hidden_size=4, max_epochs=20, random_state=0)
    >>> model = TransformedTargetRegressor(make_pipeline(StandardScaler(), lstm), transformer=StandardScaler())
    >>> model = model.fit(X, y)
    >>> lower, upper = sklstm.certify(model, X, eps=0.1)  # a tenth of a degree
    >>> bool(np.all((lower <= model.predict(X + 0.1)) & (model.predict(X + 0.1) <= upper)))
    True
    """
    METHOD.check("method", method)
    BATCH_SIZE.check("batch_size", batch_size)
    chain = Chain.around(estimator)
    if not chain.transformers:
        return chain.outputs(*chain.estimator.certify(X, eps, method=method, batch_size=batch_size))
    sequences, blocks = chain.read(X, eps)
    return chain.outputs(*chain.estimator._certify_blocks(len(sequences), blocks, method, batch_size))


def certified_radius(estimator: Any, X: Any, *, rtol: float = 0.01) -> NDArray[np.float64]:
    """Radii within which no perturbation of the input changes the label, in the units of X.

    Parameters
    ----------
    estimator : fitted classifier
        `NoisyRNNClassifier`, or a pipeline or search around one, as in `certify`.
    X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
        In any form that ``estimator.predict`` takes.
    rtol : float, default=0.01
        At least 1e-9. The radius returned is within this factor of the largest one that the certificate yields.

    Returns
    -------
    ndarray of shape (n,), float64
        ``estimator.predict(X') == estimator.predict(X)`` for every X' with ``|X' - X| <= radius`` in each entry. The
        radius is one number for all channels: give them comparable units. 0 where nothing could be certified.

    Raises
    ------
    TypeError
        If a part of the composition is unknown, or the estimator is a regressor.
    NotFittedError
        Before ``fit``, or if a search was told not to refit.
    ValueError
        For bad X, before any work.

    See Also
    --------
    NoisyRNNClassifier.certified_radius : The same, of the network alone.
    certify : Bounds on the outputs.

    Examples
    --------
    >>> import numpy as np
    >>> import sklstm
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklstm.preprocessing import SequenceScaler
    >>> X = np.random.default_rng(0).normal(20, 5, (200, 8, 1))  # degrees
    >>> y = np.where(X.mean(axis=(1, 2)) > 20, "warm", "cold")
    >>> model = make_pipeline(SequenceScaler(), sklstm.NoisyRNNClassifier(hidden_size=4, random_state=0)).fit(X, y)
    >>> radius = sklstm.certified_radius(model, X)  # degrees
    >>> bool(np.all(model.predict(X + radius[:, None, None]) == model.predict(X)))
    True
    """
    RTOL.check("rtol", rtol)
    chain = Chain.around(estimator)
    classifier = _classifier_of(chain, "certified_radius")
    if not chain.transformers:
        return classifier.certified_radius(X, rtol=rtol)
    return chain.radii(X, classifier, rtol)


def certified_accuracy(estimator: Any, X: Any, y: Any, eps: Any) -> float:
    """Fraction of samples that are classified rightly whatever perturbation of size ``eps``, in the units of X.

    Parameters
    ----------
    estimator : fitted classifier
        `NoisyRNNClassifier`, or a pipeline or search around one, as in `certify`.
    X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
        In any form that ``estimator.predict`` takes.
    y : array-like of shape (n,)
        True labels.
    eps : float or array-like
        As in `certify`.

    Returns
    -------
    float
        At most the accuracy, and equal to it for ``eps=0``. A lower bound on the accuracy under any attack.

    Raises
    ------
    TypeError
        If a part of the composition is unknown, or the estimator is a regressor.
    NotFittedError
        Before ``fit``, or if a search was told not to refit.
    ValueError
        As `certify`; also if X and y differ in length.

    See Also
    --------
    NoisyRNNClassifier.certified_accuracy : The same, of the network alone.
    certified_radius : How far each label holds.

    Examples
    --------
    >>> import numpy as np
    >>> import sklstm
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklstm.preprocessing import SequenceScaler
    >>> X = np.random.default_rng(0).normal(20, 5, (200, 8, 1))  # degrees
    >>> y = np.where(X.mean(axis=(1, 2)) > 20, "warm", "cold")
    >>> model = make_pipeline(SequenceScaler(), sklstm.NoisyRNNClassifier(hidden_size=4, random_state=0)).fit(X, y)
    >>> sklstm.certified_accuracy(model, X, y, eps=0.1) <= model.score(X, y)
    True
    """
    chain = Chain.around(estimator)
    classifier = _classifier_of(chain, "certified_accuracy")
    if not chain.transformers:
        return classifier.certified_accuracy(X, y, eps)
    return classifier._accuracy(*chain.read(X, eps), y)


def _classifier_of(chain: Chain, function: str) -> CertifiedClassifier:
    if not isinstance(chain.estimator, CertifiedClassifier):
        raise TypeError(
            f"{function} is about the labels of a classifier, and {type(chain.estimator).__name__} is a regressor: use "
            "certify."
        )
    return chain.estimator
