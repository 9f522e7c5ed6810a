"""What all classifiers have: labels, ``fit`` and predictions."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import entr, log_softmax, softmax
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from torch import Tensor, nn

from sklstm._fitted import of_one_fit
from sklstm._labels import refuse_other_rows
from sklstm._sequences import as_sequences
from sklstm.generalization import GeneralizationReport, HoldoutBound
from sklstm.training import train
from sklstm.training._convergence import warn_if_constant, warn_if_unsettled
from sklstm.training._process import restores_settings

from ._base import FitData, SequenceEstimator, training_data
from ._certify import certify
from ._data_warnings import warn_about_data
from ._fit_tasks import fitting, one_more_epoch, with_callbacks
from ._label_certificates import certified_accuracy, certified_radius
from ._reports import generalization_report, holdout_bound_of, set_bound

_MIXED = "mixes labels that cannot be sorted, numbers and strings perhaps; use one type."


class SequenceClassifier(ClassifierMixin, SequenceEstimator):
    """Labels, fit and predictions; a subclass has the constructor and names its network."""

    _loss = nn.CrossEntropyLoss

    classes_: np.ndarray
    class_weight: Any

    @with_callbacks
    @restores_settings
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train on sequences X and labels y.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            Sequences; 2-D rows are folded by ``n_channels``. A DataFrame has L * d columns, or columns of two levels,
            time and channel. Train on standardised channels.
        y : array-like of shape (n,)
            Labels of any type, at least two different ones.
        sample_weight : array-like of shape (n,), optional
            Weights of the sequences in the cross-entropy, not negative; multiplied by those of ``class_weight``. In
            batches that hold all the data and without noise, an integer weight is as good as repeating the sequence.
            The bounds are about unweighted errors.
        X_val : array-like of shape (m, L', d) or (m, L * d), DataFrame, or list of m arrays (L_i, d)
            Validation data, only with ``early_stopping=True``, which then judges on them and trains on all of X. In a
            pipeline they pass the scalers with ``Pipeline(..., transform_input=["X_val"])``.
        y_val : array-like of shape (m,)
            Labels of X_val, all of them among those of y.
        sample_weight_val : array-like of shape (m,), optional
            Weights of the validation sequences in the validation loss; multiplied by those of ``class_weight``.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For bad hyperparameters or data, before any training; ``ValueError`` also if training diverges.

        Warns
        -----
        DataWarning
            If X is far from a mean of 0 and a variance of 1, its axes look swapped, or it is a table with times in its
            index, whose rows are then each read as a sequence.
        """
        validation = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        with fitting(self, X, y, sample_weight) as (model, context):
            data = model._check_fit(X, y, sample_weight, validation)
            warn_about_data(model, X, data)
            if context.resume is not None and not np.array_equal(model.classes_, np.asarray(context.classes)):
                raise ValueError(
                    f"warm_start=True goes on with the classes of the last fit, {context.classes}; y has "
                    f"{model.classes_}. Use warm_start=False."
                )
            spec = model._training_spec(data, context)
            model._set_fitted(train(spec, training_data(model, data)))
            if spec.robust is not None:
                warn_if_constant(model.net_, data.X, model._targets(data.y))
            model._warn_after_training()
            warn_if_unsettled(model.net_, model.lr_schedule)
            set_bound(model, data)
        return self

    @restores_settings
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
            They are used
            unscaled, because the mean over all data is not known here.

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
        with one_more_epoch(self) as (model, context):
            if isinstance(model.class_weight, str):
                raise ValueError(
                    "partial_fit does not support class_weight='balanced', which takes the frequencies of all labels: "
                    "pass a dict, from sklearn.utils.compute_class_weight."
                )
            first = context.resume is None
            if first and classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            refuse_other_rows(sample_weight, X, "sample_weight")
            sequences, y = as_sequences(model, X, y, reset=first)
            known = model.classes_ if classes is None else model._distinct(classes, "classes")
            if not first and not np.array_equal(known, model.classes_):
                raise ValueError(f"classes={known} is not the same as on the first call, {model.classes_}.")
            codes = model._codes(y, known, "classes")
            model.classes_ = known
            given = model._given_weights(sample_weight, len(y))
            weight = model._weights(given, model._weights_of_classes(codes, given)[codes])
            data = FitData(sequences, codes, model._absolute(weight))
            if first:
                warn_about_data(model, X, data)
            spec = model._training_spec(data, context)
            model._set_fitted(train(spec, training_data(model, data, relative=False)))
            if spec.robust is not None and len(model.net_.history) > spec.robust.ramp:
                warn_if_constant(model.net_, data.X, model._targets(data.y))
        return self

    @restores_settings
    @of_one_fit
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

        Raises
        ------
        NonFiniteOutputError
            If an output of the network is infinite or NaN, for instance after overflow on sequences far longer than
            those of the training.

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
        logits = self._outputs(X).astype(np.float64)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    @restores_settings
    @of_one_fit
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

        Raises
        ------
        NonFiniteOutputError
            If an output of the network is infinite or NaN, for instance after overflow on sequences far longer than
            those of the training.
        """
        return softmax(self._outputs(X).astype(np.float64), axis=1)

    @restores_settings
    @of_one_fit
    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Logarithms of the class probabilities, the log-softmax of the outputs.

        They are finite also where the probability is too small for a number: `predict_proba` is 0 there.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            As in `decision_function`.

        Returns
        -------
        ndarray of shape (n, k), float64
            Columns in the order of ``classes_``; natural logarithms, at most 0.

        Raises
        ------
        NonFiniteOutputError
            If an output of the network is infinite or NaN, for instance after overflow on sequences far longer than
            those of the training.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import NoisyRNNClassifier
        >>> X = np.random.default_rng(0).standard_normal((50, 5, 1))
        >>> model = NoisyRNNClassifier(4, max_epochs=2, random_state=0).fit(X, X[:, -1, 0] > 0)
        >>> bool(np.allclose(model.predict_log_proba(X), np.log(model.predict_proba(X))))
        True
        >>> far = 1e6 * X[:1]
        >>> bool(model.predict_proba(far).min() == 0), bool(np.isfinite(model.predict_log_proba(far)).all())
        (True, True)
        """
        return log_softmax(self._outputs(X).astype(np.float64), axis=1)

    @restores_settings
    @of_one_fit
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
        best = self._outputs(X).argmax(axis=1)
        return self.classes_[best]

    def certify(
        self,
        X: Any,
        eps: Any,
        *,
        method: Literal["best", "linear", "mean-value", "intervals"] = "best",
        batch_size: int | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Bounds on the outputs for every input within ``eps`` of X; see `sklstm.certify`, which this calls.

        For every X' with ``|X' - X| <= eps`` in each entry, ``lower <= output(X') <= upper``, rounding included.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d)
            As in `fit`; 3-D sequences may have another length, and lists hold sequences of unequal length.
        eps : float, array-like, Series, DataFrame or dict
            Largest absolute perturbation, not negative, in the units of X: a number, one per channel, or an array.
            Labels are matched with those of X.
        method : {"best", "linear", "mean-value", "intervals"}, default="best"
            From ``"linear"``, the narrowest and most costly, to ``"intervals"``, the cheapest.
        batch_size : int, optional
            Sequences handled at once, which bounds the memory.

        Returns
        -------
        lower : ndarray, float64
            Limits from below.
        upper : ndarray, float64
            Limits from above, both (n, k), a column of network outputs per class; with ``eps=0`` both are the outputs.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import NoisyRNNClassifier
        >>> X = np.random.default_rng(0).standard_normal((50, 5, 1))
        >>> model = NoisyRNNClassifier(4, max_epochs=3, random_state=0).fit(X, X[:, -1, 0] > 0)
        >>> lower, upper = model.certify(X, eps=0.1)
        >>> lower.shape, bool((lower <= upper).all())
        ((50, 2), True)
        """
        return certify(self, X, eps, method=method, batch_size=batch_size)

    def certified_radius(
        self,
        X: Any,
        *,
        scale: Any = 1.0,
        method: Literal["best", "linear", "mean-value", "intervals", "auto"] = "best",
        rtol: float = 0.01,
    ) -> NDArray[np.float64]:
        """Radii within which no perturbation of the input changes the predicted label.

        Bisection on the certificate of `certify`, applied to the differences between the outputs.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d)
            As in `certify`.
        scale : float, array-like, Series, DataFrame or dict, default=1.0
            Unit of the radii, in the units of X: one number, one per channel, or an array. Labels are matched with
            those of X.
        method : {"best", "linear", "mean-value", "intervals", "auto"}, default="best"
            As in `certify`. ``"auto"`` is ``"linear"`` in less time.
        rtol : float, default=0.01
            At least 1e-9. The radius returned is within this factor of the largest one that the certificate yields.

        Returns
        -------
        ndarray of shape (n,), float64
            ``predict(X') == predict(X)`` for every X' with ``|X' - X| <= radius * scale`` in each entry. 0 where
            nothing could be certified, not even a billionth of the size of X; at most a million times its size.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import NoisyRNNClassifier
        >>> X = np.random.default_rng(0).standard_normal((50, 5, 1))
        >>> model = NoisyRNNClassifier(4, max_epochs=3, random_state=0).fit(X, X[:, -1, 0] > 0)
        >>> radii = model.certified_radius(X)
        >>> signs = np.random.default_rng(1).choice([-1.0, 1.0], X.shape)
        >>> bool((model.predict(X + radii[:, None, None] * signs) == model.predict(X)).all())
        True
        """
        return certified_radius(self, X, scale=scale, method=method, rtol=rtol)

    def certified_accuracy(
        self,
        X: Any,
        y: Any,
        eps: Any,
        *,
        method: Literal["best", "linear", "mean-value", "intervals", "auto"] = "best",
    ) -> float:
        """Fraction of samples that are classified rightly whatever perturbation of size ``eps`` befalls them.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d)
            As in `certify`.
        y : array-like of shape (n,)
            True labels.
        eps : float, array-like, Series, DataFrame or dict
            As in `certify`.
        method : {"best", "linear", "mean-value", "intervals", "auto"}, default="best"
            As in `certify`. ``"auto"`` is ``"linear"`` in less time.

        Returns
        -------
        float
            At most the accuracy, and equal to it for ``eps=0``. A lower bound on the accuracy under any attack.

        Raises
        ------
        ValueError
            As `certify`; also if X and y differ in length.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import NoisyRNNClassifier
        >>> X = np.random.default_rng(0).standard_normal((50, 5, 1))
        >>> y = X[:, -1, 0] > 0
        >>> model = NoisyRNNClassifier(4, max_epochs=3, random_state=0).fit(X, y)
        >>> model.certified_accuracy(X, y, eps=0.0) == model.score(X, y)
        True
        >>> certified = [model.certified_accuracy(X, y, eps) for eps in (0.0, 0.01, 0.1, 1.0)]
        >>> certified == sorted(certified, reverse=True)
        True
        """
        return certified_accuracy(self, X, y, eps, method=method)

    @restores_settings
    @of_one_fit
    def holdout_bound(self, X: Any, y: Any, *, delta: float | None = None) -> HoldoutBound:
        """Upper limit on the error probability of `predict` from held-out data, exact.

        The binomial limit of Clopper and Pearson; see `sklstm.generalization.holdout_bound`. To see it beside the
        bounds from the training data:
        ``model.generalization_report(X_train, y_train).with_bound(model.holdout_bound(X, y))``.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d)
            Sequences that played no part in making the estimator: neither in `fit` nor in choosing its
            hyperparameters. As in `predict`.
        y : array-like of shape (n,)
            True labels. A label that `fit` has not seen counts as an error, and so does a right one whose output is
            within rounding of another label's: another machine might predict the other one.
        delta : float, optional
            The bound may fail with this probability; by default the estimator's ``delta``.

        Returns
        -------
        HoldoutBound

        Raises
        ------
        ValueError, TypeError
            For bad X, y or ``delta``, or labels of another kind than those of `fit`.
        NotFittedError
            Before `fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import NoisyRNNClassifier
        >>> X = np.random.default_rng(0).standard_normal((300, 5, 1))
        >>> y = X[:, -1, 0] > 0
        >>> model = NoisyRNNClassifier(4, max_epochs=3, random_state=0).fit(X[:100], y[:100])
        >>> bound = model.holdout_bound(X[100:], y[100:])
        >>> bool(np.isclose(bound.mean_loss, 1 - model.score(X[100:], y[100:]))), bool(bound.value > bound.mean_loss)
        (True, True)
        >>> "holdout" in model.generalization_report(X[:100], y[:100]).with_bound(bound)
        True
        """
        return holdout_bound_of(self, X, y, delta=delta)

    @restores_settings
    @of_one_fit
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy of the predicted labels.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            As in `predict`.
        y : array-like of shape (n,)
            True labels. If it has labels of rows, they must be those of X.
        sample_weight : array-like of shape (n,), optional
            Weights of the sequences, likewise.

        Returns
        -------
        float
            At most 1.

        Raises
        ------
        ValueError
            For bad X, y of another shape, or labels of rows that differ.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import NoisyRNNClassifier
        >>> X = np.random.default_rng(0).standard_normal((60, 5, 1))
        >>> y = X[:, -1, 0] > 0
        >>> model = NoisyRNNClassifier(4, max_epochs=2, random_state=0).fit(X, y)
        >>> model.score(X, y) <= 1
        True
        """
        refuse_other_rows(y, X, "y")
        refuse_other_rows(sample_weight, X, "sample_weight")
        return float(super().score(X, y, sample_weight))

    def generalization_report(self, X: Any, y: Any) -> GeneralizationReport:
        """Every bound on the error probability for new data, from the training data.

        See `sklstm.generalization_report`, which this calls.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            Those of `fit`, all of them in the same order. Other data are refused.
        y : array-like of shape (n,)
            Labels of `fit`.

        Returns
        -------
        GeneralizationReport
            Tightest first, at the ``delta`` of the moment. Of every network the Occam bound (``"occam"``), or with
            ``compression=PACBayes(...)`` the PAC-Bayes bound (``"pac_bayes"``). Of that of `NoisyRNNClassifier` also
            the bound that converges (``"rademacher"``), and if its units are ReLUs, the paper's theorem as it is
            printed (``"theorem_2"`` or ``"theorem_3"``) and with norms and margin paid for (``"theorem_2_union"``,
            ``"theorem_3_union"``).

        Raises
        ------
        ValueError, TypeError
            If X and y are not the training data; after `partial_fit`, whose data nobody remembers.
        NotFittedError
            Before `fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import NoisyRNNClassifier
        >>> X = np.random.default_rng(0).standard_normal((300, 5, 1))
        >>> y = X[:, -1, 0] > 0
        >>> model = NoisyRNNClassifier(4, max_epochs=3, random_state=0).fit(X, y)
        >>> report = model.generalization_report(X, y)
        >>> sorted(report)
        ['occam', 'rademacher', 'theorem_3', 'theorem_3_union']
        >>> report["theorem_3"].value == model.generalization_bound_
        True
        """
        return generalization_report(self, X, y)

    def _check_fit(self, X: Any, y: Any, sample_weight: Any, validation: Mapping[str, Any]) -> FitData:
        refuse_other_rows(sample_weight, X, "sample_weight")
        X, y = as_sequences(self, X, y, reset=True)
        self._check_labels(y)
        self.classes_ = self._distinct(y, "y")
        codes = np.searchsorted(self.classes_, y)
        given = self._given_weights(sample_weight, len(y))
        by_class = self._weights_of_classes(codes, given)
        self._check_compression(X)
        return FitData(
            X,
            codes,
            self._relative(self._weights(given, by_class[codes])),
            self._check_validation(validation, partial(self._check_more, by_class)),
        )

    def _check_more(self, by_class: np.ndarray, X: Any, y: Any, sample_weight: Any) -> FitData:
        """Data like those seen before, whose classes have the weights (k,) that they had there."""
        refuse_other_rows(sample_weight, X, "sample_weight")
        X, y = as_sequences(self, X, y, reset=False)
        codes = self._codes(y, self.classes_, "those of the training data")
        weight = self._weights(self._given_weights(sample_weight, len(y)), by_class[codes])
        return FitData(X, codes, self._relative(weight))

    def _codes(self, y: np.ndarray, known: np.ndarray, which: str) -> np.ndarray:
        """Places of labels among the known ones; ``ValueError`` if one is not there."""
        self._check_labels(y)
        if len(strangers := np.setdiff1d(y, known)):
            raise ValueError(f"y holds labels that are not among {which}: {strangers}; classes are {known}.")
        return np.searchsorted(known, y)

    def _check_again(self, X: Any, y: Any) -> FitData:
        X, y = as_sequences(self, X, y, reset=False)
        return FitData(X, self._codes(y, self.classes_, "those of the training data"), None)

    def _targets(self, y: np.ndarray) -> Tensor:
        return torch.tensor(y)

    def _loss_of_guess(self, y: np.ndarray, weight: np.ndarray | None) -> float:
        shares = np.bincount(y, weight)
        return float(entr(shares / shares.sum()).sum())  # the outputs are the logarithms of the shares

    def _warn_after_training(self) -> None:
        """Warn of what is wrong with the trained network."""

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
                f"{distinct.tolist()[0]!r}."
            )
        return distinct

    def _weights_of_classes(self, codes: np.ndarray, sample_weight: np.ndarray | None) -> np.ndarray:
        """Weight of every class (k,), where frequencies count those of these labels."""
        if self.class_weight is None:
            return np.ones(len(self.classes_))
        frequencies = {} if sample_weight is None else {"sample_weight": sample_weight}
        labels = self.classes_[codes]
        return compute_class_weight(self.class_weight, classes=self.classes_, y=labels, **frequencies)
