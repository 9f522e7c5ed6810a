r"""Spectral norms of matrices that change from call to call, at a small part of the cost of exact ones.

Under the penalty the leading singular values of a gate run close together, and one step of Adam can move a small matrix
by a quarter of its norm: one power step from the last vectors is 10 to 20 % off (docs/theory.md). Squaring the Gram
matrix q times makes :math:`2^q` power steps of q small products. The estimate :math:`\hat\sigma = \|A v\|` with a unit
vector v never exceeds :math:`\sigma`; every few calls it is compared with the exact norm, and exact vectors replace
the carried ones.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from sklstm.linalg import leading_pair

__all__ = ["LeadingPairs", "LeadingVectors"]

FIRST_CADENCE = 8


def power_steps(side: int) -> tuple[int, int]:
    """Squarings q of a Gram matrix of that side, and products p with the result: p 2^q power steps."""
    # As many as cost 1 to 3 % of a training step: 256, 64 and 16. Larger matrices are further from exact for it, and
    # their singular values are less crowded.
    return (8, 1) if side <= 32 else (6, 1) if side <= 64 else (2, 4)


@dataclass(frozen=True)
class LeadingPairs:
    """Leading singular triplets of several stacks of matrices (G, m, n), and other numbers that came along."""

    norms: list[list[float]]
    left: list[Tensor]  # (G, m, 1), unit vectors
    right: list[Tensor]  # (G, n, 1)
    others: list[list[float]]


class LeadingVectors:
    """Carries the singular vectors of the shorter sides; `TikhonovPenalty` documents cadence and tolerance."""

    def __init__(self, cadence: int, tolerance: float):
        if cadence < 1:
            raise ValueError(f"cadence must be at least 1, got {cadence}.")
        if not 0 < tolerance < math.inf:
            raise ValueError(f"tolerance must be positive and finite, got {tolerance}.")
        self.cadence, self.tolerance = cadence, tolerance
        self.largest_error = 0.0
        self.forget()

    def forget(self) -> None:
        """Drop the vectors; the next call is exact. `largest_error` stays."""
        self.carried: list[Tensor] = []  # (G, min(m, n), 1)
        self.norms: list[list[float]] = []  # of the last call
        self.interval = min(FIRST_CADENCE, self.cadence)
        self.calls_left = 0

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"carried": [], "calls_left": 0}

    def __call__(self, matrices: list[Tensor], others: list[Tensor]) -> LeadingPairs:
        """Norms and vectors of the stacks; ``others``, vectors of any kind, share the one transfer from the device."""
        if [part.shape[:2] for part in self.carried] != [(len(part), min(part.shape[1:])) for part in matrices]:
            self.forget()
        estimates: list[Tensor] = []
        if self.calls_left == 0:
            # At a cadence of 1 there is nothing to compare: no estimate is ever used.
            if self.carried and self.cadence > 1:
                pairs = [self._estimate(*part) for part in zip(matrices, self.carried, strict=True)]
                estimates = [sigma for sigma, _, _ in pairs]
            pairs = [leading_pair(matrix) for matrix in matrices]
        else:
            pairs = [self._estimate(*part) for part in zip(matrices, self.carried, strict=True)]
        sigmas, left, right = zip(*pairs, strict=True)
        vectors = [*sigmas, *others, *estimates]
        numbers = iter(torch.cat(vectors).tolist())
        columns = [[next(numbers) for _ in range(len(vector))] for vector in vectors]
        self.norms = columns[: len(sigmas)]
        if estimates:
            self._steer(columns[-len(estimates) :])
        self.calls_left = (self.calls_left or self.interval) - 1
        self.carried = [u if len(u[0]) < len(v[0]) else v for u, v in zip(left, right, strict=True)]
        found = LeadingPairs(self.norms, list(left), list(right), columns[len(sigmas) : len(sigmas) + len(others)])
        if not all(math.isfinite(norm) for part in self.norms for norm in part):
            self.forget()  # the weights may recover, NaN in the vectors would not
        return found

    @staticmethod
    def _estimate(matrix: Tensor, carried: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `leading_pair`, from below."""
        is_tall = matrix.shape[-2] >= matrix.shape[-1]
        tall = matrix if is_tall else matrix.mT
        short = carried if tall.shape[-1] == 1 else _power_method(torch.bmm(tall.mT, tall), carried)
        long = torch.bmm(tall, short)
        long, sigma = _normalised(long)
        return (sigma.flatten(), long, short) if is_tall else (sigma.flatten(), short, long)

    def _steer(self, estimates: list[list[float]]) -> None:
        errors = [
            (norm - estimate) / norm
            for norms, of_stack in zip(self.norms, estimates, strict=True)
            for norm, estimate in zip(norms, of_stack, strict=True)
            if norm > 0
        ]
        error = max(errors, default=0.0)
        self.largest_error = max(self.largest_error, error)
        if error > self.tolerance:
            self.interval = max(1, self.interval // 2)
        elif error < self.tolerance / 10:
            self.interval = min(self.cadence, 2 * self.interval)


def _power_method(gram: Tensor, start: Tensor) -> Tensor:
    """Unit vectors (G, n, 1) near the leading eigenvectors of Gram matrices (G, n, n)."""
    n_squarings, n_products = power_steps(gram.shape[-1])
    power, _ = _normalised(gram)
    for squaring in range(1, n_squarings + 1):
        power = torch.bmm(power, power)
        # Frobenius norm 1 means spectral norm at least n^(-1/2), and at least n^(-8) four squarings later.
        if squaring % 4 == 0 or squaring == n_squarings:
            power, _ = _normalised(power)
    # The carried vector may have lost all share in what leads now; a little of everything brings it back.
    v = start + _fixed_vector(gram.shape[-1], gram.dtype, gram.device)
    for _ in range(n_products):
        v = torch.bmm(power, v)
    return _normalised(v)[0]


@lru_cache(maxsize=16)
def _fixed_vector(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """A unit vector (size, 1) without structure, the same in every call."""
    vector = torch.randn(size, 1, generator=torch.Generator().manual_seed(0), dtype=dtype).to(device)
    return vector / torch.linalg.vector_norm(vector)


def _normalised(stack: Tensor) -> tuple[Tensor, Tensor]:
    """Matrices (G, m, n) by their Frobenius norms (G, 1, 1); zero stays zero."""
    norm = torch.linalg.vector_norm(stack, dim=(1, 2), keepdim=True)
    return stack / norm.clamp_min(torch.finfo(stack.dtype).tiny), norm
