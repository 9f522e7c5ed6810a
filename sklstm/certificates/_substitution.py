r"""Backward substitution: bounds on sums of states from the planes around every step.

Take a sum :math:`\sum_j c_j h_j` of the states after a step. With the planes of `_planes` it is bounded by a sum of the
pre-activations and of the states before the step. Through the weights, this is a sum of earlier states and inputs. This
goes on until only inputs are left, whose box is known (Zhang et al. 2018; Xu et al. 2020). Common parts of two values
cancel in these sums. The pre-activations of every step and the states that a cell passes on are bounded in the same
way. The narrower they are, the closer are the planes. These are many values and use parallel planes. The few outputs
use the closest ones. Where this leaves wide bounds, the values use the closest planes too, at more than twice the cost.

Every sum is a column of coefficients, and many columns are substituted at once. Each holds for the network in exact
arithmetic and for the network evaluated in the dtype of the weights. The rounding errors, of the network and of the
coefficients here, are in the constants of the planes. `_interval_arithmetic` states what is assumed about rounding.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from ._interval_arithmetic import Ends, dot_slack
from ._plane_layers import PlaneLayer
from ._planes import DOUBLE, intersect

_SHALLOW, _DEEP = 2, 64  # steps of substitution, after which the intervals of the states are used
_LOOK = 4  # steps between two checks of the remainder
_NEGLIGIBLE = 0.01  # largest share of a width for the remainder before the intervals are used instead
_PART = 0.001  # share of the width of an output below which steps do not matter
_TOGETHER = 16  # columns end in blocks of this size, so that few shapes need memory


class Substitution:
    """Boxes of inputs passing through the layers, with planes around every step.

    Parameters
    ----------
    layers : sequence of PlaneLayer
    box : Tensor of shape (2, L, d, n)
        Ball of the inputs.
    begun : list of int, optional
        As in `EnclosedLayer.forward`.

    Attributes
    ----------
    by_inputs : Tensor of shape (n, k), float64
        Set by `bounds`: the part of the bounds that comes from the inputs, without the distances of the planes.
    mattering : Tensor of int64 of shape (n,)
        Set by `bounds`: for how many of the last steps narrower planes could narrow the bounds.
    """

    by_inputs: Tensor
    mattering: Tensor

    def __init__(self, layers: Sequence[PlaneLayer], box: Tensor, begun: list[int] | None = None):
        _, self.n_steps, _, self.n = box.shape
        self.layers, self.box, self.begun = layers, box, begun
        self.deep: Tensor | None = None
        # The constants are added in float64, some numbers in every layer and step.
        self.slack = dot_slack(6 * self.n_steps * len(layers), DOUBLE)
        slack = dot_slack(box.shape[2], torch.finfo(box.dtype).eps / 2) + self.slack
        self.radius = ((1 + slack) * box[1]).transpose(1, 2)[..., None].contiguous()  # (L, n, d, 1)
        self.underflow = box.new_zeros(self.n, 1, dtype=torch.float64)

        for layer in self.layers:
            layer.start(self.n_steps, self.n, self.slack)
        self.before = [[(layer.state, layer.reference) for layer in self.layers]]

    def forward(self, deep: Tensor | None = None, *, closely: bool = False) -> Tensor:
        """Planes of every step, from values that are substituted some steps, or as far back as matters.

        Parameters
        ----------
        deep : Tensor of int64 of shape (n,), optional
            How many of the last steps of each box have their values substituted as far back as matters. Earlier steps
            keep their planes from a first pass, if there was one.
        closely : bool
            Whether values within the network use the closest planes instead of parallel ones.

        Returns
        -------
        reference : Tensor of shape (n, H), float64
            The last state of the top layer at the centre of the boxes.
        """
        first, self.deep, self.closely = 0, deep, closely
        if closely:
            for layer in self.layers:
                layer.use_closest()
        elif deep is not None:
            first = min(self.n_steps - int(deep.max()), len(self.before) - 1)
        for layer, before in zip(self.layers, self.before[first], strict=True):
            layer.state, layer.reference = before
        del self.before[first + 1 :]
        for t in range(first, self.n_steps):
            reference, radius = self.box[:, t].double()
            ends = Ends(reference - radius, reference + radius)
            for index, layer in enumerate(self.layers):
                if t and self.begun is not None:
                    layer.begin(slice(self.begun[t - 1], self.begun[t]))
                size = layer.advance(t, ends, reference, partial(self._narrow, index, t))
                self.underflow += torch.finfo(self.box.dtype).tiny * (size + 32 * len(layer.weights))[:, None]
                ends, reference = layer.state[0], layer.reference[0]
            self.before.append([(layer.state, layer.reference) for layer in self.layers])
        return reference.T

    def _narrow(self, index: int, t: int, ends: Ends, at: Tensor, rounding: Tensor | None) -> Ends:
        layer = self.layers[index]
        if rounding is None:
            own = layer.own_columns_closely(t) if self.closely else layer.own_columns(t)
            below, centre, radius, others = self._parts(own)
        else:
            signs = (1, -1) if self.closely else (1,)
            below = torch.cat([sign * layer.down for sign in signs], 2).repeat(self.n, 1, 1)
            others = list(layer.start_back(torch.zeros_like(below[:, : layer.size])))[1:]
            radius = rounding.T.repeat(1, len(signs))
            centre = torch.zeros_like(radius)
        deep = None if self.deep is None else self.n_steps - t <= self.deep
        centre, radius = (part.T for part in self._descend(index, t, below, others, centre, radius, deep))
        radius = radius + 8 * DOUBLE * (radius + 2 * centre.abs() + at.abs())
        return intersect(ends, Ends(at + centre - radius, at + centre + radius))

    def _parts(self, found: tuple[Tensor, Tensor, list[Tensor]]) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """Coefficients, constants, their radii and the rest of the state, from either kind of planes.

        With the closest planes, every sum has an upper bound of its own: its constant is a radius around 0.
        """
        below, apart, others = found
        if self.closely:
            return below, torch.zeros_like(apart, dtype=torch.float64), apart.double(), others
        return below[:, :-1], below[:, -1].double(), apart.double(), others

    def bounds(self, weight: Tensor, of_inputs: Tensor) -> Tensor:
        """Upper bounds on sums of the last states of the top layer and of inputs, as deviations from the centre.

        Parameters
        ----------
        weight : Tensor of shape (n, k, H)
        of_inputs : Tensor of shape (n, k, q, d)
            Coefficients of the inputs of the last q steps.

        Returns
        -------
        upper : Tensor of shape (n, k), float64
        """
        total = weight.new_zeros(*weight.shape[:2], dtype=torch.float64)
        top = len(self.layers) - 1
        self.by_inputs, so_far = torch.zeros_like(total), total.new_empty(self.n_steps, self.n)
        adjoints: list[tuple[Tensor, ...]] = [()] * top
        adjoints.append(self.layers[top].start_back(weight.transpose(1, 2).contiguous()))
        for step in range(self.n_steps - 1, -1, -1):
            by_input = weight.new_empty(0)
            for k in range(top, -1, -1):
                layer = self.layers[k]
                adjoint = adjoints[k]
                if k < top:  # from the layer above
                    adjoint = (adjoint[0] + by_input, *adjoint[1:]) if adjoint else layer.start_back(by_input)
                below, constants, others = layer.substitute_closely(step, adjoint)
                by_h, by_input = below[:, : layer.size], below[:, layer.size :]
                total += constants
                adjoints[k] = (by_h, *others)
            if self.n_steps - step <= of_inputs.shape[2]:
                by_input = by_input + of_inputs[:, :, step - self.n_steps].transpose(1, 2)
            spread = (by_input.abs() * self.radius[step]).sum(1)
            total += spread
            self.by_inputs += spread
            so_far[step] = total.sum(1)
            if step:
                self._begin(step, adjoints)
        total += self.underflow
        # Infinite values and NaN matter; and the planes of a step depend on earlier steps, too.
        mattering = 1 + (~(so_far >= (1 - _PART) * so_far[0])).sum(0)
        self.mattering = (2 * mattering + _DEEP).clamp_max(self.n_steps)
        return total.masked_fill_(~total.isfinite(), torch.inf)

    def _begin(self, step: int, adjoints: list[tuple[Tensor, ...]]) -> None:
        """Drop the coefficients of states before the first step of a sequence, which are zero."""
        if self.begun is not None and self.begun[step - 1] < self.n:
            for part in (part for adjoint in adjoints for part in adjoint):
                part[self.begun[step - 1] :] = 0

    def _descend(
        self,
        index: int,
        t: int,
        below: Tensor,
        others: list[Tensor],
        centre: Tensor,
        radius: Tensor,
        deep: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Centres and radii (n, m) of sums of the values below layer ``index`` and before step t.

        ``below`` and ``others`` are coefficients from `PlaneLayer.substitute` at this step; ``centre`` and ``radius``
        have the constants. A sum ends where the rest does not matter, and early for boxes that are not ``deep`` (n,).
        With the closest planes there are 2 m columns: the second half are the negatives of the first.
        """
        halves = 2 if self.closely else 1
        adjoints: list[tuple[Tensor, ...]] = [()] * (index + 1)
        found, columns = torch.stack((centre, radius)), torch.arange(centre.shape[1], device=centre.device)
        unfinished = torch.ones_like(centre, dtype=torch.bool)
        by_input = below[:, self.layers[index].size :]
        for step in range(t, -1, -1):
            for k in range(index, -1, -1):
                layer = self.layers[k]
                if step < t or k < index:
                    adjoint = adjoints[k]
                    if k < index:  # from the layer above
                        adjoint = (adjoint[0].add_(by_input), *adjoint[1:]) if adjoint else layer.start_back(by_input)
                    through = layer.substitute_many_closely if self.closely else layer.substitute
                    below, shift, apart, others = self._parts(through(step, adjoint))
                    centre += shift
                    radius += apart
                by_h, by_input = below[:, : layer.size], below[:, layer.size :]
                adjoints[k] = (by_h, *others)
            radius += (by_input.abs() * self.radius[step]).sum(1)
            if not step:
                self._settle(found, columns, unfinished, centre, radius)
                break
            self._begin(step, adjoints)
            depth = t - step + 1
            if depth == _SHALLOW or not depth % _LOOK:
                rest, spread = self._rest(step, adjoints)
                self._settle(found, columns, unfinished, centre + rest, radius + spread)
                if deep is None or depth >= _DEEP:
                    break
                width = 2 * (radius + spread)
                if self.closely:  # a bound and that of its negative; the share is that of the larger rest
                    width = (centre + rest + radius + spread).unflatten(1, (2, -1)).sum(1).repeat(1, 2)
                    spread = spread.unflatten(1, (2, -1)).amax(1).repeat(1, 2)
                unfinished &= (spread > _NEGLIGIBLE * width) & deep[:, None]
                n_columns = len(columns) // halves
                wanted = unfinished[:, :n_columns].any(0)
                n_kept = -(-int(wanted.count_nonzero()) // _TOGETHER) * _TOGETHER
                if not n_kept:
                    break
                if n_kept < n_columns:
                    kept = wanted.sort(descending=True, stable=True).indices[:n_kept]
                    kept = torch.cat([kept + part * n_columns for part in range(halves)])
                    columns, unfinished = columns[kept], unfinished[:, kept]
                    centre, radius = centre[:, kept], radius[:, kept]
                    adjoints = [tuple(part.index_select(2, kept) for part in adjoint) for adjoint in adjoints]
        if self.closely:
            above, under = found.sum(0).chunk(2, 1)
            found = torch.stack(((above - under) / 2, (above + under) / 2))
        found[1] += self.underflow
        found[1].masked_fill_(~found.isfinite().all(0), torch.inf)
        found[0].nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)
        return found[0], found[1]

    @staticmethod
    def _settle(found: Tensor, columns: Tensor, unfinished: Tensor, centre: Tensor, radius: Tensor) -> None:
        for old, new in zip(found, (centre, radius), strict=True):
            old[:, columns] = torch.where(unfinished, new, old[:, columns])

    def _rest(self, t: int, adjoints: list[tuple[Tensor, ...]]) -> tuple[Tensor, Tensor]:
        """Centres and radii (n, m) of sums of the states before a step, by their intervals."""
        centres, radii = [], []
        for layer, adjoint in zip(self.layers, adjoints, strict=False):
            for part, (centre, radius) in zip(adjoint, layer.balls[t], strict=True):
                centres.append(torch.bmm(centre, part)[:, 0].double())
                radii.append(torch.bmm(radius, part.abs())[:, 0].double())
        return sum(centres[1:], centres[0]), sum(radii[1:], radii[0])
