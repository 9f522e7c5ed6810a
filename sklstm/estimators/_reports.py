"""Bounds of a fitted estimator: from its training data, in fit and as a report, and from held-out data."""

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn import functional

from sklstm._labels import refuse_mixed_rows
from sklstm._sequences import as_sequences
from sklstm._tables import as_plain, targets_in
from sklstm._validation import OPTIONAL_POSITIVE, PROBABILITY
from sklstm.exceptions import DivergenceError
from sklstm.generalization import (
    Bound,
    GeneralizationReport,
    HoldoutBound,
    OccamBound,
    PACBayesBound,
    choose_cap,
    holdout_bound,
    rademacher_bound,
    tu_bound,
)
from sklstm.generalization._bounded_losses import BoundedLoss, CappedLoss, ErrorLoss
from sklstm.generalization._eigenvalue import moment_summary
from sklstm.generalization.tu._theorems_2_and_3 import tu_value
from sklstm.networks import RNNNetwork
from sklstm.noise import NOISES, RepeatedNoise
from sklstm.training import SequenceNet, train
from sklstm.training._batches import place_for
from sklstm.training._fine_tuning import SequenceProblem
from sklstm.training._fingerprint import fingerprint_of_data
from sklstm.training._inference import module_for_float64, outputs_of
from sklstm.training._process import restores_settings

from ._base import FitData, SequenceEstimator, training_data, training_spec
from ._composition import Composition, as_of_now
from ._compression import occam_of, occam_value
from ._pac_bayes import PACBayes, pac_bayes_of


def set_bound(estimator: Any, data: FitData) -> None:
    """Part of ``fit``: set ``generalization_bound_``, and record what a report and a hold-out bound need.

    Parameters
    ----------
    estimator : SequenceEstimator
        An estimator with its trained net.
    data : FitData
    """
    loss, price = _loss_and_price(estimator, data)
    if isinstance(loss, CappedLoss):
        estimator._bound_cap = loss.cap
    network = estimator.net_.module_
    if isinstance(network, RNNNetwork) and network.cell == "relu":
        estimator.generalization_bound_ = tu_value(*_weights(estimator), **_theorem(estimator, data))
    else:
        share = occam_value(estimator.net_, _problem(data, loss)(network), delta=estimator.delta * price)
        estimator.generalization_bound_ = loss.cap * share
    estimator._data_digest = fingerprint_of_data(data.X, data.y)


@restores_settings
def generalization_report(estimator: Any, X: Any, y: Any) -> GeneralizationReport:
    """Every bound on the loss of new data that the training data give, for an estimator, a pipeline or a search.

    Parameters
    ----------
    estimator : fitted estimator
        An estimator of this package, or a composition around one, as in `sklstm.certify`. The bounds are about the
        network, in the units of its own inputs and targets. They do not cover what earlier steps have learnt from the
        data. There is one exception, with ``compression`` after a `SequenceScaler` with ``with_mean=False`` and nothing
        else. The Occam bound then holds for a network that takes X unscaled, with a power of two for every channel in
        its code.
    X : array-like of shape (n, L, d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
        The X of ``fit``: all sequences, in the same order. It is recognised by a digest that `fit` has taken; other
        data are refused.
    y : array-like of shape (n,) or (n, k)
        Targets or labels of that fit.

    Returns
    -------
    GeneralizationReport
        All bounds at the current values of ``delta``, ``margin``, ``loss_cap`` and ``compression``. With ``PACBayes``
        all other parameters also count, since the network of the prior is trained with them. Fix them before you see
        the data.

    Raises
    ------
    ValueError
        If X and y are not the training data. Also if these are not recorded: after `partial_fit`, for a quantised
        predictor, and for a model that an older version has saved. For held-out data use ``holdout_bound``.
    TypeError
        If a part of a composition is unknown.
    NotFittedError
        Before `fit`.

    Examples
    --------
    >>> import numpy as np
    >>> import sklstm
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklstm.preprocessing import SequenceScaler
    >>> X = np.random.default_rng(0).normal(20, 5, (200, 8, 1))
    >>> y = X[:, -3:, 0].mean(axis=1) > 20
    >>> model = make_pipeline(SequenceScaler(), sklstm.NoisyRNNClassifier(4, max_epochs=3, random_state=0)).fit(X, y)
    >>> report = sklstm.generalization_report(model, X, y)
    >>> report["theorem_3"].value == model[-1].generalization_bound_
    True
    """
    given, composition = (X, y), None
    estimator = as_of_now(estimator)
    if not isinstance(estimator, SequenceEstimator):
        composition = Composition.around(estimator)
        X, y = composition.training_data(X, y)
        estimator = composition.estimator
    check_is_fitted(estimator)
    name, known = type(estimator).__name__, vars(estimator)
    if "_data_digest" not in known or "_quantized_cap" in known:
        why = "partial_fit sees its data once, and an older version of this package saved no digest of them"
        if "_quantized_cap" in known:
            why = "this is the quantised predictor: its bound is in the report of the model that it was made from"
        raise ValueError(
            f"This {name} does not know its training data, so that there is no report: {why}. Use holdout_bound(X, y) "
            "with held-out data."
        )
    data = estimator._check_again(X, y)
    if fingerprint_of_data(data.X, data.y) != known["_data_digest"]:
        raise ValueError(
            f"X and y are not the training data of this {name}. generalization_report needs all data that fit was "
            "given, in the same order and scaled in the same way. For held-out data use holdout_bound(X, y)."
        )
    bounds: list[Bound]
    if isinstance(estimator.compression, PACBayes):
        estimator.compression.check(data.X.shape, int(estimator.hidden_size))
        bounds = [_pac_bayes(estimator, data, estimator.compression)]
    else:
        coded, exponents = data, None
        if composition is not None and _codes_scales(estimator) and (scaled := composition.with_powers_of_two()):
            composition, exponents = scaled
            coded = estimator._check_again(*composition.training_data(*given))
        bounds = [_occam(estimator, coded, *_loss_and_price(estimator, coded), exponents)]
    network = estimator.net_.module_
    if isinstance(network, RNNNetwork):
        theorems = _theorems(estimator, data)
        # The first is the one whose value fit has kept.
        bounds = [*theorems, *bounds] if network.cell == "relu" else [*bounds, *theorems]
    return GeneralizationReport(bounds)


def _codes_scales(estimator: Any) -> bool:
    """Whether the code of the Occam bound has columns for all channels, so that it can hold their scales."""
    part, compression = estimator.net_.module_.linear_part, estimator.compression
    return compression is not None and compression.subspace is None and (part is None or part.is_trained)


def _loss_and_price(estimator: Any, data: FitData) -> tuple[BoundedLoss, float]:
    """The loss of an estimator's Occam bound, and the factor of δ for choosing it from the data."""
    if isinstance(estimator, ClassifierMixin):
        return ErrorLoss(), 1.0
    if estimator.loss_cap is not None:
        return CappedLoss(estimator._loss, float(estimator.loss_cap)), 1.0
    cap, price = choose_cap(data.y, estimator.loss, quantile=estimator.quantile)
    return CappedLoss(estimator._loss, cap), price


def _weights(estimator: Any) -> tuple[Tensor, Tensor, Tensor]:
    module = estimator.net_.module_
    U, W, V = (weight.detach().cpu().double() for weight in (module.U, module.W, module.V))
    return U, W, V


def _theorem(estimator: Any, data: FitData) -> dict[str, Any]:
    """The arguments of `tu_bound`, without the weights, for Theorem 2 or 3 on a fit."""
    # Leading zeros do not change this network's output, so the theorems' fixed length is that of the longest sequence.
    # Theorem 3 is about noise on every step, also on these; Theorem 2 holds for weights from any training.
    X = data.X.padded_left()
    sigma = estimator.sigma if data.X.lengths is None else 0.0
    noise = RepeatedNoise(NOISES[estimator.noise], X, sigma, estimator._bound_seed) if sigma > 0 else None
    return {
        "X": X,
        "y": data.y,
        "margin": estimator.margin,
        "delta": estimator.delta,
        "sigma": sigma,
        "noise": noise,
        "noise_kind": str(estimator.noise),
        "max_norms": {"u": estimator.max_norm_u, "w": estimator.max_norm_w, "v": estimator.max_norm_v},
    }


def _theorems(estimator: Any, data: FitData) -> list[Bound]:
    """For ReLU units Theorem 2 or 3, as printed and with union bounds; for ReLU and tanh the bound that converges.

    Parameters
    ----------
    estimator : fitted NoisyRNNClassifier
    data : FitData

    Returns
    -------
    list of Bound
    """
    weights, theorem = _weights(estimator), _theorem(estimator, data)
    activation = estimator.net_.module_.cell
    sample = {name: theorem[name] for name in ("X", "y", "delta", "max_norms")}
    converging = rademacher_bound(*weights, margin=None, activation=activation, **sample)
    if activation == "relu":
        lambda_min, gershgorin = moment_summary(theorem["X"])
        theorem |= {"lambda_min": lambda_min, "lambda_min_estimated": True, "gershgorin": gershgorin}
        paid_for = tu_bound(*weights, **theorem | {"margin": None, "norms": "union"})
        bounds: list[Bound] = [tu_bound(*weights, **theorem), paid_for, converging]
    else:
        left_out = "Theorems 1 to 3 of Tu, He & Tao are about ReLU units. For tanh units there is this bound instead."
        bounds = [replace(converging, assumptions=(*converging.assumptions, left_out))]
    if data.X.lengths is not None:
        longest = (
            f"No sequence is longer than L = {data.X.shape[1]} steps, the longest of the training data. Shorter ones "
            "count as sequences that begin with zeros, which do not affect the network."
        )
        if estimator.sigma > 0 and activation == "relu":
            longest += (
                f" Training had noise of sigma = {estimator.sigma:g}. Theorem 3 is about noise on every step, also on "
                "these zeros. So this is Theorem 2, about inputs without noise."
            )
        bounds = [replace(bound, assumptions=(*bound.assumptions, longest)) for bound in bounds]  # type: ignore[type-var]
    return bounds


def _problem(data: FitData, loss: BoundedLoss, scale: float = 1.0) -> Callable[[nn.Module], SequenceProblem]:
    """A function from a network to its problem on the training data; the scale is for its likelihood."""

    def problem(network: nn.Module) -> SequenceProblem:
        y, likelihood, smooth = data.y, functional.cross_entropy, _expected_error
        if isinstance(loss, CappedLoss):
            network = module_for_float64(network)
            y = np.array(y.reshape(len(y), -1), dtype=np.float64)
            likelihood, smooth = partial(_likelihood, loss, scale), partial(_expected_share, loss)
        device = next(network.parameters()).device
        return SequenceProblem(
            network,
            data.X.loaded(place_for(data.X, device)),
            torch.as_tensor(y, device=device),
            likelihood=likelihood,
            smooth=smooth,
            losses=lambda outputs, targets: loss.each(outputs, targets) / loss.cap,
            zero_one=loss.zero_one,
        )

    return problem


def _occam(estimator: Any, data: FitData, loss: BoundedLoss, price: float, exponents: np.ndarray | None) -> OccamBound:
    """Occam bound on a loss: for the rounded weights, or for the result of a compression.

    Parameters
    ----------
    estimator : fitted SequenceEstimator
    data : FitData
    loss : BoundedLoss
    price : float
        Factor of δ; see `choose_cap`.
    exponents : ndarray of shape (d,) or None
        Exponents of the powers of two that the channels of `data` have been divided by, if the code must hold them.
    """
    compression, scale = estimator.compression, 1.0
    if compression is not None and isinstance(loss, CappedLoss):
        scale = _scale(loss, module_for_float64(estimator.net_.module_), data)

    def base(network: nn.Module) -> dict[str, Tensor]:
        if not isinstance(network, RNNNetwork):
            return {}
        # Where training starts: the code describes how far the recurrent matrix moved from there.
        return {"rnn.weight_hh_l0": estimator.recurrent_scale * torch.eye(network.W.shape[0])}

    problem = _problem(data, loss, scale)
    bound = occam_of(estimator, compression, problem, base, scale=loss.cap, delta_weight=price, exponents=exponents)
    guess = loss.of_best_constant(data.y)
    return replace(bound, loss="" if loss.zero_one else loss.words, guess=guess)


def _pac_bayes(estimator: Any, data: FitData, settings: PACBayes) -> PACBayesBound:
    """PAC-Bayes bound on a loss, around a prior that is trained on a part of the data as ``fit`` would."""
    seed = vars(estimator)["_bound_seed"]
    rng = np.random.default_rng(seed)
    for_prior, for_bound = (
        FitData(data.X[torch.from_numpy(rows)], data.y[rows], None) for rows in settings.parts(len(data.X), rng)
    )
    # Everything chosen on the part of the prior is known before the other part is seen, also the cap.
    loss, _ = _loss_and_price(estimator, for_prior)
    try:
        prior = _trained_again(estimator, for_prior, seed)
    except ValueError as error:  # for instance of early stopping, which finds no validation data in this part
        part = f"the {len(for_prior.X)} of {len(data.X)} sequences that prior_fraction={settings.prior_fraction} takes"
        raise ValueError(f"compression: the prior cannot be trained on {part}. {error}") from error
    bound = pac_bayes_of(
        settings,
        prior,
        _problem(for_bound, loss)(prior.module_),
        rng,
        n_prior=len(for_prior.X),
        delta=estimator.delta,
        scale=loss.cap,
        progress=bool(estimator.verbose),
    )
    guess = loss.of_best_constant(for_bound.y)
    words = "" if loss.zero_one else loss.words
    return replace(bound, loss=words, guess=guess, source=estimator._data_digest)


def _trained_again(estimator: Any, data: FitData, seed: int) -> SequenceNet:
    """A net trained as ``fit`` would on other data; it takes over nothing from the fit but the labels."""
    twin = copy.copy(estimator).set_params(warm_start=False, callbacks=None, random_state=seed)
    twin.__dict__.pop("_target_range", None)
    try:
        return train(training_spec(twin, data), training_data(twin, data))
    except DivergenceError as error:
        if error.net is None:
            raise
        return error.net  # with its last good weights


def _expected_error(outputs: Tensor, labels: Tensor) -> Tensor:
    """Error probability of a label drawn from the predicted probabilities: smooth, and close to the error itself."""
    return (1 - outputs.softmax(dim=1).gather(1, labels[:, None])).mean()


def _expected_share(loss: BoundedLoss, outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean of a capped loss, divided by the cap."""
    return loss.each(outputs, targets).mean() / loss.cap


def _likelihood(loss: CappedLoss, scale: float, outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean negative log-likelihood, up to a constant, of errors with density exp(-loss / scale) up to a factor."""
    return loss.loss.each(outputs, targets).mean() * targets.shape[1] / scale


def _scale(loss: CappedLoss, trained: nn.Module, data: FitData) -> float:
    """The most likely scale of errors with density exp(-loss / scale) up to a factor.

    The errors are Gaussian for the squared error, Laplace for the absolute error, and asymmetric Laplace for a
    quantile. For a loss of degree p the scale is p times the mean loss. The mean loss is that of the fit, but at least
    a thousandth of the loss of a constant.
    """
    y = data.y.reshape(len(data.y), -1)
    fitted = float(loss.loss.each(outputs_of(trained, data.X), y).mean())
    return loss.loss.degree * max(fitted, 1e-3 * loss.loss.of_best_constant(y), 1e-30)


def holdout_bound_of(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    delta: float | None = None,
    cap: float | None = None,
    method: Literal["bernstein", "best"] = "bernstein",
) -> HoldoutBound:
    """``holdout_bound`` of a fitted estimator: exact for a classifier, on the capped loss for a regressor.

    Parameters
    ----------
    estimator : fitted SequenceEstimator
    X, y, delta, cap, method
        As in the methods ``holdout_bound``; a classifier has neither ``cap`` nor ``method``.

    Returns
    -------
    HoldoutBound
    """
    check_is_fitted(estimator)
    delta = estimator.delta if delta is None else delta
    PROBABILITY.check("delta", delta)
    # Name in a report, and the predictor that the bound holds for: the quantised one is not the trained network.
    name, about = "holdout", "the trained predictor"
    if "_quantized_cap" in vars(estimator):
        name, about = "holdout_quantized", "the quantised predictor"
    refuse_mixed_rows(X, y)
    if isinstance(estimator, ClassifierMixin):
        y, classes = column_or_1d(as_plain(y, "y")), estimator.classes_
        outputs = estimator._outputs(X)
        predicted = classes[outputs.argmax(axis=1)]
        check_consistent_length(predicted, y)
        unique_labels(y, classes)  # refuses labels of another type, which would all count as errors
        codes = np.searchsorted(classes, y).clip(max=len(classes) - 1)
        refuse_training_data(estimator, X, codes, "X and y", "the bound would not hold. Hold data back from fit")
        wrong = ErrorLoss().each(torch.from_numpy(outputs), torch.from_numpy(codes)).numpy() | (classes[codes] != y)
        bound = holdout_bound(wrong, delta=float(delta), name=name, about=about)
        return replace(bound, guess=ErrorLoss().of_best_constant(y))
    OPTIONAL_POSITIVE.check("cap", cap)
    if cap is None:
        cap = _cap_of(estimator)
    y = check_array(targets_in(y), ensure_2d=False, allow_nd=True, dtype=np.float64, input_name="y")
    predicted = estimator.predict(X)
    if y.shape != predicted.shape:
        raise ValueError(f"y must have the shape of the predictions, {predicted.shape}; got {y.shape}.")
    refuse_training_data(estimator, X, y, "X and y", "the bound would not hold. Hold data back from fit")
    predicted, y = (values.reshape(len(y), -1) for values in (predicted, y))
    losses = estimator._loss.each(predicted, y).numpy()  # an infinite loss is cut at the cap like any other
    bound = holdout_bound(losses, cap=cap, method=method, delta=float(delta), name=name, about=about)
    guess = CappedLoss(estimator._loss, float(cap)).of_best_constant(y)
    return replace(bound, loss=estimator._loss.words, guess=guess)


def refuse_training_data(estimator: SequenceEstimator, X: Any, y: np.ndarray, what: str, so: str) -> None:
    """``ValueError`` if these are the training data, where losses are smaller than on other data.

    Parameters
    ----------
    estimator : fitted SequenceEstimator
    X : array-like
    y : ndarray
        Targets, or class numbers.
    what, so : str
        Their names, what follows, and the remedy, for the message.
    """
    digest = vars(estimator).get("_data_digest")
    if digest is not None and fingerprint_of_data(as_sequences(estimator, X, reset=False), y) == digest:
        raise ValueError(
            f"{what} are the training data of this {type(estimator).__name__}. Errors are smaller there than on new "
            f"data, so {so}."
        )


def _cap_of(estimator: Any) -> float:
    known = vars(estimator)
    for name in ("_bound_cap", "_quantized_cap"):
        if name in known:
            return float(known[name])
    if estimator.loss_cap is not None:
        return float(estimator.loss_cap)
    raise ValueError(
        "No cap of the loss is known, because partial_fit has chosen none. Pass cap=, a number chosen without "
        "looking at the held-out data, for instance four times the variance of the training targets for the squared "
        "error."
    )
