"""The bounds of a fitted estimator: what goes into its report, in which order, at which price."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sklstm._sequences import Ragged
from sklstm.generalization import (
    Bound,
    GeneralizationReport,
    choose_cap,
    rademacher_bound,
    tu_bound,
)
from sklstm.generalization._eigenvalue import moment_summary
from sklstm.networks import ReLUNetwork
from sklstm.noise import NOISES, RepeatedNoise

from ._compression import Problem, occam_of
from ._tensors import as_inputs, module_for_float64, place_for

__all__ = ["classifier_report", "regressor_report"]


def classifier_report(estimator: Any, X: np.ndarray | Ragged, codes: np.ndarray) -> GeneralizationReport:
    """Theorem 2 or 3 as printed, the same paid for, the bound that converges, and the Occam bound.

    Parameters
    ----------
    estimator : fitted NoisyRNNClassifier
    X : ndarray of shape (n, L, d) or Ragged
        Training sequences.
    codes : ndarray of int of shape (n,)
        Their classes, 0 to k − 1.

    Returns
    -------
    GeneralizationReport
        The paper's theorem is its first given bound.
    """
    module, delta, sigma = estimator.net_.module_, estimator.delta, estimator.sigma
    sequences = X
    if isinstance(X, Ragged):
        # To zeros before its start the network is blind, so the theorems' fixed length is that of the longest
        # sequence. Theorem 3 is about noise on every step, those included; Theorem 2 holds however the weights came
        # about.
        X, sigma = X.padded_left(), 0.0
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
    if isinstance(sequences, Ragged):
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
    device = next(module.parameters()).device
    inputs, labels = as_inputs(sequences, place_for(sequences, device)), torch.as_tensor(codes, device=device)

    def problem(network: nn.Module) -> Problem:
        return Problem(
            network,
            inputs,
            labels,
            likelihood=functional.cross_entropy,
            smooth=_expected_error,
            losses=_errors,
            zero_one=True,
        )

    def base(network: nn.Module) -> dict[str, Tensor]:
        # Where training starts: the code describes how far the recurrent matrix moved from there.
        return {"rnn.weight_hh_l0": estimator.recurrent_scale * torch.eye(cast(ReLUNetwork, network).W.shape[0])}

    bounds.append(occam_of(estimator, problem, base, delta=delta))
    return GeneralizationReport(bounds)


def _expected_error(outputs: Tensor, labels: Tensor) -> Tensor:
    """Error probability of a label drawn from the predicted probabilities: smooth, and near the error itself."""
    return (1 - outputs.softmax(dim=1).gather(1, labels[:, None])).mean()


def _errors(outputs: Tensor, labels: Tensor) -> Tensor:
    # By numpy's argmax, as `predict`: the first of equal outputs, which ReLU networks do put out.
    return torch.from_numpy(outputs.cpu().numpy().argmax(axis=1) != labels.cpu().numpy())


def regressor_report(
    estimator: Any, X: np.ndarray | Ragged, y: np.ndarray, predict: Callable[[nn.Module, Any], np.ndarray]
) -> GeneralizationReport:
    """Occam bound on the capped squared error.

    Parameters
    ----------
    estimator : fitted TikhonovRegressor
    X : ndarray of shape (n, L, d) or Ragged
    y : ndarray of shape (n, k)
    predict : callable
        (module, X) -> outputs, for the scale of the errors.

    Returns
    -------
    GeneralizationReport
    """
    cap, price = (float(estimator.loss_cap), 1.0) if estimator.loss_cap is not None else choose_cap(y)
    trained = estimator.net_.module_
    device = next(module_for_float64(trained).parameters()).device  # of the squared errors, which are float64
    # Of a Gaussian likelihood, from the fit; no less than a thousandth of the targets' own.
    residuals = float(np.mean((y - predict(trained, X)) ** 2))
    variance = max(residuals, 1e-3 * float(np.var(y, axis=0).mean()), 1e-30)
    inputs = as_inputs(X, place_for(X, device))
    targets = torch.from_numpy(np.array(y, dtype=np.float64)).to(device)

    def squared(outputs: Tensor, goals: Tensor) -> Tensor:
        return (goals - outputs.double()).square().mean(dim=1)

    def problem(network: nn.Module) -> Problem:
        return Problem(
            module_for_float64(network),
            inputs,
            targets,
            likelihood=lambda outputs, goals: squared(outputs, goals).mean() * goals.shape[1] / (2 * variance),
            smooth=lambda outputs, goals: squared(outputs, goals).clamp(max=cap).mean() / cap,
            losses=lambda outputs, goals: squared(outputs, goals).clamp(max=cap) / cap,
            zero_one=False,
        )

    bound = occam_of(estimator, problem, lambda network: {}, delta=estimator.delta, scale=cap, delta_weight=price)
    return GeneralizationReport((bound,))
