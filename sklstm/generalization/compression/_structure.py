"""How a few integers make the weights of a network: directly, through factors of low rank, or along random directions.

Everything here belongs to the architecture and is fixed before the data is seen. What the data decides, the values
of the parts, is what a code has to describe.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

__all__ = ["Structure"]

Tensors = dict[str, Tensor]

# Random directions are held as one dense matrix; beyond this many entries (400 MB) it is time for another design.
_LARGEST_PROJECTION = 50_000_000
SUBSPACE = "subspace"


class Structure:
    r"""Weights as a function of parts, :math:`\theta = \theta_0 + A(z)` with A linear or bilinear.

    - a matrix named in `ranks` is :math:`\theta_{0,j} + P Q`, with parts P (m, r) and Q (r, d);
    - with `subspace`, all weights are :math:`\theta_0 + \mathrm{diag}(s)\,\Pi z` for one part z of that many entries and
      a matrix :math:`\Pi` of random signs (Lotfi et al. 2022 [1]_, after Li et al. 2018);
    - every other tensor is :math:`\theta_{0,j} + z_j`.

    Parameters
    ----------
    like : mapping of str to Tensor
        Names, shapes and dtypes of the weights; values do not matter.
    base : mapping of str to Tensor, optional
        :math:`\theta_0`, zero where not given. Must not depend on the data: an identity, or a random start whose seed
        was fixed.
    ranks : mapping of str to int, optional
        Names of matrices and the rank of their factors.
    subspace : int, optional
        Number of random directions; excludes `ranks`.
    seed : int, default=0
        Of the random signs.

    Raises
    ------
    ValueError
        If there are no weights, a name or rank does not fit, or the matrix of random signs would be too large.

    References
    ----------
    .. [1] S. Lotfi et al., "PAC-Bayes compression bounds so tight that they can explain generalization", NeurIPS 2022.
    """

    def __init__(
        self,
        like: Mapping[str, Tensor],
        *,
        base: Mapping[str, Tensor] | None = None,
        ranks: Mapping[str, int] | None = None,
        subspace: int | None = None,
        seed: int = 0,
    ) -> None:
        ranks = dict(ranks or {})
        base = dict(base or {})
        if not like or any(tensor.numel() == 0 for tensor in like.values()):
            raise ValueError("there are no weights to describe")
        if not all(tensor.is_floating_point() for tensor in like.values()):
            raise ValueError("only floating-point tensors can be described; leave counters and masks out")
        if unknown := (set(ranks) | set(base)) - set(like):
            raise ValueError(f"no weights of the names {sorted(unknown)}; there are {sorted(like)}")
        if subspace is not None and ranks:
            raise ValueError("subspace and ranks exclude each other")
        for name, rank in ranks.items():
            if like[name].ndim != 2 or not 1 <= rank <= min(like[name].shape):
                raise ValueError(f"{name} of shape {tuple(like[name].shape)} has no factors of rank {rank!r}")
        self.like: Tensors = {name: tensor.detach().to("cpu") for name, tensor in like.items()}
        self.base: Tensors = {
            name: base[name].detach().to("cpu", torch.float64) if name in base else torch.zeros(tensor.shape).double()
            for name, tensor in like.items()
        }
        for name, tensor in self.base.items():
            if tensor.shape != like[name].shape or not torch.isfinite(tensor).all():
                raise ValueError(f"the base of {name} must be finite and have its shape, {tuple(like[name].shape)}")
        self.ranks = ranks
        self.subspace = subspace
        self.shapes = self._shapes()
        if subspace is not None:
            self._signs, self._spread = self._directions(subspace, seed)

    @property
    def n_weights(self) -> int:
        """Weights of the network."""
        return sum(tensor.numel() for tensor in self.like.values())

    @property
    def n_values(self) -> int:
        """Entries of all parts."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        if self.subspace is not None:
            if not self.subspace >= 1 or self.subspace * self.n_weights > _LARGEST_PROJECTION:
                raise ValueError(
                    f"subspace must be a positive number of directions, at most {_LARGEST_PROJECTION // self.n_weights} "
                    f"for {self.n_weights} weights; got {self.subspace!r}"
                )
            return {SUBSPACE: (self.subspace,)}
        shapes: dict[str, tuple[int, ...]] = {}
        for name, tensor in self.like.items():
            if name in self.ranks:
                rows, columns = tensor.shape
                shapes[f"{name}.left"] = (rows, self.ranks[name])
                shapes[f"{name}.right"] = (self.ranks[name], columns)
            else:
                shapes[name] = tuple(tensor.shape)
        return shapes

    def _directions(self, dimension: int, seed: int) -> tuple[Tensor, Tensor]:
        # Signs, and scales that are powers of two: products with short binary numbers are then exact, the same on every
        # machine. Each tensor moves in proportion to its base, or to the usual start where that is zero.
        bits = np.random.default_rng(seed).integers(0, 2, size=(self.n_weights, dimension), dtype=np.int8)
        spread = []
        for base in self.base.values():
            size = float(base.square().mean().sqrt()) or 1 / math.sqrt(base.shape[-1])
            spread.append(torch.full((base.numel(),), 2.0 ** round(math.log2(size / math.sqrt(dimension)))).double())
        return torch.from_numpy(2.0 * bits - 1.0), torch.cat(spread)

    def compose(self, values: Mapping[str, Tensor]) -> Tensors:
        """Weights, float64 and differentiable, from the values of the parts."""
        if self.subspace is not None:
            moved = self._spread * (self._signs @ values[SUBSPACE])
            sizes = [tensor.numel() for tensor in self.like.values()]
            pieces = torch.split(moved, sizes)
            return {
                name: base + piece.reshape(base.shape)
                for (name, base), piece in zip(self.base.items(), pieces, strict=True)
            }
        return {
            name: base + (values[f"{name}.left"] @ values[f"{name}.right"] if name in self.ranks else values[name])
            for name, base in self.base.items()
        }

    def weights(self, values: Mapping[str, Tensor]) -> Tensors:
        """As `compose`, rounded to the dtypes of the network and detached."""
        with torch.no_grad():
            return {name: tensor.to(self.like[name].dtype) for name, tensor in self.compose(values).items()}

    def start(self, weights: Mapping[str, Tensor]) -> Tensors:
        """Values whose weights are near the given ones: truncated singular value decompositions; zero in a subspace."""
        if self.subspace is not None:
            return {SUBSPACE: torch.zeros(self.subspace).double()}
        values: Tensors = {}
        for name, tensor in weights.items():
            moved = tensor.detach().to("cpu", torch.float64) - self.base[name]
            if name in self.ranks:
                rank = self.ranks[name]
                u, s, vh = torch.linalg.svd(moved, full_matrices=False)
                root = s[:rank].sqrt()
                values[f"{name}.left"], values[f"{name}.right"] = u[:, :rank] * root, root[:, None] * vh[:rank]
            else:
                values[name] = moved.clone()
        return values
