r"""Spectral norms of matrices that change a little from call to call.

A training step changes the weights by little, so the leading singular vectors of the last step, improved by one power
step, are nearly those of this one. The estimate :math:`\hat\sigma = \|W^\top u\|` with a unit vector u never exceeds
:math:`\sigma`; every few calls it is compared with the exact norm, and exact vectors replace the carried ones.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sklstm.linalg import leading_pair

__all__ = ["LeadingPairs", "LeadingVectors"]

FIRST_CADENCE = 8


@dataclass(frozen=True)
class LeadingPairs:
    """Leading singular triplets of several stacks of matrices (G, m, n), and other numbers that came along."""

    norms: list[list[float]]
    left: list[Tensor]  # (G, m, 1), unit vectors
    right: list[Tensor]  # (G, n, 1)
    others: list[list[float]]


class LeadingVectors:
    """Carries the right singular vectors; `TikhonovPenalty` documents cadence and tolerance."""

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
        self.right: list[Tensor] = []
        self.norms: list[list[float]] = []
        self.interval = min(FIRST_CADENCE, self.cadence)
        self.calls_left = 0

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"right": [], "calls_left": 0}

    def __call__(self, matrices: list[Tensor], others: list[Tensor]) -> LeadingPairs:
        """Norms and vectors of the stacks; ``others``, vectors of any kind, share the one transfer from the device."""
        if [part.shape[:2] for part in self.right] != [(len(part), part.shape[2]) for part in matrices]:
            self.forget()
        is_exact = self.calls_left == 0
        if is_exact and not self.right:
            pairs, _ = self._exact(matrices, others, None)
        elif is_exact:
            carried = self._power_step(matrices, []).norms
            pairs, errors = self._exact(matrices, others, carried)
            self._steer(max(errors, default=0.0))
        else:
            pairs = self._power_step(matrices, others)
        self.right, self.norms = pairs.right, pairs.norms
        self.calls_left = (self.interval if is_exact else self.calls_left) - 1
        if not all(map(math.isfinite, (norm for part in pairs.norms for norm in part))):
            self.forget()  # the weights may recover, NaN in the vectors would not
        return pairs

    def _power_step(self, matrices: list[Tensor], others: list[Tensor]) -> LeadingPairs:
        left = [torch.bmm(matrix, v) for matrix, v in zip(matrices, self.right, strict=True)]
        right = [torch.bmm(matrix.mT, u) for matrix, u in zip(matrices, left, strict=True)]
        lengths = torch.cat([torch.linalg.vector_norm(part, dim=(1, 2)) for part in left + right])
        numbers = _numbers([lengths, *others])
        sizes = [len(matrix) for matrix in matrices]
        # A zero vector stays zero: 0 / tiny. Two views a stack are cheaper than new tensors from the numbers.
        scales = lengths.clamp_min(torch.finfo(lengths.dtype).tiny)[:, None, None].split(sizes * 2)
        of_left, of_right = numbers[0][: sum(sizes)], numbers[0][sum(sizes) :]
        # ‖Wᵀu‖ for u = W v / ‖W v‖
        norms = [after / before if before else 0.0 for before, after in zip(of_left, of_right, strict=True)]
        left = [u / scale for u, scale in zip(left, scales, strict=False)]
        right = [v / scale for v, scale in zip(right, scales[len(sizes) :], strict=True)]
        if 0.0 in of_right:  # W v = 0: a zero matrix, or a vector without a share in it, keeps its vector
            right = [
                torch.where(new.any(1, keepdim=True), new, old) for new, old in zip(right, self.right, strict=True)
            ]
        return LeadingPairs(_parts(norms, sizes), left, right, numbers[1:])

    def _exact(
        self, matrices: list[Tensor], others: list[Tensor], carried: list[list[float]] | None
    ) -> tuple[LeadingPairs, list[float]]:
        sigmas, left, right = zip(*map(leading_pair, matrices), strict=True)
        numbers = _numbers([*sigmas, *others])
        norms = numbers[: len(matrices)]
        errors = [
            (exact - estimate) / exact
            for exacts, estimates in zip(norms, carried or norms, strict=True)
            for exact, estimate in zip(exacts, estimates, strict=True)
            if exact > 0
        ]
        return LeadingPairs(norms, list(left), list(right), numbers[len(matrices) :]), errors

    def _steer(self, error: float) -> None:
        self.largest_error = max(self.largest_error, error)
        if error > self.tolerance:
            self.interval = max(1, self.interval // 2)
        elif error < self.tolerance / 10:
            self.interval = min(self.cadence, 2 * self.interval)


def _numbers(vectors: list[Tensor]) -> list[list[float]]:
    """The vectors as lists of Python floats, by one transfer."""
    return _parts(torch.cat(vectors).tolist(), [len(vector) for vector in vectors])


def _parts(numbers: list[float], sizes: list[int]) -> list[list[float]]:
    iterator = iter(numbers)
    return [[next(iterator) for _ in range(size)] for size in sizes]
