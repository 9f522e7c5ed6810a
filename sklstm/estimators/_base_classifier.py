"""What all classifiers share: labels, ``fit`` and predictions."""

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
from sklearn.utils.validation import _num_samples
from torch import Tensor, nn

from sklstm._fitted import of_one_fit
from sklstm._labels import refuse_mixed_rows
from sklstm._sequences import as_sequences
from sklstm._tables import as_plain
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

_MIXED = "mixes labels that cannot be sorted, for instance numbers and strings. Use labels of one type."


class SequenceClassifier(ClassifierMixin, SequenceEstimator):
    """Labels, fit and predictions; a subclass has the constructor and sets its network."""

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
            Sequences. 2-D rows are split into time steps of ``n_channels`` values. A DataFrame has L * d columns, or
            columns of two levels, time and channel. Standardise the channels first, for instance with `SequenceScaler`.
        y : array-like of shape (n,)
            Labels of any type, at least two different ones.
        sample_weight : array-like of shape (n,), optional
            Weights of the sequences in the cross-entropy, not negative. They are multiplied by those of
            ``class_weight``. An integer weight equals repeating the sequence if one batch holds all the data and there
            is no noise. The bounds are about unweighted errors.
        X_val : array-like of shape (m, L', d) or (m, L * d), DataFrame, or list of m arrays (L_i, d)
            Validation data, only with ``early_stopping=True``. Early stopping then uses them, and training uses all of
            X. In a pipeline use ``Pipeline(..., transform_input=["X_val"])``, so that the scalers transform them too.
        y_val : array-like of shape (m,)
            Labels of X_val. All must occur in y.
        sample_weight_val : array-like of shape (m,), optional
            Weights of the validation sequences in the validation loss. They are multiplied by those of
            ``class_weight``.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            For bad hyperparameters or data, before any training. Also ``ValueError`` if training diverges.

        Warns
        -----
        DataWarning
            If X is far from a mean of 0 and a variance of 1, or if its axes look swapped. Also if X is a table with
            times in its index, since each row is then read as one sequence.
        """
        validation = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        with fitting(self, X, y, sample_weight) as (model, context):
            data = model._check_fit(X, y, sample_weight, validation)
            warn_about_data(model, X, data)
            if context.resume is not None and not np.array_equal(model.classes_, np.asarray(context.classes)):
                raise ValueError(
                    f"warm_start=True goes on with the classes of the last fit, {context.classes}, but y has "
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
        """Train for one more epoch on sequences X and labels y.

        The first call starts as `fit` does. Later calls continue with the state of the optimiser and the current
        hyperparameters. Hyperparameters that shape the network must stay the same. The learning rate is always ``lr``;
        ``lr_schedule`` is not used.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            As in `fit`.
        y : array-like of shape (n,)
            Labels. All must be in ``classes``.
        classes : array-like of shape (k,), optional
            All labels that will ever occur. Required in the first call. In later calls pass the same, or nothing.
        sample_weight : array-like of shape (n,), optional
            Weights of the sequences in the cross-entropy, not negative. They are multiplied by those of
            ``class_weight``. They are used unscaled, because the mean over all data is not known here.

        Returns
        -------
        self
            The estimator, without ``generalization_bound_``: that needs all training data at once.

        Raises
        ------
        ValueError, TypeError
            As in `fit`; also with ``early_stopping=True`` or ``class_weight="balanced"``, or for labels that are not in
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
                    "partial_fit does not support class_weight='balanced', which needs the frequencies of all "
                    "labels. Pass a dict, computed with sklearn.utils.compute_class_weight."
                )
            first = context.resume is None
            if first and classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            refuse_mixed_rows(X, y, sample_weight)
            sequences, y = as_sequences(model, X, y, reset=first)
            known = model.classes_ if classes is None else model._distinct(classes, "classes")
            if not first and not np.array_equal(known, model.classes_):
                raise ValueError(
                    f"classes={known} is not the same as on the first call, {model.classes_}. Pass the same classes, "
                    "or leave them out."
                )
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
        """Network outputs y_L, one score for each class.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            As in `fit`. 3-D sequences, and those of a list, may have other lengths.

        Returns
        -------
        ndarray of shape (n, k), or (n,) for two classes, float64
            With two classes, the output of ``classes_[1]`` minus that of ``classes_[0]``.

        Raises
        ------
        NonFiniteOutputError
            If an output of the network is infinite or NaN. This happens, for instance, after overflow on sequences far
            longer than those of the training.

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
        """Class probabilities: the softmax of the outputs.

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
            If an output of the network is infinite or NaN. This happens, for instance, after overflow on sequences far
            longer than those of the training.
        """
        return softmax(self._outputs(X).astype(np.float64), axis=1)

    @restores_settings
    @of_one_fit
    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Logarithms of the class probabilities: the log-softmax of the outputs.

        They stay finite where a probability is too small for a float: `predict_proba` is 0 there.

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
            If an output of the network is infinite or NaN. This happens, for instance, after overflow on sequences far
            longer than those of the training.

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
        """Most probable label of each sequence.

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
        """Certified bounds on the outputs for every input within ``eps`` of X; see `sklstm.certify`.

        For every X' with ``|X' - X| <= eps`` in each entry, ``lower <= output(X') <= upper``. Rounding errors are
        included.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d)
            As in `fit`. 3-D sequences may have another length, and lists may hold sequences of unequal length.
        eps : float, array-like, Series, DataFrame or dict
            Largest absolute input error, not negative, in the units of X: one number, one per channel, or an array.
            Labels are matched with those of X.
        method : {"best", "linear", "mean-value", "intervals"}, default="best"
            ``"linear"`` gives the narrowest bounds and takes longest. ``"intervals"`` is the fastest and gives the
            widest.
        batch_size : int, optional
            Number of sequences computed at once, which limits the memory.

        Returns
        -------
        lower : ndarray, float64
            Lower bounds.
        upper : ndarray, float64
            Upper bounds. Both are (n, k), with a column of network outputs per class; with ``eps=0`` both are the
            outputs.

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
        """Certified radii: no input error of up to the radius changes the predicted label.

        Each radius is found by bisection. It uses the bounds of `certify` on the differences between the outputs.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d)
            As in `certify`.
        scale : float, array-like, Series, DataFrame or dict, default=1.0
            Unit of the radii, in the units of X: one number, one per channel, or an array. Labels are matched with
            those of X.
        method : {"best", "linear", "mean-value", "intervals", "auto"}, default="best"
            As in `certify`. ``"auto"`` gives the radii of ``"linear"`` in less time.
        rtol : float, default=0.01
            Relative accuracy of the bisection, at least 1e-9. The result is within this factor of the largest radius
            that can be certified.

        Returns
        -------
        ndarray of shape (n,), float64
            ``predict(X') == predict(X)`` for every X' with ``|X' - X| <= radius * scale`` in each entry. 0 where
            nothing could be certified, not even a billionth of the size of X. The largest value is a million times that
            size.

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
        """Certified accuracy: fraction of sequences whose label is right under every input error of up to ``eps``.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d)
            As in `certify`.
        y : array-like of shape (n,)
            True labels.
        eps : float, array-like, Series, DataFrame or dict
            As in `certify`.
        method : {"best", "linear", "mean-value", "intervals", "auto"}, default="best"
            As in `certify`. ``"auto"`` gives the radii of ``"linear"`` in less time.

        Returns
        -------
        float
            A lower bound on the accuracy under any attack of size ``eps``. It is at most the accuracy, and equal to it
            for ``eps=0``.

        Raises
        ------
        ValueError
            As in `certify`; also if X and y differ in length.

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
        """Upper bound on the error probability of `predict`, from held-out data.

        The exact binomial limit of Clopper and Pearson; see `sklstm.generalization.holdout_bound`. To compare it with
        the bounds from the training data, use ``model.generalization_report(X_train,
        y_train).with_bound(model.holdout_bound(X, y))``.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d)
            Sequences in a form that `predict` takes. They must have played no part in making the estimator: neither in
            `fit` nor in choosing hyperparameters. The complete training data, in their order, are recognised and
            refused; parts of them are not.
        y : array-like of shape (n,)
            True labels. A label that `fit` has not seen counts as an error. A right prediction also counts as an error
            if another label's output is equal up to rounding: another machine might predict that label.
        delta : float, optional
            The bound holds with probability at least ``1 - delta``. By default the estimator's ``delta``.

        Returns
        -------
        HoldoutBound

        Raises
        ------
        ValueError, TypeError
            For bad X, y or ``delta``, for labels of another type than those of `fit`, or for the training data.
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
            True labels. If y has row labels, they must be those of X.
        sample_weight : array-like of shape (n,), optional
            Weights of the sequences. Row labels, if any, must be those of X.

        Returns
        -------
        float
            Between 0 and 1.

        Raises
        ------
        ValueError
            For bad X, for y of another shape, or for row labels that differ.

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
        refuse_mixed_rows(X, y, sample_weight)
        if sample_weight is not None:
            sample_weight = self._given_weights(sample_weight, _num_samples(y))
        return float(super().score(X, as_plain(y, "y"), sample_weight))

    def generalization_report(self, X: Any, y: Any) -> GeneralizationReport:
        """Every bound on the error probability for new data, from the training data.

        This calls `sklstm.generalization_report`; see there.

        Parameters
        ----------
        X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            The X of `fit`: all sequences, in the same order. Other data are refused.
        y : array-like of shape (n,)
            The labels of `fit`.

        Returns
        -------
        GeneralizationReport
            Tightest bound first, at the current ``delta``. Every network has the Occam bound (``"occam"``), or with
            ``compression=PACBayes(...)`` the PAC-Bayes bound (``"pac_bayes"``). `NoisyRNNClassifier` also has the bound
            that converges (``"rademacher"``). With ReLU units it also has the paper's theorem as printed
            (``"theorem_2"`` or ``"theorem_3"``). A second version is valid for norms and a margin that depend on the
            data (``"theorem_2_union"`` or ``"theorem_3_union"``).

        Raises
        ------
        ValueError, TypeError
            If X and y are not the training data. Also after `partial_fit`, whose training data are not recorded.
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
        refuse_mixed_rows(X, y, sample_weight)
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
        """Check data that must match those seen before; classes keep the weights (k,) of the training data."""
        refuse_mixed_rows(X, y, sample_weight)
        X, y = as_sequences(self, X, y, reset=False)
        codes = self._codes(y, self.classes_, "those of the training data")
        weight = self._weights(self._given_weights(sample_weight, len(y)), by_class[codes])
        return FitData(X, codes, self._relative(weight))

    def _codes(self, y: np.ndarray, known: np.ndarray, which: str) -> np.ndarray:
        """Positions of labels among the known ones; ``ValueError`` for an unknown label."""
        self._check_labels(y)
        if len(strangers := np.setdiff1d(y, known)):
            raise ValueError(
                f"y holds labels that are not among {which}: {strangers}; classes are {known}. Remove these "
                "sequences, or correct their labels."
            )
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
        """Warn of problems of the trained network."""

    @staticmethod
    def _check_labels(y: np.ndarray) -> None:
        # First missing labels: scikit-learn reports them as an unknown type of labels.
        if y.dtype.kind == "O" and any(
            label is None or type(label).__name__ == "NAType" or label != label for label in y
        ):
            raise ValueError(
                "y holds missing values, None or NaN. Every sequence needs a label: fill them in, or remove these "
                "sequences."
            )
        if y.dtype.kind == "O" and len({isinstance(label, str) for label in y}) > 1:
            raise TypeError(f"y {_MIXED}")
        if y.dtype.kind == "V":
            raise ValueError(f"y holds records of dtype {y.dtype}, but a label must be one value.")
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
        """Weight of every class (k,), where these labels give the frequencies."""
        if self.class_weight is None:
            return np.ones(len(self.classes_))
        if sample_weight is None or not isinstance(self.class_weight, str):
            return compute_class_weight(self.class_weight, classes=self.classes_, y=self.classes_[codes])
        # A class whose sequences all have the weight zero, as in a bag without it, has no frequency.
        seen = np.bincount(codes, sample_weight, len(self.classes_)) > 0
        rows, weights = seen[codes], np.zeros(len(self.classes_))
        if seen.any():
            labels = self.classes_[codes[rows]]
            weights[seen] = compute_class_weight(
                self.class_weight, classes=self.classes_[seen], y=labels, sample_weight=sample_weight[rows]
            )
        return weights
