"""What both estimators share: hyperparameter rules, and the road from validated arrays to a trained net."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from skorch.helper import predefined_split
from torch import Tensor, nn

from sklstm._validation import (
    FLAG,
    LEVEL,
    NON_NEGATIVE,
    OPTIONAL_POSITIVE,
    POSITIVE,
    POSITIVE_INT,
    PROBABILITY,
    SMALL_PROBABILITY,
    Choice,
    Device,
    Instance,
    Rule,
    Seed,
    as_sequences,
    fresh_random_state,
)
from sklstm.training import (
    BLOCK,
    DivergenceGuard,
    EarlyStopping,
    Progress,
    SequenceDataset,
    SequenceNet,
    predict_blocks,
    seeded_construction,
    single_threaded_numpy,
    thread_limit,
    threads_for,
)

from ._compression import Compression
from ._portable import Portable

OPTIMIZERS: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    # fused: one kernel for all parameters; a step takes 0.3-0.45 of the default's time from H = 16 to 128 on one thread
    "adam": (torch.optim.Adam, {"optimizer__fused": True}),
    "adamw": (torch.optim.AdamW, {"optimizer__fused": True}),
    "sgd": (torch.optim.SGD, {"optimizer__momentum": 0.9, "optimizer__nesterov": True}),
}


_PRIVATE_STATE = {"_fitted_flat", "_n_channels", "_target_shape", "_bound_seed", "_quantized_cap"}


def as_tensor(values: np.ndarray, device: str | torch.device = "cpu") -> Tensor:
    """A float32 copy: torch shares neither read-only memory nor negative strides, and must not write to the user's.

    The copy lives in torch's own memory, which is aligned to 64 bytes. numpy's is not, and matrix kernels may round
    differently by alignment: results could vary from run to run.
    """
    copy = torch.empty(values.shape, dtype=torch.float32)
    np.copyto(copy.numpy(), values, casting="unsafe")
    return copy.to(device)


class SequenceEstimator(Portable, BaseEstimator):
    """Shared machinery; the constructors, losses and reports are the estimators' own."""

    _optimizers = OPTIMIZERS

    _rules: ClassVar[dict[str, Rule]] = {
        "hidden_size": POSITIVE_INT,
        "sigma": NON_NEGATIVE,
        "n_channels": POSITIVE_INT,
        "max_epochs": POSITIVE_INT,
        "lr": POSITIVE,
        "batch_size": POSITIVE_INT,
        "optimizer": Choice(tuple(OPTIMIZERS)),
        "weight_decay": NON_NEGATIVE,
        "clip_norm": OPTIONAL_POSITIVE,
        "early_stopping": FLAG,
        "validation_fraction": PROBABILITY,
        "n_iter_no_change": POSITIVE_INT,
        "warm_start": FLAG,
        "compute_bound": FLAG,
        "compression": Instance(Compression),
        "delta": SMALL_PROBABILITY,
        "device": Device(),
        "random_state": Seed(),
        "verbose": LEVEL,
    }
    _n_gates: int  # gate matrices of the recurrent layer

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Start a fit from the constructor's parameters alone; if it fails, leave the estimator as it was before."""
        before = dict(self.__dict__)
        for name in before:
            if name in _PRIVATE_STATE or (name.endswith("_") and not name.startswith("_")):
                delattr(self, name)
        try:
            yield
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _train(
        self,
        module: type[nn.Module],
        criterion: type[nn.Module],
        X: np.ndarray,
        y: Tensor,
        *,
        stratify: np.ndarray | None = None,
        prepare: Callable[[nn.Module], None] | None = None,
        penalty: Callable[[Any], float] | None = None,
        projection: Callable[[nn.Module], None] | None = None,
        noise: str = "gaussian",
        **module_arguments: Any,
    ) -> SequenceNet:
        """Build the net, train it on X (n, L, d) and y, and leave the process as it was.

        Parameters
        ----------
        module, criterion : types of nn.Module
        X : ndarray of shape (n, L, d)
        y : Tensor of shape (n, ...)
        stratify : ndarray of shape (n,), optional
            Labels by which the validation split is stratified.
        prepare : callable, optional
            ``module -> None``, applied once before training.
        penalty, projection : callable, optional
            See `SequenceNet`.
        noise : str
            Kind of the noise on the inputs, a key of ``sklstm.noise.NOISES``.
        **module_arguments
            Passed to ``module``.

        Returns
        -------
        SequenceNet
        """
        random_state = fresh_random_state(self.random_state)
        init_seed, batch_seed, split_seed, self._bound_seed = random_state.randint(2**31 - 1, size=4).tolist()
        training, validation = SequenceDataset(as_tensor(X, self.device), y.to(self.device)), None
        if self.early_stopping:
            training, validation = self._hold_out(training, stratify, split_seed)

        optimizer, options = OPTIMIZERS[self.optimizer]
        net = SequenceNet(
            module,
            criterion,
            optimizer=optimizer,
            optimizer__weight_decay=self.weight_decay,
            lr=self.lr,
            max_epochs=int(self.max_epochs),  # torch takes no numpy integers
            batch_size=int(self.batch_size),
            train_split=None if validation is None else predefined_split(validation),
            callbacks=self._callbacks(),
            device=self.device,
            penalty=penalty,
            projection=projection,
            clip_norm=self.clip_norm,
            sigma=self.sigma,
            noise=noise,
            generator=torch.Generator().manual_seed(batch_seed),
            verbose=0,
            **options,
            module__n_features=X.shape[2],
            module__hidden_size=int(self.hidden_size),
            **{f"module__{name}": value for name, value in module_arguments.items()},
        )
        with torch.enable_grad(), self._threads(net, net.batch_size), single_threaded_numpy():
            with seeded_construction(init_seed):
                net.initialize()
            for constrain in (prepare, projection):
                if constrain is not None:
                    constrain(net.module_)
            net.train(training)
        net.train_split = None  # else the validation data would go into every pickle
        return net

    def _hold_out(self, data: SequenceDataset, stratify: np.ndarray | None, seed: int):
        try:
            parts = train_test_split(
                np.arange(len(data)), test_size=self.validation_fraction, random_state=seed, stratify=stratify
            )
        except ValueError as error:
            raise ValueError(
                f"early_stopping=True cannot hold out validation_fraction={self.validation_fraction} of {len(data)} "
                f"sequences: {error} Use more data, another fraction, or early_stopping=False."
            ) from error
        return (SequenceDataset(*data[torch.as_tensor(part, device=data.X.device)]) for part in parts)

    def _callbacks(self) -> list:
        callbacks: list = [DivergenceGuard()]
        if self.early_stopping:
            callbacks.append(EarlyStopping(self.n_iter_no_change))
        if self.verbose:
            callbacks.append(Progress(type(self).__name__))
        return callbacks

    def _threads(self, net: SequenceNet, batch_size: int):
        # Of the net, not of the constructor: set_params may have changed that since fit.
        return thread_limit(threads_for(batch_size, net.module__hidden_size, net.module__n_features, self._n_gates))

    def _set_training_attributes(self, net: SequenceNet) -> None:
        self.net_ = net
        self.loss_curve_ = net.history[:, "train_loss"]
        self.n_iter_ = len(self.loss_curve_)

    def _check_compression(self, X: np.ndarray) -> None:
        if self.compression is not None:
            self.compression.check(X.shape[2], int(self.hidden_size))

    def _forward(self, X: Any) -> np.ndarray:
        """Validated network outputs (n, k) in float32."""
        X = as_sequences(self, X, reset=False)
        return self._evaluate(self.net_.module_, X)

    def _evaluate(self, module: nn.Module, X: np.ndarray) -> np.ndarray:
        device = next(module.parameters()).device
        with self._threads(self.net_, BLOCK):
            return predict_blocks(module, as_tensor(X, device)).cpu().numpy()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        return tags
