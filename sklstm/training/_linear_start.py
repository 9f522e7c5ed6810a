r"""The start of a network with a linear part: ridge regression on the last steps, and a zero readout of the state.

With weights :math:`w_i` of the sequences and weighted means :math:`\bar x, \bar y`, ridge regression is

.. math:: A^\top = (S + \alpha I)^{-1} \sum_i w_i (x_i - \bar x)(y_i - \bar y)^\top, \quad
   S = \sum_i w_i (x_i - \bar x)(x_i - \bar x)^\top, \quad b = \bar y - A \bar x.

One eigendecomposition of S gives the solutions for all α. Noise on the inputs, independent from entry to entry and of
mean 0, adds :math:`\sum_j E\epsilon_j^2\, \|A_{\cdot j}\|^2` to the expected squared error, exactly (Bishop 1995). With
variance σ² everywhere it adds :math:`\sigma^2 \sum_i w_i` to α.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.linalg import solve
from scipy.linalg.blas import dsyrk
from scipy.special import logit
from torch import Tensor

from sklstm._sequences import last_steps
from sklstm.noise import noise_of_kind

from ._batches import InputNoise, InputRule, SequenceDataset

# Largest number of columns of A: of longer sequences it reads the last steps only. With more columns the eigenvectors
# of the normal equations would cost more than an epoch of a few hundred sequences.
LARGEST = 512
# Numbers in a block of sequences that are read at a time.
_BLOCK_NUMBERS = 1 << 19
# Penalties to choose from, in units of the largest eigenvalue.
_GRID = np.logspace(-8, 1, 37)
# A logistic readout is linearised at the mean target, which must be inside (0, 1).
_INSIDE = 0.01
# With more columns than that (one to four steps of many channels), A is searched for in a Krylov space. It has this
# many steps, from at most this many directions.
_KRYLOV_STEPS = 6
_KRYLOV_WIDTH = 16
# Number of sequences that are left out in turn, evenly spaced, and how many numbers they may have as targets. More
# sequences hardly change the choice, and cost as much as S.
_LEFT_OUT = 2048
_LEFT_OUT_TARGETS = 16384
_LEAST = 1e-10  # of 1 minus a leverage, which rounding may make zero


def steps_read(n_features: int, shortest: int) -> int:
    """Number of steps that a linear part reads, for sequences of d channels and this length of the shortest one."""
    return max(1, min(shortest, LARGEST // n_features))


@dataclass(frozen=True, eq=False)
class Ridge:
    r"""Weighted ridge regression of k targets on P columns, by the eigenvectors of S; see the top of the file.

    Attributes
    ----------
    eigenvalues : ndarray of shape (r,)
        Eigenvalues of S, or of S in a subspace in which A is searched for.
    directions : ndarray of shape (P, r)
        Its eigenvectors.
    products : ndarray of shape (r, k)
        :math:`\sum_i w_i z_i (y_i - \bar y)^\top`, where z are the centred inputs' coordinates.
    mean_x, mean_y : ndarray of shape (P,), (k,)
    squares : ndarray of shape (P,)
        Means of the squares of the inputs.
    total_weight : float
    chosen_penalty : float
        The α of the least leave-one-out error, :math:`\sum_i w_i \|e_i\|^2 / (1 - h_i)^2` with residuals e and
        :math:`h_i = w_i (1 / \sum_j w_j + z_i^\top (S + \alpha I)^{-1} z_i)` (Allen's PRESS). The sum is over up to
        2,048 of the sequences with a weight. If inputs may have errors of up to ε, it is the α of the least worst case:
        :math:`|e_{ik}| / (1 - h_i) + \sum_j \epsilon_j |A_{kj}|` instead of every :math:`e_{ik} / (1 - h_i)`.

    Examples
    --------
    >>> import torch
    >>> from sklstm.training import SequenceDataset
    >>> from sklstm.training._linear_start import Ridge
    >>> X = torch.randn(200, 3, 2, generator=torch.Generator().manual_seed(0))
    >>> ridge = Ridge.of(SequenceDataset(X, 2 * X[:, -1, :1] + 1), n_steps=2)
    >>> ridge.solution(ridge.chosen_penalty).round(3) + 0.0
    array([[0., 0., 2., 0.]])
    """

    eigenvalues: np.ndarray
    directions: np.ndarray
    products: np.ndarray
    mean_x: np.ndarray
    mean_y: np.ndarray
    squares: np.ndarray
    total_weight: float
    chosen_penalty: float

    @classmethod
    def of(cls, data: SequenceDataset, n_steps: int, radius: Any = 0.0) -> "Ridge":
        """The problem of the targets and the last steps of some data, stored with the data for later trainings.

        Inputs may have errors of up to a radius, one number or one per channel.
        """
        radii = np.broadcast_to(np.asarray(radius, dtype=np.float64), data.X.shape[2])
        key = "ridge", n_steps, tuple(radii.tolist())
        if key not in data.known:
            data.known[key] = cls._read(data, n_steps, np.tile(radii, n_steps))
        found: Ridge = data.known[key]
        return found

    @classmethod
    def _read(cls, data: SequenceDataset, n_steps: int, radii: np.ndarray) -> "Ridge":
        sums = [np.zeros(1)] * 4  # of weights, inputs, their squares, and targets
        for w, x, y in _blocks(data, n_steps):
            parts = (w.sum(), w @ x, w @ x**2, w @ y)
            sums = [total + part for total, part in zip(sums, parts, strict=True)]
        total_weight = float(sums[0].item())
        mean_x, squares, mean_y = (total / total_weight for total in sums[1:])
        basis = _basis(data, n_steps, mean_x, mean_y)
        second, products = np.zeros((1, 1)), np.zeros((1, 1))
        for w, x, y in _blocks(data, n_steps):
            root = np.sqrt(w)[:, None]
            z = root * (x - mean_x if basis is None else x @ basis - mean_x @ basis)
            second = second + dsyrk(1.0, z.T)  # the upper half: half the work
            products = products + z.T @ (root * (y - mean_y))
        eigenvalues, vectors = np.linalg.eigh(second, UPLO="U")
        eigenvalues, products = eigenvalues.clip(0), vectors.T @ products
        directions = vectors if basis is None else basis @ vectors
        penalties = eigenvalues.max() * _GRID  # (m,)
        errors = np.zeros(len(penalties))
        if eigenvalues.any():
            inverses = 1 / (eigenvalues[:, None] + penalties)  # (r, m)
            solutions = (products[:, :, None] * inverses[:, None]).reshape(len(products), -1)  # (r, k·m)
            reach: Any = 0.0  # of errors of that size
            if radii.any():
                reach = (radii @ np.abs(directions @ solutions)).reshape(products.shape[1], -1)  # (k, m)
            for w, x, y in _blocks(data, n_steps, _left_out(data)):
                z = x @ directions - mean_x @ directions
                leverage = w[:, None] * (1 / total_weight + z**2 @ inverses)  # (b, m)
                residuals = (y - mean_y)[:, :, None] - (z @ solutions).reshape(*y.shape, -1)  # (b, k, m)
                # At a leverage of 1 the other sequences say nothing about this one.
                residuals /= (1 - leverage).clip(_LEAST)[:, None]
                largest = np.abs(residuals) + reach
                errors += np.einsum("b,bkm,bkm->m", w, largest, largest)
        chosen = float(penalties[errors.argmin()])
        return cls(eigenvalues, directions, products, mean_x, mean_y, squares, total_weight, chosen)

    def solution(self, penalty: float, variances: np.ndarray | None = None) -> np.ndarray:
        """A (k, P) for an α > 0, and for noise of given variances (P,)."""
        if not self.eigenvalues.any():  # constant inputs
            return np.zeros((len(self.mean_y), len(self.mean_x)))
        added = self.total_weight * (np.zeros(1) if variances is None else variances)
        damped, more = self.eigenvalues + penalty + added.min(), added - added.min()
        if more.any():  # of other size from entry to entry, as dropout
            matrix = np.diag(damped) + (self.directions.T * more) @ self.directions
            found = solve(matrix, self.products, assume_a="pos")
        else:
            found = self.products / damped[:, None]
        return (self.directions @ found).T


def _left_out(data: SequenceDataset) -> Tensor:
    """Positions of the sequences that are left out in turn, among those with a weight."""
    places = torch.arange(len(data)) if data.weight is None else data.weight.cpu().nonzero().flatten()
    n_most = min(_LEFT_OUT, max(1, _LEFT_OUT_TARGETS // data.y[0].numel()))
    chosen = np.linspace(0, len(places) - 1, min(len(places), n_most)).astype(np.int64)
    return places[np.unique(chosen)]


def _blocks(
    data: SequenceDataset, n_steps: int, some: Tensor | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Weights (b,), last steps (b, P) and targets (b, k) of all or some sequences, in float64 on the CPU."""
    longest, n_features = data.X.shape[1:]
    every = torch.arange(len(data)) if some is None else some
    for rows in every.split(max(1, _BLOCK_NUMBERS // (longest * n_features))):
        rows = rows.to(data.X.device)
        inputs = data.X.batch(rows)
        x, y = last_steps(inputs["X"], inputs.get("lengths"), n_steps), data.y[rows].flatten(1)
        w = torch.ones(len(rows)) if data.weight is None else data.weight[rows]
        yield tuple(part.cpu().double().numpy() for part in (w, x, y))  # type: ignore[misc]


def _basis(data: SequenceDataset, n_steps: int, mean_x: np.ndarray, mean_y: np.ndarray) -> np.ndarray | None:
    """Orthonormal columns (P, r) of a subspace in which to search for A; None for the whole space.

    With far fewer sequences than columns it is spanned by the sequences, and nothing is lost. With more than `LARGEST`
    columns it is the Krylov space of S and the products of inputs and targets. There, conjugate gradients find the
    solutions for all penalties; six of their steps come close (Hestenes & Stiefel 1952).
    """
    n_columns = len(mean_x)
    if n_columns <= LARGEST and 2 * len(data) > n_columns:
        return None
    if n_columns <= LARGEST:
        return np.linalg.qr(np.concatenate([x - mean_x for _, x, _ in _blocks(data, n_steps)]).T)[0]
    # Centred on one side only, which is enough: the weighted sum of centred values is zero.
    products = np.asarray(sum(x.T @ (w[:, None] * (y - mean_y)) for w, x, y in _blocks(data, n_steps)))
    block = np.linalg.svd(products, full_matrices=False)[0][:, :_KRYLOV_WIDTH]
    basis = block
    for _ in range(_KRYLOV_STEPS - 1):
        parts = (x.T @ (w[:, None] * (x @ block - mean_x @ block)) for w, x, _ in _blocks(data, n_steps))
        block = np.linalg.qr(np.hstack([basis, np.asarray(sum(parts))]))[0][:, basis.shape[1] :]
        basis = np.hstack([basis, block])
    return basis


@dataclass(frozen=True)
class LinearStart:
    """Start a network with a linear part at the ridge solution: A, b, and a zero readout V of the state.

    A fixed A is kept; b is then the mean of the targets minus its output. A logistic readout contains the linear part:
    its start is the solution for targets that are linearised at their mean.

    Parameters
    ----------
    noise : InputRule, optional
        Change of the inputs of training batches. For noise, its exact effect on A is added to the penalty chosen on the
        data.
    radius : float or ndarray of shape (d,)
        Largest input errors in robust training, for the choice of the penalty.

    Examples
    --------
    >>> import torch
    >>> from sklstm.networks import GRUNetwork
    >>> from sklstm.training import SequenceDataset
    >>> from sklstm.training._linear_start import LinearStart
    >>> module = GRUNetwork(n_features=2, hidden_size=4, n_outputs=1, skip_steps=3)
    >>> X = torch.randn(200, 3, 2, generator=torch.Generator().manual_seed(0))
    >>> y = X.sum((1, 2))[:, None]
    >>> LinearStart()(module, SequenceDataset(X, y))
    >>> torch.allclose(module(X), y, atol=1e-4)
    True
    """

    noise: InputRule | None = None
    radius: Any = 0.0

    @torch.no_grad()
    def __call__(self, module: Any, data: SequenceDataset) -> None:
        part = module.linear_part
        ridge = Ridge.of(data, part.n_steps, self.radius)
        mean, slope = ridge.mean_y, np.ones(len(ridge.mean_y))
        if module.is_logistic:
            at = mean.clip(_INSIDE, 1 - _INSIDE)
            slope = 1 / (at * (1 - at))
            mean = logit(at) + slope * (mean - at)
        if part.is_trained:
            noise, variances = self.noise, None
            if isinstance(noise, InputNoise):
                variances = noise_of_kind(noise.kind).variances(ridge.squares, noise.sigma)
            part.set_weight_(torch.from_numpy(slope[:, None] * ridge.solution(ridge.chosen_penalty, variances)))
        b = mean - part.weight.cpu().double().numpy() @ ridge.mean_x
        module.readout.weight.zero_()
        module.readout.bias.copy_(torch.from_numpy(b))
