r"""A Gaussian posterior of a network's weights that lowers the PAC-Bayes bound, and losses of networks from it.

**Prior.** Its means are a network trained on other data. Its deviations are one scale times the root mean square of
each tensor of weights. Several scales are tried.

**Posterior.** Means and deviations are trained from those of the prior, in units of its deviations. One network is
drawn for every batch. Its gradient is that of the means, and noise times its gradient is that of the deviations
(reparametrisation). The objective is the mean of a smooth loss plus :math:`\mathrm{KL}/(n\lambda)`. λ is the best in
:math:`\hat\ell/(1-\lambda/2) + (\mathrm{KL} + \ln(2\sqrt n/\delta))/(n\lambda(1-\lambda/2))`, which is never below the
bound (Thiemann et al. 2017, Theorem 3), for the loss and divergence of the prior.
"""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from sklstm.exceptions import DivergenceError
from sklstm.generalization import GaussianWeights, PACBayesBound, pac_bayes_bound
from sklstm.generalization._pac_bayes import pac_bayes_of_draws

from ._batches import SequenceDataset
from ._fine_tuning import MeanLoss, SequenceProblem, Tick, outputs_with
from ._net import Penalty
from ._train import NetworkSpec, Seeds, TrainingSpec, train

# Number of sequences on which every drawn network is tried. For a given number of draws the limit falls with more of
# them, since a mean of more losses varies less; the time grows.
BLOCK = 32
# Networks whose sequences are read, and whose losses are computed, in one piece.
_AT_A_TIME = 32
# One of this many draws is for the choice among posteriors.
_FOR_CHOICE = 20
# A tensor may have a root mean square below this share of that of all weights, for instance zero biases. Its deviations
# are then as if it were this large.
_SMALLEST = 1e-2


@dataclass(frozen=True)
class PosteriorSchedule:
    """How posteriors are trained and tried.

    Attributes
    ----------
    scales : tuple of float
        Scales of the prior's deviations, each a candidate.
    epochs : int
        Passes over the data for each; with 0 the posterior is the prior.
    batch_size : int
    lr : float
        Learning rate of Adam, in units of the prior's deviations. It falls to almost a hundredth along a half cosine.
    n_draws : int
        Number of networks drawn for the bound, at least 2.
    """

    scales: tuple[float, ...]
    epochs: int
    batch_size: int
    lr: float
    n_draws: int


class GaussianNetwork(nn.Module):
    """A network that draws new weights in every forward pass; means and deviations are trained.

    Parameters
    ----------
    prior : GaussianWeights
    network : nn.Module
        A network in training mode. Only its forward pass is used; its weights are not changed.
    seed : int
        Random seed of the draws.
    """

    def __init__(self, prior: GaussianWeights, network: nn.Module, seed: int):
        super().__init__()
        self.networks = (network,)  # in a tuple, where torch does not look for weights to train
        self.prior, self.names = prior, tuple(prior.mean)
        like = dict(network.named_parameters())
        self.generator = torch.Generator().manual_seed(seed)
        self.shifts = nn.ParameterList(torch.zeros_like(like[name]) for name in self.names)
        self.log_ratios = nn.ParameterList(torch.zeros_like(like[name]) for name in self.names)
        for kind, parts in (("mean", prior.mean), ("unit", prior.deviation)):
            for place, name in enumerate(self.names):
                self.register_buffer(f"{kind}_{place}", parts[name].to(like[name]))

    def forward(self, X: Tensor, **inputs: Tensor) -> Tensor:
        weights = {}
        for place, (name, shift, ratio) in enumerate(zip(self.names, self.shifts, self.log_ratios, strict=True)):
            # Drawn on the CPU, the same for any device.
            noise = torch.randn(shift.shape, generator=self.generator, dtype=shift.dtype).to(shift.device)
            mean, unit = self.get_buffer(f"mean_{place}"), self.get_buffer(f"unit_{place}")
            weights[name] = mean + unit * (shift + ratio.exp() * noise)
        return outputs_with(self.networks[0], weights, {"X": X, **inputs})

    def divergence(self) -> Tensor:
        """KL from the prior, differentiable."""
        parts = zip(self.shifts, self.log_ratios, strict=True)
        each = [(u.square() + (2 * r).exp() - 1 - 2 * r).sum() / 2 for u, r in parts]
        return torch.stack(each).sum()

    def weights(self) -> GaussianWeights:
        """The posterior."""
        parts = list(zip(self.names, self.shifts, self.log_ratios, strict=True))
        prior, where = self.prior, "cpu"
        with torch.no_grad():
            mean = {name: prior.mean[name] + prior.deviation[name] * u.to(where).double() for name, u, _ in parts}
            deviation = {name: prior.deviation[name] * r.to(where).double().exp() for name, _, r in parts}
        return GaussianWeights(mean, deviation)


class _Divergence(Penalty):
    """The divergence times a factor."""

    def __init__(self, factor: float):
        self.factor = factor

    def __call__(self, module: nn.Module) -> float:
        if not isinstance(module, GaussianNetwork):
            raise TypeError(f"the divergence is that of a GaussianNetwork, got {type(module).__name__}")
        value = self.factor * module.divergence()
        value.backward()  # type: ignore[no-untyped-call]
        return value.item()


def gaussian_prior(trained: Mapping[str, Tensor], scale: float) -> GaussianWeights:
    """Normal weights around trained ones, with deviations relative to the size of each tensor.

    Parameters
    ----------
    trained : mapping of str to Tensor
    scale : float
        Deviation divided by the root mean square of the tensor.

    Returns
    -------
    GaussianWeights

    Raises
    ------
    ValueError
        If a weight is not finite.
    """
    mean = {name: tensor.detach().cpu().double() for name, tensor in trained.items()}
    n_weights = sum(part.numel() for part in mean.values())
    overall = math.sqrt(sum(float(part.square().sum()) for part in mean.values()) / n_weights) or 1.0
    sizes = {name: max(float(part.square().mean().sqrt()), _SMALLEST * overall) for name, part in mean.items()}
    return GaussianWeights(mean, {name: torch.full_like(part, scale * sizes[name]) for name, part in mean.items()})


def drawn_losses(
    weights: GaussianWeights,
    problem: SequenceProblem,
    n_draws: int,
    rng: np.random.Generator,
    tick: Callable[[int], None] = lambda number: None,
) -> Tensor:
    """Losses (n_draws,) of networks, each drawn independently and tried on sequences drawn with replacement.

    They are independent, and the expectation of each is the posterior's mean loss on the whole sample.
    """
    generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
    dtype = next(problem.module.parameters()).dtype
    losses = []
    for start in range(0, n_draws, _AT_A_TIME):
        rows = torch.from_numpy(rng.integers(problem.n_samples, size=(min(_AT_A_TIME, n_draws - start), BLOCK)))
        drawn = (weights.draw(generator, dtype) for _ in rows)
        losses.append(problem.losses_on(drawn, rows).cpu())
        tick(len(rows))
    return torch.cat(losses)


def trained_posterior(
    prior: GaussianWeights,
    problem: SequenceProblem,
    schedule: PosteriorSchedule,
    rng: np.random.Generator,
    *,
    factor: float,
    tick: Callable[[], None] = lambda: None,
) -> GaussianWeights:
    """Train means and deviations from those of the prior.

    Parameters
    ----------
    prior : GaussianWeights
    problem : SequenceProblem
        A problem whose smooth loss is minimised.
    schedule : PosteriorSchedule
        A schedule with at least one epoch.
    rng : numpy Generator
        Source of the seeds.
    factor : float
        Factor of the divergence.
    tick : callable
        Called after every epoch.

    Returns
    -------
    GaussianWeights
        The posterior. If the training diverges, that of its last good epoch, or the prior.
    """
    arguments = {
        "prior": prior,
        "network": copy.deepcopy(problem.trainable),
        "seed": int(rng.integers(2**63)),
    }
    spec = TrainingSpec(
        network=NetworkSpec(GaussianNetwork, arguments),
        loss=partial(MeanLoss, problem.smooth),
        penalty=partial(_Divergence, factor),
        lr=schedule.lr,
        lr_schedule="cosine",
        clip_norm=1.0,
        max_epochs=schedule.epochs,
        batch_size=schedule.batch_size,
        callbacks=(Tick(tick),),
        device=problem.device,
        seeds=Seeds(batches=int(rng.integers(2**63))),
    )
    try:
        net = train(spec, SequenceDataset(problem.X, problem.y))
    except DivergenceError as error:
        if error.net is None:
            return prior
        net = error.net
    return net.module_.weights()


def pac_bayes_certificate(
    trained: Mapping[str, Tensor],
    problem: SequenceProblem,
    *,
    schedule: PosteriorSchedule,
    rng: np.random.Generator,
    n_prior: int,
    delta: float = 0.05,
    scale: float = 1.0,
    progress: bool = False,
) -> PACBayesBound:
    """PAC-Bayes bound of the best posterior that is found around trained weights.

    Parameters
    ----------
    trained : mapping of str to Tensor
        Weights that were trained on other data.
    problem : SequenceProblem
        The sample of the bound, and its losses.
    schedule : PosteriorSchedule
        A schedule that was fixed before the sample is seen.
    rng : numpy Generator
        Source of all random numbers.
    n_prior : int
        Number of samples that the weights were trained on.
    delta : float, default=0.05
        The bound holds with probability at least ``1 - delta``.
    scale : float, default=1.0
        Largest possible loss.
    progress : bool, default=False
        Show a progress bar.

    Returns
    -------
    PACBayesBound

    Notes
    -----
    The theorem holds for all posteriors of a prior at once, and δ is divided among the priors. The choice is made with
    other draws than those of the bound.
    """
    n, n_trials = problem.n_samples, max(2, schedule.n_draws // _FOR_CHOICE)
    n_priors = len(schedule.scales)
    passes = n_priors * (schedule.epochs + n_trials * (2 if schedule.epochs else 1)) + schedule.n_draws
    with tqdm(total=passes, desc="PAC-Bayes bound", unit="pass", disable=not progress) as bar:

        def tick(number: int = 1) -> None:
            bar.update(number)

        found: list[tuple[float, int, GaussianWeights, GaussianWeights]] = []

        def enter(posterior: GaussianWeights, prior: GaussianWeights) -> float:
            loss = float(drawn_losses(posterior, problem, n_trials, rng, tick).mean())
            value = pac_bayes_bound(loss, posterior.divergence(prior), n, delta=delta / n_priors)
            found.append((value, len(found), posterior, prior))
            return loss

        for relative in schedule.scales:
            prior = gaussian_prior(trained, relative)
            loss = enter(prior, prior)
            if schedule.epochs:
                factor = _price_of_divergence(loss, n, delta / n_priors)
                enter(trained_posterior(prior, problem, schedule, rng, factor=factor, tick=tick), prior)
        _, _, posterior, prior = min(found)
        losses = drawn_losses(posterior, problem, schedule.n_draws, rng, tick)
    network = copy.deepcopy(problem.module).cpu()
    network.load_state_dict(dict(trained))
    return pac_bayes_of_draws(
        losses, posterior, prior, network,
        n_samples=n, n_prior=n_prior, n_priors=n_priors, delta=delta, scale=scale, zero_one=problem.zero_one,
    )  # fmt: skip


def _price_of_divergence(loss: float, n: int, delta: float) -> float:
    """1/(nλ), with the best λ for this mean loss (Thiemann et al. 2017, equation 8) and no divergence yet."""
    nats = math.log(2) + math.log(n) / 2 - math.log(delta)
    best = 2 / (math.sqrt(2 * n * max(loss, 1 / n) / nats) + 1)
    return 1 / (n * best)
