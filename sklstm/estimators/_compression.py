"""From an estimator and its training data to the Occam bound of a network of few bits."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from sklstm._validation import (
    API_PAGE_AT_TOP,
    NON_NEGATIVE_INT,
    OPTIONAL_POSITIVE_INT,
    POSITIVE,
    POSITIVE_INT,
    Numbers,
    Rule,
    check_parameters,
)
from sklstm.generalization import OccamBound, Structure, occam_certificate
from sklstm.generalization.compression._occam import best_codebook
from sklstm.training import SequenceNet
from sklstm.training._fine_tuning import Schedule, SequenceProblem, fine_tuned_certificate
from sklstm.training._inference import BLOCK
from sklstm.training._process import (
    products_in,
    single_threaded_numpy,
    thread_limit,
    threads_for_network,
)
from sklstm.training._train import fresh_network

# The codebook for the trained weights is chosen on a share of the sequences, and at least one block of them.
_SHARE, _FEWEST = 16, BLOCK


class Compression(BaseEstimator):
    r"""How ``generalization_report`` makes a network of few bits for the Occam bound.

    The Occam bound on new data is the loss on the training data plus a price for the bits that describe the network. A
    small network that is trained and rounded for this purpose has a far better bound than the rounded trained network.
    The bound then holds for that small network, ``model.quantized(bound)``, and not for the estimator's own network.
    `fit` does not make it, so ``generalization_bound_`` is without it. Every report makes the same small network again.

    Parameters
    ----------
    hidden_size : int, optional
        Number of units of the compressed network. By default it is that of the estimator, and the compressed network
        starts from the trained weights. Four to eight units suffice for most data, since every further unit makes the
        bound larger.
    rank : int, optional
        Rank of the input matrix, which is then described by two factors. Useful from about 20 channels on.
    subspace : int, optional
        Describe only this many random directions from a random start instead of the weights (Lotfi et al. 2022 [1]_).
        Excludes ``rank``.
    epochs : int, default=40
        Passes over the data before rounding begins.
    stage_epochs : int, default=2
        Passes after each stage of rounding.
    n_stages : int, default=8
        Number of stages of rounding.
    n_starts : int, default=1
        Number of random starts, of which the best is taken. Used if ``hidden_size`` is not the estimator's.
    n_trials : int, default=200
        Number of changes of single integers tried at the end, for each coarseness.
    coarseness : sequence of float, default=(16.0, 32.0)
        Grid sizes to try, between 1e-6 and 1e6, relative to the best grids without further training.
    batch_size : int, default=128
        Number of sequences per step.
    lr : float, default=0.01
        Learning rate before rounding; after it, a third of this.

    See Also
    --------
    PACBayes : A bound for networks with random weights, from two parts of the data.

    Notes
    -----
    Choose all of this before you see the training data, or on other data. If you search with
    ``GridSearchCV(..., {"compression__rank": ...})`` on the same data, the bound no longer holds with its confidence.

    The Occam bound can include the scaling of inputs. This needs a `SequenceScaler` with ``with_mean=False`` before the
    estimator, and nothing else. The report of the pipeline then holds for a network that takes unscaled inputs. A power
    of two for every channel is part of its code. This does not work in a ``subspace``.

    References
    ----------
    .. [1] S. Lotfi et al., "PAC-Bayes compression bounds so tight that they can explain generalization", NeurIPS 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import Compression, NoisyRNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((2000, 6, 2))
    >>> y = X[:, :, 0].sum(axis=1) > 0
    >>> small = Compression(hidden_size=2, epochs=20)
    >>> model = NoisyRNNClassifier(16, max_epochs=5, compression=small, random_state=0).fit(X, y)
    >>> bound = model.generalization_report(X, y)["occam"]
    >>> bool(bound.train_loss < bound.value < 0.5)
    True
    >>> bool(np.mean(model.quantized(bound).predict(X) != y) == bound.train_loss)
    True
    """

    _rules: ClassVar[dict[str, Rule]] = {
        "hidden_size": OPTIONAL_POSITIVE_INT,
        "rank": OPTIONAL_POSITIVE_INT,
        "subspace": OPTIONAL_POSITIVE_INT,
        "epochs": POSITIVE_INT,
        "stage_epochs": POSITIVE_INT,
        "n_stages": POSITIVE_INT,
        "n_starts": POSITIVE_INT,
        "n_trials": NON_NEGATIVE_INT,
        "coarseness": Numbers(low=1e-6, high=1e6),
        "batch_size": POSITIVE_INT,
        "lr": POSITIVE,
    }

    _doc_link_module, _doc_link_template = "sklstm", API_PAGE_AT_TOP

    def __init__(
        self,
        hidden_size: int | None = None,
        *,
        rank: int | None = None,
        subspace: int | None = None,
        epochs: int = 40,
        stage_epochs: int = 2,
        n_stages: int = 8,
        n_starts: int = 1,
        n_trials: int = 200,
        coarseness: Sequence[float] = (16.0, 32.0),
        batch_size: int = 128,
        lr: float = 0.01,
    ) -> None:
        self.hidden_size = hidden_size
        self.rank = rank
        self.subspace = subspace
        self.epochs = epochs
        self.stage_epochs = stage_epochs
        self.n_stages = n_stages
        self.n_starts = n_starts
        self.n_trials = n_trials
        self.coarseness = coarseness
        self.batch_size = batch_size
        self.lr = lr

    def check(self, shape: tuple[int, int, int], hidden_size: int) -> None:
        """Check the parameters.

        Parameters
        ----------
        shape : tuple of int
            Shape of the training data: sequences, steps, channels.
        hidden_size : int
            Number of units of the estimator's network.

        Raises
        ------
        ValueError, TypeError
            If a parameter is out of range or does not fit the network.

        Examples
        --------
        >>> from sklstm import Compression
        >>> Compression(rank=2).check((100, 8, 20), hidden_size=16)  # fits
        >>> Compression(rank=2).check((100, 8, 1), hidden_size=16)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        ValueError: compression: rank=2 is more than the input matrix has. It can be at most 1 with ...
        """
        check_parameters(self, self._rules)
        if self.rank is not None and self.subspace is not None:
            raise ValueError("compression: rank and subspace exclude each other. Set one of them to None.")
        n_features, units = shape[2], int(self.hidden_size or hidden_size)
        largest = min(n_features, units)
        if self.rank is not None and self.rank > largest:
            raise ValueError(
                f"compression: rank={self.rank} is more than the input matrix has. It can be at most {largest} with "
                f"{n_features} channels and {units} units."
            )

        # Counts the input and recurrent matrices alone: the others only add to it.
        Structure.check_subspace(self.subspace, units * (n_features + units))

    @property
    def schedule(self) -> Schedule:
        """The settings of fine-tuning."""
        return Schedule(
            epochs=int(self.epochs),
            stage_epochs=int(self.stage_epochs),
            n_stages=int(self.n_stages),
            batch_size=int(self.batch_size),
            lr=float(self.lr),
            stage_lr=float(self.lr) / 3,
        )


@contextmanager
def _rounding(net: SequenceNet, task: SequenceProblem) -> Iterator[dict[str, Any]]:
    """Arguments of `occam_certificate` for a sample, in arithmetic and with threads that suit the network."""
    n = task.n_samples
    part = max(_FEWEST, n // _SHARE)
    with thread_limit(threads_for_network(net.module_, BLOCK)), products_in("float32", task.device):
        yield {
            "loss": partial(task.bounded_loss, final=True),
            "estimate": partial(task.part(part).bounded_loss, final=True) if part < n else None,
            "n_samples": n,
            "zero_one": task.zero_one,
        }


def occam_value(net: SequenceNet, task: SequenceProblem, *, delta: float) -> float:
    """Value of the Occam bound that `occam_of` computes without a compression, divided by the largest loss.

    Parameters
    ----------
    net : SequenceNet
    task : SequenceProblem
        The problem on the training data.
    delta : float
        What remains of δ after choosing the cap.
    """
    trained = {name: tensor.detach().cpu() for name, tensor in net.module_.state_dict().items()}
    with _rounding(net, task) as sample:
        return best_codebook(trained, **sample, delta=delta).value


def occam_of(
    estimator: Any,
    compression: Compression | None,
    problem: Callable[[nn.Module], SequenceProblem],
    base: Callable[[nn.Module], dict[str, Tensor]],
    *,
    scale: float = 1.0,
    delta_weight: float = 1.0,
    exponents: np.ndarray | None = None,
) -> OccamBound:
    """Occam bound of a fitted estimator: for its rounded weights, or for the result of a compression.

    Parameters
    ----------
    estimator : fitted SequenceEstimator
        An estimator with ``delta`` and ``net_``.
    compression : Compression or None
    problem : callable
        Function from a module to a SequenceProblem on the training data.
    base : callable
        Function from a module to weights that are known without the data, for `Structure`.
    scale, delta_weight : float
        As in `sklstm.generalization.occam_certificate`.
    exponents : ndarray of int of shape (d,), optional
        The problems have every channel divided by a power of two, and the code must hold these exponents. Needs a
        compression, without a subspace.
    """
    net, delta = estimator.net_, estimator.delta
    trained = {name: tensor.detach().cpu() for name, tensor in net.module_.state_dict().items()}
    if compression is None:
        with _rounding(net, problem(net.module_)) as sample:
            return occam_certificate(trained, **sample, delta=delta, scale=scale, delta_weight=delta_weight)
    seed = vars(estimator)["_bound_seed"]
    structure, starts, module = _starts(net, compression, base, trained, seed)
    # Threads as in the network's own training: for small networks a second one has no use, or stalls beside others.
    n_threads = threads_for_network(net.module_, int(compression.batch_size))
    task = problem(module.to(next(net.module_.parameters()).device))
    with thread_limit(n_threads), single_threaded_numpy(), products_in("float32", task.device):
        return fine_tuned_certificate(
            structure,
            starts,
            task,
            rng=np.random.default_rng(seed),
            schedule=compression.schedule,
            coarseness=tuple(map(float, compression.coarseness)),
            n_trials=int(compression.n_trials),
            exponents=None if exponents is None else _of_columns(exponents, starts[0]),
            progress=bool(estimator.verbose),
            delta=delta,
            scale=scale,
            delta_weight=delta_weight,
        )


def _starts(
    net: SequenceNet,
    compression: Compression,
    base: Callable[[nn.Module], dict[str, Tensor]],
    trained: dict[str, Tensor],
    seed: int,
) -> tuple[Structure, list[dict[str, Tensor]], nn.Module]:
    """How the compressed network is described, the weights where fine-tuning starts, and the network itself."""
    own_size = int(net.get_params_for("module")["hidden_size"])
    hidden = int(compression.hidden_size or own_size)
    if hidden == own_size and compression.subspace is None:
        module, starts = net.module_, [trained]
    else:
        fresh = [fresh_network(net, hidden, start) for start in range(seed, seed + int(compression.n_starts))]
        module, starts = fresh[0], [dict(network.state_dict()) for network in fresh]
    if compression.subspace is not None:
        structure = Structure(starts[0], base=starts[0], subspace=compression.subspace, seed=seed)
        return structure, starts[:1], module
    # Of one shape for any number of units: a linear part starts from its trained values.
    shared = {name: weight for name, weight in trained.items() if name.startswith("linear_part")}
    starts = [start | shared for start in starts]
    ranks = {} if compression.rank is None else {_input_matrix(starts[0]): int(compression.rank)}
    return Structure(starts[0], base=base(module), ranks=ranks), starts, module


def _input_matrix(weights: dict[str, Tensor]) -> str:
    return next(name for name in weights if name.endswith("weight_ih_l0"))


def _of_columns(exponents: np.ndarray, weights: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """The exponents of channels, repeated for the columns of all matrices that read inputs, in time-major order."""
    readers = [_input_matrix(weights), *(name for name in weights if name.startswith("linear_part"))]
    return {name: np.tile(exponents, weights[name].shape[1] // len(exponents)) for name in readers}
