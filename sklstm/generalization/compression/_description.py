"""A network in integers, which the fine-tuned Occam bound is about, and its message.

A few integers give the weights of a network: directly, as factors of low rank, or along random directions. The
`Structure` says which of these. It belongs to the architecture and is fixed before the data are seen. The values of the
parts depend on the data. They are in the message of a `Description`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ._arithmetic_code import Decoder, Encoder, decode_integers, encode_integers, integer_bits

Tensors = dict[str, Tensor]

# Random directions are kept as one dense matrix of at most this many entries (400 MB).
_LARGEST_PROJECTION = 50_000_000
_LARGEST_BASE = 1e100
SUBSPACE = "subspace"

Integers = NDArray[np.int64]
# Steps are (1 + j/4)·2^e, with ratios of 1.14 to 1.25, over 64 powers of two: 8 bits.
_STEPS_PER_OCTAVE = 4
_LOWEST_OCTAVE = -48
N_STEPS = 64 * _STEPS_PER_OCTAVE
# Above these, a step or a sum in units of the last binary digit may not be exact in float64.
_FINEST = 255
_EXACT = 2.0**53
# A message has at most two bits more than its ideal length, rounded up.
_END = 2


class Structure:
    r"""Weights as a function of parts, :math:`\theta = \theta_0 + A(z)` with A linear or bilinear.

    - a matrix named in `ranks` is :math:`\theta_{0,j} + P Q`, with parts P (m, r) and Q (r, d);
    - with `subspace`, all weights are :math:`\theta_0 + \mathrm{diag}(s)\,\Pi z` for one part z of that many entries
      and a matrix :math:`\Pi` of random signs (Lotfi et al. 2022 [1]_, after Li et al. 2018);
    - every other tensor is :math:`\theta_{0,j} + z_j`.

    Parameters
    ----------
    like : mapping of str to Tensor
        Names, shapes and dtypes of the weights; the values are not used.
    base : mapping of str to Tensor, optional
        :math:`\theta_0`, by default zero. It must not depend on the data: an identity, or a random start whose seed was
        fixed.
    ranks : mapping of str to int, optional
        Names of matrices and the rank of their factors.
    subspace : int, optional
        Number of random directions; excludes `ranks`.
    seed : int, default=0
        Seed of the random signs. These are bits of numpy's PCG64, the same in all versions of numpy.

    Attributes
    ----------
    like : dict of str to Tensor
        Names, shapes and dtypes of the weights; all entries are zero.
    base : dict of str to Tensor
        :math:`\theta_0`, float64.
    shapes : dict of str to tuple of int
        Shapes of the parts, in the order of the message. The names are ``name.left`` and ``name.right`` for P and Q,
        the name of the tensor for :math:`z_j`, and ``"subspace"`` for z.

    Raises
    ------
    ValueError
        If there are no weights, or a tensor is empty, without a dimension or not of floating point. If `ranks` or
        `base` has a name that is not in `like`. If a base has another shape, is not finite or has entries of 1e100 or
        more. If a rank is not an integer from 1 to the smaller side of its matrix. If two parts would have the same
        name. If `subspace` is passed with `ranks`, is not a positive integer or makes the matrix of random signs too
        large. If the seed is not a non-negative integer.

    Notes
    -----
    A pickle does not contain the random signs. They are made again from the seed.

    References
    ----------
    .. [1] S. Lotfi et al., "PAC-Bayes compression bounds so tight that they can explain generalization", NeurIPS 2022.

    Examples
    --------
    A 3 × 4 matrix as the product of two factors of rank 1, and a bias without factors:

    >>> import torch
    >>> from sklstm.generalization import Structure
    >>> structure = Structure({"w": torch.zeros(3, 4), "b": torch.zeros(3)}, ranks={"w": 1})
    >>> structure.shapes
    {'w.left': (3, 1), 'w.right': (1, 4), 'b': (3,)}
    >>> structure.n_values, structure.n_weights
    (10, 15)
    >>> rank_one = {"w": torch.arange(1.0, 4.0)[:, None] * torch.ones(4), "b": torch.ones(3)}
    >>> values = structure.start(rank_one)
    >>> torch.allclose(structure.compose(values)["w"], rank_one["w"].double())
    True
    >>> structure.weights(values)["w"].dtype  # as the network has it
    torch.float32
    >>> Structure.check_subspace(0, n_weights=15)
    Traceback (most recent call last):
        ...
    ValueError: subspace must be a positive number of directions, at most 3333333 for 15 weights; got 0
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
        if any(tensor.ndim == 0 for tensor in like.values()):
            raise ValueError("tensors need at least one dimension. Reshape single numbers to (1,).")
        if not all(tensor.is_floating_point() for tensor in like.values()):
            raise ValueError("only floating-point tensors can be described. Leave counters and masks out.")
        if unknown := (set(ranks) | set(base)) - set(like):
            raise ValueError(f"there are no weights with the names {sorted(unknown)}. The names are {sorted(like)}.")
        if subspace is not None and ranks:
            raise ValueError("subspace and ranks exclude each other")
        for name, rank in ranks.items():
            if like[name].ndim != 2 or not _is_integer(rank) or not 1 <= rank <= min(like[name].shape):
                raise ValueError(f"{name} of shape {tuple(like[name].shape)} has no factors of rank {rank!r}")
        if not _is_integer(seed) or seed < 0:
            raise ValueError(f"the seed must be a non-negative integer, got {seed!r}")
        # One zero, expanded to many shapes: it needs no memory, also in a pickle.
        self.like: Tensors = {name: torch.zeros((), dtype=t.dtype).expand(t.shape) for name, t in like.items()}
        zero = torch.zeros((), dtype=torch.float64)
        self.base: Tensors = {
            name: base[name].detach().to("cpu", torch.float64, copy=True) if name in base else zero.expand(tensor.shape)
            for name, tensor in like.items()
        }
        for name, tensor in self.base.items():
            # NaN fails the comparison. Below the limit, squares are finite.
            if tensor.shape != like[name].shape or not (tensor.abs() < _LARGEST_BASE).all():
                shape = tuple(like[name].shape)
                raise ValueError(
                    f"the base of {name} must be finite, below {_LARGEST_BASE} and have its shape, {shape}"
                )
        self.ranks = ranks
        self.subspace = subspace
        self.seed = seed
        self.shapes = self._shapes()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_directions"}

    @property
    def n_weights(self) -> int:
        """Weights of the network."""
        return sum(tensor.numel() for tensor in self.like.values())

    @property
    def n_values(self) -> int:
        """Entries of all parts."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    @property
    def products(self) -> list[tuple[tuple[str, ...], int]]:
        """Each product of parts that gives weights, with the number of terms in the sum for one entry."""
        if self.subspace is not None:
            return [((SUBSPACE,), self.subspace)]
        return [
            ((f"{name}.left", f"{name}.right"), self.ranks[name]) if name in self.ranks else ((name,), 1)
            for name in self.like
        ]

    @staticmethod
    def check_subspace(subspace: int | None, n_weights: int) -> None:
        """Check a number of directions.

        Parameters
        ----------
        subspace : int or None
            The number; None passes.
        n_weights : int
            Weights of the network.

        Raises
        ------
        ValueError
            If it is not a positive integer, or too large for this number of weights.
        """
        if subspace is None:
            return
        if not _is_integer(subspace) or not 1 <= subspace * n_weights <= _LARGEST_PROJECTION:
            raise ValueError(
                f"subspace must be a positive number of directions, at most {_LARGEST_PROJECTION // n_weights} for "
                f"{n_weights} weights; got {subspace!r}"
            )

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        if self.subspace is not None:
            self.check_subspace(self.subspace, self.n_weights)
            return {SUBSPACE: (self.subspace,)}
        factors = {f"{name}.{side}" for name in self.ranks for side in ("left", "right")}
        if taken := factors & (set(self.like) - set(self.ranks)):
            raise ValueError(
                f"the factors of low rank need the names {sorted(taken)}, but weights have these names. Rename the "
                "weights."
            )
        shapes: dict[str, tuple[int, ...]] = {}
        for name, tensor in self.like.items():
            if name in self.ranks:
                rows, columns = tensor.shape
                shapes[f"{name}.left"] = (rows, self.ranks[name])
                shapes[f"{name}.right"] = (self.ranks[name], columns)
            else:
                shapes[name] = tuple(tensor.shape)
        return shapes

    @cached_property
    def _directions(self) -> tuple[Tensor, Tensor]:
        """Random signs and the scale of each weight. Made on first use, since many loaded models never need them."""
        dimension, seed = cast(int, self.subspace), self.seed
        # With signs, and with scales that are powers of two, products with short binary numbers are exact and the same
        # on every machine. The raw stream of a bit generator never changes; numpy's distributions may.
        n_signs = self.n_weights * dimension
        words = np.atleast_1d(np.random.PCG64(seed).random_raw(-(-n_signs // 64)))
        bits = np.unpackbits(words.astype("<u8").view(np.uint8), count=n_signs).reshape(self.n_weights, dimension)
        # The scale of a tensor is that of its base, or of the usual start if the base is zero. It is the power of two
        # nearest to sqrt(q). No sum depends on its order here, and no logarithm is rounded near a tie.
        spread = []
        for base in self.base.values():
            mean_square = math.fsum(base.square().ravel().tolist()) / base.numel() or 1 / base.shape[-1]
            q = mean_square / dimension
            spread.append(torch.full((base.numel(),), 2.0 ** (math.frexp(q)[1] // 2), dtype=torch.float64))
        return torch.from_numpy(2.0 * bits - 1.0), torch.cat(spread)

    def compose(self, values: Mapping[str, Tensor]) -> Tensors:
        """Weights from the values of the parts.

        Parameters
        ----------
        values : mapping of str to Tensor
            Values in float64, in the shapes of `shapes`.

        Returns
        -------
        dict of str to Tensor
            Weights in float64 and differentiable, in the shapes of `like`.

        Raises
        ------
        ValueError
            If a part is missing, unknown or of another shape.
        """
        if {part: tuple(value.shape) for part, value in values.items()} != self.shapes:
            raise ValueError(f"values must have the parts and shapes {self.shapes}")
        if self.subspace is not None:
            signs, spread = self._directions
            moved = spread * (signs @ values[SUBSPACE])
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
        """As `compose`, with the same errors, but rounded to the dtypes of the network and detached.

        Parameters
        ----------
        values : mapping of str to Tensor
            Values in float64, in the shapes of `shapes`.

        Returns
        -------
        dict of str to Tensor
            Weights in the shapes and dtypes of `like`.
        """
        with torch.no_grad():
            return {name: tensor.to(self.like[name].dtype) for name, tensor in self.compose(values).items()}

    def start(self, weights: Mapping[str, Tensor]) -> Tensors:
        """Values of the parts whose weights are near the given ones.

        For a factored matrix these are the best approximation of that rank in the Frobenius norm (Eckart and Young
        1936, by a truncated singular value decomposition). In a subspace they are zero. Otherwise they are exact.

        Parameters
        ----------
        weights : mapping of str to Tensor
            Weights in the shapes of `like`.

        Returns
        -------
        dict of str to Tensor
            Values in float64, in the shapes of `shapes`.

        Raises
        ------
        ValueError
            If weights are missing, unknown, of another shape or not finite.
        """
        if {name: tensor.shape for name, tensor in weights.items()} != {n: t.shape for n, t in self.like.items()}:
            raise ValueError("weights must have the names and shapes of the structure")
        if not all(torch.isfinite(tensor).all() for tensor in weights.values()):
            raise ValueError("weights must be finite")
        if self.subspace is not None:
            return {SUBSPACE: torch.zeros(self.subspace).double()}
        values: Tensors = {}
        for name in self.like:
            moved = weights[name].detach().to("cpu", torch.float64) - self.base[name]
            if name in self.ranks:
                rank = self.ranks[name]
                u, s, vh = torch.linalg.svd(moved, full_matrices=False)
                root = s[:rank].sqrt()
                values[f"{name}.left"], values[f"{name}.right"] = u[:, :rank] * root, root[:, None] * vh[:rank]
            else:
                values[name] = moved.clone()
        return values


def _is_integer(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def step_size(number: int) -> float:
    """Step with a given number, 0 to 255: an exact binary fraction, the same on every machine.

    Raises
    ------
    ValueError
        If there is no step with this number.
    """
    if not 0 <= number < N_STEPS:
        raise ValueError(f"steps have the numbers 0 to {N_STEPS - 1}, got {number!r}")
    octave, part = divmod(number, _STEPS_PER_OCTAVE)
    return math.ldexp(1 + part / _STEPS_PER_OCTAVE, octave + _LOWEST_OCTAVE)


def step_number(size: float) -> int:
    """Number of the largest step that does not exceed `size`; 0 for sizes below all steps.

    Raises
    ------
    ValueError
        If `size` is not positive and finite.
    """
    if not 0 < size < math.inf:
        raise ValueError(f"a step must be positive and finite, got {size!r}")
    mantissa, exponent = math.frexp(size)  # mantissa in [1/2, 1)
    number = (exponent - 1 - _LOWEST_OCTAVE) * _STEPS_PER_OCTAVE + int((2 * mantissa - 1) * _STEPS_PER_OCTAVE)
    return min(max(number, 0), N_STEPS - 1)


@dataclass(frozen=True, eq=False)
class Description:
    r"""Values of a `Structure` on a grid: :math:`z_{ij} = s\,2^{-e_j}\,k_{ij}` with one step s for each part.

    Attributes
    ----------
    structure : Structure
        The structure, fixed before the data are seen; not in the message.
    steps : dict of str to int
        Number of the step s of each part; see :func:`step_size`.
    finer : dict of str to ndarray of int
        :math:`e_j \ge 0`, one for each column of a matrix and one for a vector: the grid of column j is finer by
        :math:`e_j` binary digits. A channel with a large mean needs a finer grid.
    integers : dict of str to ndarray of int64
        The integers k, in the shapes of the parts.

    Raises
    ------
    ValueError
        If the parts or shapes are not those of the structure. If the number of a step or :math:`e_j` is not 0 to 255.
        If the integers are too large to be exact (see below).

    Notes
    -----
    The step is :math:`s = 2^{o-2} a` with an integer a from 4 to 7, so that all values of a column are multiples of one
    power of two. A weight is :math:`\theta_0` plus a sum of R terms, each a value, a signed value or a product of two
    values. Let the magnitudes of the terms add up to at most :math:`2^{53}` of the smallest unit. Then every partial
    sum is a float64. The sum is exact in any order, with or without fused operations. It is rounded to float64 when
    :math:`\theta_0` is added, and then to the dtype of the weight. The check is slightly stronger:

    - :math:`R\,a \max|k| \le 2^{53}` for R directions, and the same with R = 1 for a part that is a tensor itself;
    - :math:`R\,a_P a_Q \max_{ij}(|k^P_{ij}|\,2^{\max e^P - e^P_j}) \max|k^Q| \le 2^{53}` for a product of rank R.

    Eight-bit integers, and grids that differ by less than :math:`2^{20}`, satisfy it up to a rank of :math:`2^{13}`.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from sklstm.generalization import Description, Structure
    >>> structure = Structure({"w": torch.zeros(2, 2)})
    >>> description = Description(structure, {"w": 192}, {"w": np.array([0, 1])}, {"w": np.array([[1, 0], [-2, 3]])})
    >>> description.grid("w").tolist()  # the second column is finer by one binary digit
    [1.0, 0.5]
    >>> description.weights()["w"].tolist() == description.values()["w"].tolist()
    True
    >>> again = Description.decode(*description.message, structure)
    >>> again.weights()["w"].tolist()
    [[1.0, 0.0], [-2.0, 1.5]]
    >>> zeros = description.replaced({"w": np.zeros((2, 2), int)})
    >>> zeros.n_bits < description.n_bits
    True
    """

    structure: Structure
    steps: dict[str, int]
    finer: dict[str, Integers]
    integers: dict[str, Integers]

    def __post_init__(self) -> None:
        shapes = self.structure.shapes
        if not (set(shapes) == set(self.steps) == set(self.finer) == set(self.integers)):
            raise ValueError(f"steps, finer and integers must have the parts {sorted(shapes)}")
        for part, shape in shapes.items():
            if self.integers[part].shape != shape or self.finer[part].shape != (columns(shape),):
                raise ValueError(f"{part} needs integers of shape {shape} and finer of shape {(columns(shape),)}")
            if self.finer[part].min() < 0 or self.finer[part].max() > _FINEST:
                raise ValueError(f"finer must be 0 to {_FINEST}, which it is not in {part}")
        for parts, n_terms in self.structure.products:
            if n_terms * math.prod(self._units(part, of_sum=part != parts[-1]) for part in parts) > _EXACT:
                raise ValueError(f"the integers of {' and '.join(parts)} are too large for exact weights")

    def _units(self, part: str, *, of_sum: bool) -> float:
        """Largest magnitude in units of the last binary digit, of one column or of all columns that a sum includes."""
        finer = self.finer[part] if of_sum and self.integers[part].ndim == 2 else 0
        magnitudes = np.ldexp(np.abs(self.integers[part].astype(np.float64)), np.max(finer) - finer)
        return float(magnitudes.max()) * math.ldexp(math.frexp(step_size(self.steps[part]))[0], 3)

    def grid(self, part: str) -> Tensor:
        """Steps of the columns of a part.

        Parameters
        ----------
        part : str
            Its name.

        Returns
        -------
        Tensor of shape (columns,), float64
            Steps, exact; of shape (1,) unless the part is a matrix.
        """
        return torch.from_numpy(np.ldexp(step_size(self.steps[part]), -self.finer[part]))

    def values(self) -> dict[str, Tensor]:
        """The values of the parts.

        Returns
        -------
        dict of str to Tensor
            Values in float64, exact.
        """
        return {part: self.grid(part) * torch.from_numpy(k.astype(np.float64)) for part, k in self.integers.items()}

    def weights(self) -> dict[str, Tensor]:
        """The weights of the network.

        Returns
        -------
        dict of str to Tensor
            Weights in the dtypes of the network, with the same bits on every machine; see the notes of the class.
        """
        return self.structure.weights(self.values())

    @property
    def ideal_bits(self) -> float:
        """Length of the message in bits without the coder's last digits, from counts alone."""
        fields = len(self.steps) * math.log2(N_STEPS)
        return fields + sum(integer_bits(part) for parts in (self.finer, self.integers) for part in parts.values())

    @property
    def bits_at_most(self) -> int:
        """Upper limit on `n_bits`, fast to compute, for use in a search."""
        return math.ceil(self.ideal_bits) + _END

    @cached_property
    def message(self) -> tuple[int, int]:
        """The code, a non-negative integer, and its length in bits."""
        encoder = Encoder()
        for part in self.structure.shapes:
            encoder.uniform(self.steps[part], N_STEPS)
            encode_integers(encoder, self.finer[part], (part, "finer"))
            encode_integers(encoder, self.integers[part].ravel(), part)
        return encoder.finish()

    @property
    def n_bits(self) -> int:
        """K, the length of the message."""
        return self.message[1]

    @classmethod
    def decode(cls, code: int, n_bits: int, structure: Structure) -> "Description":
        """Inverse of `message`.

        Parameters
        ----------
        code, n_bits : int
            As in `message`.
        structure : Structure
            The structure with which the message was made.

        Returns
        -------
        Description

        Raises
        ------
        ValueError
            If the message ends too early or is out of range, or was made with a structure of other shapes. Also if
            further bits follow it.
        """
        decoder = Decoder(code, n_bits)
        steps, finer, integers = {}, {}, {}
        for part, shape in structure.shapes.items():
            steps[part] = decoder.uniform(N_STEPS)
            finer[part] = decode_integers(decoder, columns(shape), (part, "finer"))
            integers[part] = decode_integers(decoder, math.prod(shape), part).reshape(shape)
        description = cls(structure, steps, finer, integers)
        if description.message != (code, n_bits):
            raise ValueError("this is not a message of the structure, or further bits follow it")
        return description

    def replaced(self, integers: Mapping[str, Integers]) -> "Description":
        """The same grid with other integers.

        Parameters
        ----------
        integers : mapping of str to ndarray of int64
            Integers in the shapes of the parts.

        Returns
        -------
        Description

        Raises
        ------
        ValueError
            As in the class.
        """
        return Description(self.structure, self.steps, self.finer, dict(integers))

    def rescaled(self, exponents: Mapping[str, Integers]) -> "Description | None":
        r"""The description of weights whose columns are divided by powers of two, which its message holds.

        The grid of column j holds :math:`2^{e_j}`, so that the network takes unscaled inputs.
        :math:`U\,\mathrm{diag}(2^{-e})\,x` is computed with the same significands as :math:`U\,(2^{-e} x)`.

        Parameters
        ----------
        exponents : mapping of str to ndarray of int
            For some matrices of weights, :math:`e_j` of each column.

        Returns
        -------
        Description or None
            The description; None if the code has no step of this size.

        Raises
        ------
        ValueError
            If a weight has no columns of its own: in a subspace, or with a base that is not zero.

        Examples
        --------
        >>> import numpy as np
        >>> import torch
        >>> from sklstm.generalization import Description, Structure
        >>> structure = Structure({"w": torch.zeros(1, 3)})
        >>> description = Description(structure, {"w": 192}, {"w": np.zeros(3, int)}, {"w": np.array([[1, -2, 0]])})
        >>> description.weights()["w"].tolist()
        [[1.0, -2.0, 0.0]]
        >>> description.rescaled({"w": np.array([-1, 3, 5])}).weights()["w"].tolist()
        [[2.0, -0.25, 0.0]]
        """
        steps, finer = dict(self.steps), dict(self.finer)
        for name, exponent in exponents.items():
            if self.structure.subspace is not None or self.structure.base[name].any():
                raise ValueError(f"{name} is not described column by column")
            part = f"{name}.right" if name in self.structure.ranks else name
            digits = self.finer[part] + exponent
            used = self.integers[part].any(axis=0)
            if not used.any():
                continue
            # The step is that of the coarsest column. A column of zeros may have any grid: the shortest to write.
            lowest = int(digits[used].min())
            steps[part] = self.steps[part] - lowest * _STEPS_PER_OCTAVE
            finer[part] = np.where(used, digits - lowest, 0)
            if not 0 <= steps[part] < N_STEPS or finer[part].max() > _FINEST:
                return None
        return Description(self.structure, steps, finer, self.integers)


def columns(shape: tuple[int, ...]) -> int:
    """Number of columns of a part that have a grid of their own."""
    return shape[-1] if len(shape) == 2 else 1
