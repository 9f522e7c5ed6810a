"""What a sequence classifier does with labels: coding, one more epoch, predictions."""

from collections.abc import Callable
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.utils import column_or_1d, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from sklstm._sequences import as_sequences
from sklstm._validation import check_parameters

from ._base import SequenceEstimator

__all__ = ["SequenceClassifier"]

_MIXED = "mixes labels that cannot be sorted, numbers and strings perhaps; use one type."


class SequenceClassifier(SequenceEstimator):
    """`partial_fit` and predictions; a subclass has the constructor, `fit` and ``_learn``."""

    classes_: np.ndarray
    class_weight: Any
    _learn: Callable[..., None]

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one epoch on sequences X and labels y, from where training stands.

        The first call starts as `fit` does. Later ones go on with the optimiser's state, under the hyperparameters of
        the moment; those that shape the network must stay. The learning rate is ``lr``, whatever ``lr_schedule``.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            As in `fit`.
        y : array-like of shape (n,)
            Labels, all of them among ``classes``.
        classes : array-like of shape (k,), optional
            All labels that will ever occur. Required in the first call; later the same, or left out.
        sample_weight : array-like of shape (n,), optional
            Weights of the sequences in the cross-entropy, not negative; multiplied by those of ``class_weight``.
            They count as they are: only `fit` scales them to a mean of 1, which a part of the data does not tell.

        Returns
        -------
        self
            Without ``generalization_bound_``, which takes all the training data at once.

        Raises
        ------
        ValueError, TypeError
            As `fit`; also with ``early_stopping=True``, ``class_weight="balanced"``, or labels that are not in
            ``classes``.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import NoisyRNNClassifier
        >>> X = np.random.default_rng(0).standard_normal((90, 5, 1))
        >>> y = X[:, -1, 0] > 0
        >>> model = NoisyRNNClassifier(4, random_state=0)
        >>> for part in np.split(np.arange(90), 3):
        ...     model = model.partial_fit(X[part], y[part], classes=[False, True])
        >>> model.n_iter_
        3
        """
        check_parameters(self, self._rules)
        if isinstance(self.class_weight, str):
            raise ValueError(
                "partial_fit does not support class_weight='balanced', which takes the frequencies of all labels: pass "
                "a dict, from sklearn.utils.compute_class_weight."
            )
        with self._one_more_epoch() as fitted:
            if fitted is None and classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            X, y = as_sequences(self, X, y, reset=fitted is None)
            self._check_labels(y)
            known = self.classes_ if classes is None else self._distinct(classes, "classes")
            if fitted is not None and not np.array_equal(known, self.classes_):
                raise ValueError(f"classes={known} is not the same as on the first call, {self.classes_}.")
            if len(strangers := np.setdiff1d(y, known)):
                raise ValueError(f"y holds labels that are not among classes: {strangers}; classes are {known}.")
            self.classes_ = known
            codes = np.searchsorted(known, y)
            weight = self._weights(sample_weight, len(y), partial(self._weights_of_classes, codes))
            self._learn(X, codes, self._absolute(weight), start=fitted, incremental=True)
        return self

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Network outputs y_L.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            As in `fit`; 3-D sequences and those of a list may have other lengths.

        Returns
        -------
        ndarray of shape (n, k), or (n,) for two classes, float64
            With two classes the output of ``classes_[1]`` minus that of ``classes_[0]``.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import NoisyRNNClassifier
        >>> X = np.random.default_rng(0).standard_normal((50, 5, 1))
        >>> model = NoisyRNNClassifier(4, max_epochs=2, random_state=0).fit(X, X[:, -1, 0] > 0)
        >>> difference, probability = model.decision_function(X), model.predict_proba(X)[:, 1]
        >>> bool(np.allclose(np.log(probability / (1 - probability)), difference))  # the log-odds
        True
        """
        logits = self._forward(X).astype(np.float64)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Class probabilities, the softmax of the outputs.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            As in `decision_function`.

        Returns
        -------
        ndarray of shape (n, k), float64
            Columns in the order of ``classes_``; rows sum to 1.
        """
        return softmax(self._forward(X).astype(np.float64), axis=1)

    def predict(self, X: Any) -> NDArray[Any]:
        """Most probable labels.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            As in `decision_function`.

        Returns
        -------
        ndarray of shape (n,)
        """
        best = self._forward(X).argmax(axis=1)
        return self.classes_[best]

    @staticmethod
    def _check_labels(y: np.ndarray) -> None:
        # Missing ones first: to scikit-learn they are an unknown type of labels.
        if y.dtype.kind == "O" and any(
            label is None or type(label).__name__ == "NAType" or label != label for label in y
        ):
            raise ValueError("y holds missing values, None or NaN: every sequence needs a label.")
        if y.dtype.kind == "O" and len({isinstance(label, str) for label in y}) > 1:
            raise TypeError(f"y {_MIXED}")
        if y.dtype.kind == "V":
            raise ValueError(f"y holds records of dtype {y.dtype}: a label is one value.")
        check_classification_targets(y)

    def _distinct(self, labels: Any, name: str) -> np.ndarray:
        try:
            distinct = np.unique(column_or_1d(labels))
        except TypeError as error:
            raise TypeError(f"{name} {_MIXED}") from error
        if len(distinct) < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least 2 classes in {name}; the data contains one class: "
                f"{distinct[0]!r}."
            )
        return distinct

    def _weights_of_classes(self, codes: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray | None:
        if self.class_weight is None:
            return None
        frequencies = {} if sample_weight is None else {"sample_weight": sample_weight}
        labels = self.classes_[codes]
        return compute_class_weight(self.class_weight, classes=self.classes_, y=labels, **frequencies)[codes]
