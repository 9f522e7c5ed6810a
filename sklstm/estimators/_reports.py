"""Bounds of a fitted estimator: from its training data, with its report, and from data that it has never seen."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, cast

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn import functional

from sklstm._sequences import Sequences
from sklstm._tables import as_plain
from sklstm._validation import OPTIONAL_POSITIVE, PROBABILITY
from sklstm.generalization import (
    Bound,
    GeneralizationReport,
    HoldoutBound,
    OccamBound,
    choose_cap,
    holdout_bound,
    rademacher_bound,
    tu_bound,
)
from sklstm.generalization._eigenvalue import moment_summary
from sklstm.networks import ReLUNetwork
from sklstm.noise import NOISES, RepeatedNoise
from sklstm.training._batches import place_for
from sklstm.training._fine_tuning import SequenceProblem
from sklstm.training._inference import module_for_float64, outputs_of

from ._compression import occam_of


def classifier_report(estimator: Any, sequences: Sequences, codes: np.ndarray) -> GeneralizationReport:
    """Occam bound on the probability of error.

    Parameters
    ----------
    estimator : fitted SequenceClassifier
    sequences : Sequences
        Of the training data.
    codes : ndarray of int of shape (n,)
        Their classes, 0 to k − 1.

    Returns
    -------
    GeneralizationReport
    """
    return GeneralizationReport((_occam_of_labels(estimator, sequences, codes),))


def relu_report(estimator: Any, sequences: Sequences, codes: np.ndarray) -> GeneralizationReport:
    """Theorem 2 or 3 as printed, the same paid for, the bound that converges, and the Occam bound.

    Parameters
    ----------
    estimator : fitted NoisyRNNClassifier
        All but the last of these bounds are about its network alone: bias-free, with ReLU units.
    sequences : Sequences
        Of the training data.
    codes : ndarray of int of shape (n,)
        Their classes, 0 to k − 1.

    Returns
    -------
    GeneralizationReport
        The paper's theorem is its first given bound.
    """
    module, delta, sigma = estimator.net_.module_, estimator.delta, estimator.sigma
    # Leading zeros do not change this network's output, so the theorems' fixed length is that of the longest sequence.
    # Theorem 3 is about noise on every step, those included; Theorem 2 holds however the weights came about.
    X = sequences.padded_left()
    ragged = sequences.lengths is not None
    if ragged:
        sigma = 0.0
    U, W, V = (weight.detach().cpu().double() for weight in (module.U, module.W, module.V))
    noise = None
    if sigma > 0:
        noise = RepeatedNoise(NOISES[estimator.noise], X, sigma, estimator._bound_seed)
    limits = {"u": estimator.max_norm_u, "w": estimator.max_norm_w, "v": estimator.max_norm_v}
    lambda_min, gershgorin = moment_summary(X)
    theorem = {
        "delta": delta,
        "sigma": sigma,
        "noise": noise,
        "noise_kind": str(estimator.noise),
        "max_norms": limits,
        "lambda_min": lambda_min,
        "lambda_min_estimated": True,
        "gershgorin": gershgorin,
    }
    bounds: list[Bound] = [tu_bound(U, W, V, X, codes, margin=estimator.margin, **theorem)]
    bounds.append(tu_bound(U, W, V, X, codes, margin=None, norms="union", **theorem))
    bounds.append(rademacher_bound(U, W, V, X, codes, margin=None, delta=delta, max_norms=limits))
    if ragged:
        longest = (
            f"No sequence is longer than L = {X.shape[1]} steps, as the longest of the training data; shorter ones "
            "count as sequences that begin with zeros, which the network does not see."
        )
        if estimator.sigma > 0:
            longest += (
                f" Training had noise of sigma = {estimator.sigma:g}. Theorem 3 is about noise on every step, those "
                "zeros included; so this is Theorem 2, about inputs without noise."
            )
        bounds = [replace(bound, assumptions=(*bound.assumptions, longest)) for bound in bounds]  # type: ignore[type-var]

    def base(network: nn.Module) -> dict[str, Tensor]:
        # Where training starts: the code describes how far the recurrent matrix moved from there.
        return {"rnn.weight_hh_l0": estimator.recurrent_scale * torch.eye(cast(ReLUNetwork, network).W.shape[0])}

    bounds.append(_occam_of_labels(estimator, sequences, codes, base))
    return GeneralizationReport(bounds)


def _occam_of_labels(
    estimator: Any,
    sequences: Sequences,
    codes: np.ndarray,
    base: Callable[[nn.Module], dict[str, Tensor]] = lambda network: {},
) -> OccamBound:
    """Occam bound on the probability of error of any classifier; ``base`` as of `occam_of`."""
    device = next(estimator.net_.module_.parameters()).device
    inputs, labels = sequences.loaded(place_for(sequences, device)), torch.as_tensor(codes, device=device)

    def problem(network: nn.Module) -> SequenceProblem:
        return SequenceProblem(
            network,
            inputs,
            labels,
            likelihood=functional.cross_entropy,
            smooth=_expected_error,
            losses=_errors,
            zero_one=True,
        )

    return occam_of(estimator, problem, base)


def _expected_error(outputs: Tensor, labels: Tensor) -> Tensor:
    """Error probability of a label drawn from the predicted probabilities: smooth, and near the error itself."""
    return (1 - outputs.softmax(dim=1).gather(1, labels[:, None])).mean()


def _errors(outputs: Tensor, labels: Tensor) -> Tensor:
    # By numpy's argmax, as `predict`: the first of equal outputs, which ReLU networks do put out. Where outputs are not
    # finite there is no label.
    numbers = outputs.cpu().numpy()
    return torch.from_numpy((numbers.argmax(axis=1) != labels.cpu().numpy()) | ~np.isfinite(numbers).all(axis=1))


def regressor_report(estimator: Any, sequences: Sequences, y: np.ndarray) -> GeneralizationReport:
    """Occam bound on the capped loss.

    Parameters
    ----------
    estimator : fitted TikhonovRegressor
    sequences : Sequences
    y : ndarray of shape (n, k)

    Returns
    -------
    GeneralizationReport
    """
    loss = estimator._loss
    if estimator.loss_cap is None:
        cap, price = choose_cap(y, estimator.loss, quantile=estimator.quantile)
    else:
        cap, price = float(estimator.loss_cap), 1.0
    trained = module_for_float64(estimator.net_.module_)
    device = next(trained.parameters()).device  # of the losses, which are float64
    inputs = sequences.loaded(place_for(sequences, device))
    targets = torch.from_numpy(np.array(y, dtype=np.float64)).to(device)
    # The likelihood is that of errors with density exp(-loss / scale) up to a factor: Gaussian for the squared error,
    # Laplace for the absolute error, asymmetric Laplace for a quantile. For a loss of degree p the most likely scale is
    # p times the mean loss: that of the fit, or a thousandth of the best constant's if the fit is better than that.
    fitted = float(loss.each(outputs_of(trained, sequences), y).mean())
    scale = loss.degree * max(fitted, 1e-3 * loss.of_best_constant(y), 1e-30)

    def problem(network: nn.Module) -> SequenceProblem:
        return SequenceProblem(
            module_for_float64(network),
            inputs,
            targets,
            likelihood=lambda outputs, goals: loss.each(outputs, goals).mean() * goals.shape[1] / scale,
            smooth=lambda outputs, goals: loss.each(outputs, goals).clamp(max=cap).mean() / cap,
            losses=lambda outputs, goals: loss.each(outputs, goals).clamp(max=cap) / cap,
            zero_one=False,
        )

    bound = occam_of(estimator, problem, lambda network: {}, scale=cap, delta_weight=price)
    return GeneralizationReport((replace(bound, loss=loss.words),))


def holdout_bound_of(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    delta: float | None = None,
    cap: float | None = None,
    method: Literal["bernstein", "best"] = "bernstein",
) -> HoldoutBound:
    """``holdout_bound`` of a fitted estimator: exact for a classifier, of the capped loss for a regressor.

    Parameters
    ----------
    estimator : fitted SequenceEstimator
    X, y, delta, cap, method
        As of the methods ``holdout_bound``; a classifier has neither ``cap`` nor ``method``.

    Returns
    -------
    HoldoutBound
    """
    check_is_fitted(estimator)
    delta = estimator.delta if delta is None else delta
    PROBABILITY.check("delta", delta)
    # Name in a report, and predictor that the bound is about: ``quantized_`` is not the trained network.
    name, about = "holdout", "the trained predictor"
    if "_quantized_cap" in vars(estimator):
        name, about = "holdout_quantized", "the quantised predictor"
    if isinstance(estimator, ClassifierMixin):
        y = column_or_1d(as_plain(y, "y"))
        predicted = estimator.predict(X)
        check_consistent_length(predicted, y)
        accuracy_score(y, predicted)  # refuses labels of another kind, which would all count as errors
        return holdout_bound(y, predicted=predicted, delta=float(delta), name=name, about=about)
    OPTIONAL_POSITIVE.check("cap", cap)
    if cap is None:
        cap = _cap_of(estimator)
    y = check_array(as_plain(y, "y"), ensure_2d=False, allow_nd=True, dtype=np.float64, input_name="y")
    predicted = estimator.predict(X)
    if y.shape != predicted.shape:
        raise ValueError(f"y must have the shape of the predictions, {predicted.shape}; got {y.shape}.")
    predicted, y = (values.reshape(len(y), -1) for values in (predicted, y))
    losses = estimator._loss.each(predicted, y).numpy()  # an infinite loss is cut at the cap like any other
    bound = holdout_bound(losses, cap=cap, method=method, delta=float(delta), name=name, about=about)
    return replace(bound, loss=estimator._loss.words)


def _cap_of(estimator: Any) -> float:
    known = vars(estimator)
    if "generalization_report_" in known:
        return float(known["generalization_report_"].ceiling)
    if "_quantized_cap" in known:
        return float(known["_quantized_cap"])
    if estimator.loss_cap is not None:
        return float(estimator.loss_cap)
    raise ValueError(
        "No cap of the loss is known, because of compute_bound=False: pass cap=, a number chosen without looking at "
        "the held-out data, for instance four times the loss of the best constant prediction, on the training data."
    )
