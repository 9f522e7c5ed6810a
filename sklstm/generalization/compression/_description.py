"""A network in integers: what the fine-tuned Occam bound is about, and its message."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ._arithmetic import Decoder, Encoder, decode_integers, encode_integers, integer_bits
from ._structure import Structure

__all__ = ["Description", "step_size"]

Integers = NDArray[np.int64]

# Steps are (1 + j/4)·2^e, a ratio of 1.14 to 1.25 apart, over 64 binary orders of magnitude: 8 bits.
_STEPS_PER_OCTAVE = 4
_LOWEST_OCTAVE = -48
N_STEPS = 64 * _STEPS_PER_OCTAVE
# Above these, a step or a sum in units of the last binary digit could leave float64.
_FINEST = 255
_EXACT = 2.0**53
# The coder ends a message with at most two bits more than its ideal length, rounded up.
_END = 2


def step_size(number: int) -> float:
    """Step of a given number, 0 to 255: an exact binary fraction, the same on every machine.

    Raises
    ------
    ValueError
        If there is no step of this number.
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
    r"""Values of a `Structure` on a grid: :math:`z_{ij} = s\,2^{-e_j}\,k_{ij}` with a step s a part.

    Attributes
    ----------
    structure : Structure
        Fixed before the data is seen; not in the message.
    steps : dict of str to int
        Number of the step s of each part, see :func:`step_size`.
    finer : dict of str to ndarray of int
        :math:`e_j \ge 0`, one a column of a matrix (one for a vector): how much finer the grid is there. A channel with
        a large mean needs it.
    integers : dict of str to ndarray of int64
        k, in the shapes of the parts.

    Raises
    ------
    ValueError
        If the parts or shapes are not those of the structure, a number of a step is not 0 to 255, :math:`e_j` not 0 to
        255, or the integers are too large to be exact (below).

    Notes
    -----
    The step is :math:`s = 2^{o-2} a` with an integer a from 4 to 7, so that all the values of a column are multiples
    of one power of two. A weight is :math:`\theta_0` plus a sum of R terms, each a value, a signed value or a product
    of two. While their magnitudes add up to at most :math:`2^{53}` of the smallest unit, every partial sum is a
    float64: the sum is exact in any order, with or without fused operations. The weight is this exact value, rounded
    to float64 when :math:`\theta_0` is added and then to its dtype. What is checked is a little more:

    - :math:`R\,a \max|k| \le 2^{53}` for R directions, and the same with R = 1 for a part that is a tensor itself;
    - :math:`R\,a_P a_Q \max_{ij}(|k^P_{ij}|\,2^{\max e^P - e^P_j}) \max|k^Q| \le 2^{53}` for a product of rank R.

    Eight-bit integers and grids that differ by less than :math:`2^{20}` keep to it up to a rank of :math:`2^{13}`.

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
                raise ValueError(f"the grid of a column is 0 to {_FINEST} binary digits finer, not so in {part}")
        for parts, n_terms in self.structure.products:
            if n_terms * math.prod(self._units(part, of_sum=part != parts[-1]) for part in parts) > _EXACT:
                raise ValueError(f"the integers of {' and '.join(parts)} are too large for exact weights")

    def _units(self, part: str, *, of_sum: bool) -> float:
        """Largest magnitude in units of the last binary digit: of its column, or of all that a sum runs over."""
        finer = self.finer[part] if of_sum and self.integers[part].ndim == 2 else 0
        magnitudes = np.ldexp(np.abs(self.integers[part].astype(np.float64)), np.max(finer) - finer)
        return float(magnitudes.max()) * math.ldexp(math.frexp(step_size(self.steps[part]))[0], 3)

    def grid(self, part: str) -> Tensor:
        """Step of every column of a part.

        Parameters
        ----------
        part : str
            Its name.

        Returns
        -------
        Tensor of shape (columns,), float64
            Exact; of shape (1,) unless the part is a matrix.
        """
        return torch.from_numpy(np.ldexp(step_size(self.steps[part]), -self.finer[part]))

    def values(self) -> dict[str, Tensor]:
        """The parts.

        Returns
        -------
        dict of str to Tensor
            Float64, exact.
        """
        return {part: self.grid(part) * torch.from_numpy(k.astype(np.float64)) for part, k in self.integers.items()}

    def weights(self) -> dict[str, Tensor]:
        """The weights of the network.

        Returns
        -------
        dict of str to Tensor
            In the dtypes of the network: the same bits on every machine, see the notes of the class.
        """
        return self.structure.weights(self.values())

    @property
    def ideal_bits(self) -> float:
        """Length of the message short of the coder's end, from counts alone."""
        fields = len(self.steps) * math.log2(N_STEPS)
        return fields + sum(integer_bits(part) for parts in (self.finer, self.integers) for part in parts.values())

    @property
    def bits_at_most(self) -> int:
        """What `n_bits` will not exceed; cheap, for use in a search."""
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
            The one that the message was made with; its values are not needed.

        Returns
        -------
        Description

        Raises
        ------
        ValueError
            If the message ends too early or is out of range, or is not the one that its description has: made with a
            structure of other shapes, or followed by something.
        """
        decoder = Decoder(code, n_bits)
        steps, finer, integers = {}, {}, {}
        for part, shape in structure.shapes.items():
            steps[part] = decoder.uniform(N_STEPS)
            finer[part] = decode_integers(decoder, columns(shape), (part, "finer"))
            integers[part] = decode_integers(decoder, math.prod(shape), part).reshape(shape)
        description = cls(structure, steps, finer, integers)
        if description.message != (code, n_bits):
            raise ValueError("this is no message of the structure, or something follows it")
        return description

    def replaced(self, integers: Mapping[str, Integers]) -> "Description":
        """The same grid with other integers.

        Parameters
        ----------
        integers : mapping of str to ndarray of int64
            In the shapes of the parts.

        Returns
        -------
        Description

        Raises
        ------
        ValueError
            As the class.
        """
        return Description(self.structure, self.steps, self.finer, dict(integers))


def columns(shape: tuple[int, ...]) -> int:
    """Columns of a part that have a grid of their own."""
    return shape[-1] if len(shape) == 2 else 1
