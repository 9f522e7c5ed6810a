"""From an estimator and its training data to the PAC-Bayes bound and its stochastic predictor."""

import copy
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, is_classifier
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sklstm._validation import (
    API_PAGE_AT_TOP,
    NON_NEGATIVE_INT,
    POSITIVE,
    POSITIVE_INT,
    Number,
    Numbers,
    Rule,
    Seed,
    check_parameters,
    fresh_random_state,
)
from sklstm.generalization import PACBayesBound
from sklstm.training import SequenceNet
from sklstm.training._fine_tuning import SequenceProblem
from sklstm.training._gaussian_weights import BLOCK, PosteriorSchedule, pac_bayes_certificate
from sklstm.training._process import (
    products_in,
    restores_settings,
    single_threaded_numpy,
    thread_limit,
    threads_for_network,
)

_FEWEST = 2  # sequences on either side


class PACBayes(BaseEstimator):
    r"""How ``generalization_report`` makes a stochastic predictor and its PAC-Bayes bound instead of the Occam bound.

    One part of the data, drawn at random, trains a network as `fit` does. The prior is a Gaussian around its weights.
    On the other part a Gaussian posterior is trained, starting from the prior, so that the bound becomes small. The
    bound holds for a predictor that draws its weights from the posterior for every prediction,
    ``model.stochastic(bound)``. It does not hold for the estimator's own network. `fit` does not make this predictor;
    every report makes the same one again.

    Parameters
    ----------
    prior_fraction : float, default=0.5
        Share of the sequences that train the prior. The bound is computed on the others.
    scales : sequence of float, default=(0.125, 0.0625, 0.03125, 0.015625)
        Standard deviations of the prior's weights to try, between 1e-6 and 1e6, relative to the root mean square of
        each tensor of weights. A posterior is trained for each, and δ is divided among them.
    epochs : int, default=20
        Passes over the other part for each posterior. With 0 the posterior is the prior.
    batch_size : int, default=64
        Number of sequences per step.
    lr : float, default=0.03
        Learning rate, in units of the prior's standard deviations.
    n_draws : int, default=10_000
        Number of networks drawn to estimate the mean loss of the posterior, at least 2. With fewer the bound is larger,
        with more it takes longer.

    See Also
    --------
    Compression : The same for the Occam bound, whose predictor is not random.

    Notes
    -----
    The bound accounts for everything chosen on its part of the data: the posterior and the scale of the prior. It also
    accounts for the mean loss, which is known from draws only. Choose the settings above before you see the data, or on
    other data.

    Weights of sequences and classes are not used: the bound is about the plain mean of losses, and the prior is trained
    for it. If ``loss_cap`` is None, the cap of a regression loss is chosen on the part of the prior.

    References
    ----------
    .. [1] G. K. Dziugaite, D. M. Roy, "Computing nonvacuous generalization bounds for deep (stochastic) neural networks
       with many more parameters than training data", UAI 2017.
    .. [2] A. Maurer, "A note on the PAC Bayesian theorem", arXiv:cs/0411099, 2004.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import NoisyRNNClassifier, PACBayes
    >>> X = np.random.default_rng(0).standard_normal((2000, 6, 2))
    >>> y = X[:, :, 0].sum(axis=1) > 0
    >>> settings = PACBayes(epochs=2, n_draws=500)
    >>> model = NoisyRNNClassifier(8, lr=0.01, max_epochs=10, compression=settings, random_state=0).fit(X, y)
    >>> bound = model.generalization_report(X, y)["pac_bayes"]
    >>> bool(bound.mean_loss < bound.value < 0.25)
    True
    >>> stochastic = model.stochastic(bound)
    >>> bool(np.mean(stochastic.sample(X, random_state=0) != y) < bound.value)
    True
    """

    _rules: ClassVar[dict[str, Rule]] = {
        "prior_fraction": Number(Real, 0, 1, "neither"),
        "scales": Numbers(low=1e-6, high=1e6),
        "epochs": NON_NEGATIVE_INT,
        "batch_size": POSITIVE_INT,
        "lr": POSITIVE,
        "n_draws": Number(Integral, 2, None),
    }

    _doc_link_module, _doc_link_template = "sklstm", API_PAGE_AT_TOP

    def __init__(
        self,
        prior_fraction: float = 0.5,
        *,
        scales: Sequence[float] = (0.125, 0.0625, 0.03125, 0.015625),
        epochs: int = 20,
        batch_size: int = 64,
        lr: float = 0.03,
        n_draws: int = 10_000,
    ) -> None:
        self.prior_fraction = prior_fraction
        self.scales = scales
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.n_draws = n_draws

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
            If a parameter is out of range, or leaves too few sequences on one side.

        Examples
        --------
        >>> from sklstm import PACBayes
        >>> PACBayes(0.5).check((100, 8, 1), hidden_size=16)
        >>> PACBayes(0.999).check((100, 8, 1), hidden_size=16)
        Traceback (most recent call last):
            ...
        ValueError: compression: prior_fraction=0.999 leaves 100 and 0 of 100 sequences to prior and bound; each needs 2
        """
        check_parameters(self, self._rules)
        n_prior = self._n_prior(shape[0])
        if min(n_prior, shape[0] - n_prior) < _FEWEST:
            raise ValueError(
                f"compression: prior_fraction={self.prior_fraction} leaves {n_prior} and {shape[0] - n_prior} of "
                f"{shape[0]} sequences to prior and bound; each needs {_FEWEST}"
            )

    def _n_prior(self, n_samples: int) -> int:
        return round(float(self.prior_fraction) * n_samples)

    def parts(self, n_samples: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Positions of the sequences that train the prior, and of the others, drawn at random.

        Parameters
        ----------
        n_samples : int
            Total number of sequences.
        rng : numpy Generator
            Generator with a seed that was fixed without the data.

        Returns
        -------
        prior : ndarray of int64
            Positions in ascending order.
        others : ndarray of int64
            Positions in ascending order.

        Examples
        --------
        >>> import numpy as np
        >>> from sklstm import PACBayes
        >>> prior, others = PACBayes(0.3).parts(10, np.random.default_rng(0))
        >>> len(prior), sorted({*prior.tolist(), *others.tolist()}) == list(range(10))
        (3, True)
        """
        order = rng.permutation(n_samples)
        n_prior = self._n_prior(n_samples)
        return np.sort(order[:n_prior]), np.sort(order[n_prior:])

    @property
    def schedule(self) -> PosteriorSchedule:
        """The settings for training posteriors."""
        return PosteriorSchedule(
            scales=tuple(map(float, self.scales)),
            epochs=int(self.epochs),
            batch_size=int(self.batch_size),
            lr=float(self.lr),
            n_draws=int(self.n_draws),
        )


def pac_bayes_of(
    settings: PACBayes,
    prior: SequenceNet,
    problem: SequenceProblem,
    rng: np.random.Generator,
    *,
    n_prior: int,
    delta: float,
    scale: float,
    progress: bool,
) -> PACBayesBound:
    """PAC-Bayes bound around a net that was trained on one part of the data, from the other part.

    Parameters
    ----------
    settings : PACBayes
    prior : SequenceNet
    problem : SequenceProblem
        The problem on the other part.
    rng : numpy Generator
    n_prior : int
        Number of sequences that the net was trained on.
    delta, scale : float
        As in `PACBayesBound`.
    progress : bool

    Returns
    -------
    PACBayesBound
    """
    n_threads = threads_for_network(prior.module_, max(BLOCK, int(settings.batch_size)))
    with thread_limit(n_threads), single_threaded_numpy(), products_in("float32", problem.device):
        return pac_bayes_certificate(
            dict(problem.module.named_parameters()),
            problem,
            schedule=settings.schedule,
            rng=rng,
            n_prior=n_prior,
            delta=delta,
            scale=scale,
            progress=progress,
        )


class StochasticPredictor:
    """The predictor that a PAC-Bayes bound holds for: networks with weights drawn from the posterior.

    ``model.stochastic(bound)`` makes it.

    Parameters
    ----------
    estimator : fitted estimator
        An estimator of this package. It is not changed.
    bound : PACBayesBound
        ``generalization_report(X, y)["pac_bayes"]`` of this estimator.

    Attributes
    ----------
    bound : PACBayesBound

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If `bound` is a bound of another type.
    ValueError
        If the bound comes from other training data, or from a network of another kind or with other numbers of channels
        or outputs.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm import PACBayes, TikhonovLSTMRegressor
    >>> X = np.random.default_rng(0).standard_normal((300, 5, 1))
    >>> y = X[:, -1, 0]
    >>> settings = PACBayes(epochs=2, n_draws=100)
    >>> model = TikhonovLSTMRegressor(4, max_epochs=3, compression=settings, random_state=0).fit(X, y)
    >>> stochastic = model.stochastic(model.generalization_report(X, y)["pac_bayes"])
    >>> mean, one = stochastic.predict(X), stochastic.sample(X, random_state=1)
    >>> mean.shape, one.shape, bool((mean != one).any())
    ((300,), (300,), True)
    """

    def __init__(self, estimator: Any, bound: Any) -> None:
        check_is_fitted(estimator)
        if not isinstance(bound, PACBayesBound):
            raise TypeError(
                "bound must be the PAC-Bayes bound of this estimator, generalization_report(X, y)['pac_bayes'] with "
                f"compression=PACBayes(...); got {bound!r:.80}."
            )
        own = estimator.net_.module_
        known = vars(estimator)
        digest = None if "_quantized_cap" in known else known.get("_data_digest")
        if _ends(own) != _ends(bound.network) or bound.source not in ("", digest):
            raise ValueError(
                f"bound is from other data or about another network than this {type(estimator).__name__}. Take it "
                "from generalization_report(X, y) of this estimator."
            )
        self.bound = bound
        self._model = copy.copy(estimator)
        device = next(own.parameters()).device
        self._model._set_fitted(estimator.net_.twin(copy.deepcopy(bound.network).to(device)))

    @restores_settings
    def sample(self, X: Any, *, random_state: Any = None) -> NDArray[Any]:
        """Predictions of one network, whose weights are drawn from the posterior.

        The bound holds for the expected loss of such a prediction.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            As in ``predict`` of the estimator.
        random_state : int, RandomState or None, default=None
            Random seed of the draw; None draws another network in every call.

        Returns
        -------
        ndarray
            As in ``predict`` of the estimator: labels (n,), or values in the shape of y.

        Raises
        ------
        NonFiniteOutputError
            If an output of the network is infinite or NaN.
        """
        return self._drawn(X, _generator(random_state))

    @restores_settings
    def predict(self, X: Any, *, n_draws: int = 100, random_state: Any = 0) -> NDArray[Any]:
        """Mean prediction of several networks drawn from the posterior; for a classifier their most frequent label.

        If such a vote is wrong, at least half of the networks are wrong. So its error probability is at most twice the
        bound. There is no such limit for the capped loss of a mean.

        Parameters
        ----------
        X : array-like of shape (n, L', d) or (n, L * d), DataFrame, or list of n arrays (L_i, d)
            As in ``predict`` of the estimator.
        n_draws : int, default=100
            Number of networks to draw.
        random_state : int, RandomState or None, default=0
            Random seed of the draws.

        Returns
        -------
        ndarray
            As in ``predict`` of the estimator: labels (n,), or values in the shape of y.

        Raises
        ------
        NonFiniteOutputError
            If an output of a network is infinite or NaN.
        """
        POSITIVE_INT.check("n_draws", n_draws)
        generator = _generator(random_state)
        if not is_classifier(self._model):
            total = self._drawn(X, generator)
            for _ in range(int(n_draws) - 1):
                total = total + self._drawn(X, generator)
            return total / int(n_draws)
        classes = self._model.classes_
        votes = 0
        for _ in range(int(n_draws)):
            votes = votes + (self._drawn(X, generator)[:, None] == classes)
        return classes[np.argmax(votes, axis=1)]

    def _drawn(self, X: Any, generator: torch.Generator) -> NDArray[Any]:
        module = self._model.net_.module_
        module.load_state_dict(self.bound.posterior.draw(generator, next(module.parameters()).dtype))
        return self._model.predict(X)


def _ends(network: nn.Module) -> tuple[type, str | None, int, int]:
    """Kind, activation if it can vary, channels and outputs of a network."""
    shapes = {name: weight.shape for name, weight in network.named_parameters()}
    n_features = next(shape[1] for name, shape in shapes.items() if name.endswith("weight_ih_l0"))
    return type(network), getattr(network, "cell", None), n_features, shapes["readout.weight"][0]


def _generator(random_state: Any) -> torch.Generator:
    Seed().check("random_state", random_state)
    return torch.Generator().manual_seed(int(fresh_random_state(random_state).randint(2**31 - 1)))
