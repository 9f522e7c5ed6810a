"""Least squares as a learning problem, whose minimum, gradient and curvature are known."""

import numpy as np
import torch
from torch import nn

from sklstm.generalization import Structure
from sklstm.training._fine_tuning import SequenceProblem


class Matrix(nn.Module):
    """Sequences of one step to a matrix times that step, in float64."""

    def __init__(self, n_out, d):
        super().__init__()
        self.W = nn.Parameter(torch.zeros(n_out, d))

    def forward(self, X):
        return X[:, 0] @ self.W.double().T


class LinearProblem(SequenceProblem):
    """Normal targets of unit variance around W x: log-likelihood ½(Wx − y)², bounded loss 1 − exp(−½(Wx − y)²)."""

    def __init__(self, n, d, seed=0, *, n_out=1, shared=0.0, noise=1.0):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(n, d)) + shared * rng.normal(size=(n, 1))
        self.truth = torch.from_numpy(rng.normal(size=(n_out, d)))
        self.x = torch.from_numpy(x)
        y = self.x @ self.truth.T + noise * torch.from_numpy(rng.normal(size=(n, n_out)))
        super().__init__(
            Matrix(n_out, d),
            self.x[:, None],
            y,
            likelihood=lambda outputs, y: _half_squares(outputs, y).mean(),
            smooth=lambda outputs, y: -torch.expm1(-_half_squares(outputs, y)).mean(),
            losses=lambda outputs, y: -torch.expm1(-_half_squares(outputs, y)),
            zero_one=False,
        )

    def loss(self, weights):
        """The log-likelihood of all samples, without the code under test."""
        return _half_squares(self.x @ weights["W"].double().T, self.y).mean()


def _half_squares(outputs, y):
    return 0.5 * (outputs - y).square().sum(dim=1)


def matrix_structure(problem, dtype=torch.float64, **kwargs):
    """How W is described."""
    return Structure({"W": torch.zeros(problem.truth.shape, dtype=dtype)}, **kwargs)
