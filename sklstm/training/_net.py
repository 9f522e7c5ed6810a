"""The skorch net that trains both estimators: data loss plus a penalty on the weights, in training only."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from skorch import NeuralNet
from torch import nn

from ._batches import BatchLoader, SequenceDataset
from ._inference import BLOCK

__all__ = ["SequenceNet", "StopTraining"]


class StopTraining(Exception):
    """Raised by a callback to end training at the end of an epoch. Ctrl-C stays what it is: an interruption."""


class SequenceNet(NeuralNet):
    """skorch's net with a weight penalty, a projection after each step, and batches sliced from tensors.

    Parameters
    ----------
    module, criterion, **kwargs
        As skorch's ``NeuralNet``.
    penalty : callable, optional
        ``module -> float``: returns its value, which counts in the training loss and in nothing else, and adds its
        gradient to the ``grad`` of the parameters. If it has a ``largest_error``, that goes into the history of every
        epoch as ``norm_error``.
    projection : callable, optional
        ``module -> None``, applied to the weights after every optimiser step.
    clip_norm : float, optional
        Largest Euclidean norm of the whole gradient; larger ones are scaled down to it.
    sigma : float
        Standard deviation of the noise on training inputs.
    noise : str
        Kind of that noise, a key of ``sklstm.noise.NOISES``.
    generator : torch.Generator, optional
        Source of the batch order and of the noise.
    """

    def __init__(
        self,
        module: type[nn.Module],
        *args: Any,
        penalty: Callable[[nn.Module], float] | None = None,
        projection: Callable[[nn.Module], None] | None = None,
        clip_norm: float | None = None,
        sigma: float = 0.0,
        noise: str = "gaussian",
        generator: torch.Generator | None = None,
        **kwargs: Any,
    ):
        super().__init__(module, *args, **kwargs)
        self.penalty = penalty
        self.projection = projection
        self.clip_norm = clip_norm
        self.sigma = sigma
        self.noise = noise
        self.generator = generator

    def initialize_callbacks(self):
        super().initialize_callbacks()
        self.callbacks_.sort(key=lambda named: getattr(named[1], "runs_last", False))
        return self

    def get_iterator(self, dataset, training=False):
        if training:
            return BatchLoader(dataset, self.batch_size, True, self.generator, self.sigma, self.noise)
        return BatchLoader(dataset, max(self.batch_size, BLOCK))

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        # skorch opens a dict for every batch here and keeps them all, in the history and in every pickle.
        pass

    def on_grad_computed(self, net, named_parameters, batch=None, training=False, **kwargs):
        # The gradient of the data is there already: one more graph for a function of the weights would cost more than
        # the function.
        self._last_penalty = 0.0 if self.penalty is None else self.penalty(self.module_)
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.module_.parameters(), self.clip_norm)

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        if training and self.projection is not None:
            self.projection(self.module_)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        # One mean an epoch, weighted by batch size, is what the loss curve needs; skorch records every batch.
        if iterator is None:
            return
        started = time.perf_counter()
        total, penalty_total, count = 0.0, 0.0, 0
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            size = len(batch[0])
            total += step["loss"].item() * size
            if training:
                penalty_total += self._last_penalty * size
            count += size
            self.notify("on_batch_end", batch=batch, training=training, **step)
        self.history.record(f"{prefix}_loss", (total + penalty_total) / count)
        if training:
            self.history.record("data_loss", total / count)
            self.history.record("penalty", penalty_total / count)
            if hasattr(self.penalty, "largest_error"):
                self.history.record("norm_error", self.penalty.largest_error)
            self.history.record("dur", time.perf_counter() - started)

    def train(self, training_data: SequenceDataset) -> "SequenceNet":
        """Train an initialised net for up to ``max_epochs`` epochs; `StopTraining` ends it, Ctrl-C is passed on."""
        # skorch's own fit() swallows KeyboardInterrupt: a search would record a half-trained model as a success.
        self.epochs_left = self.max_epochs  # fewer once a callback has restored a state of training
        self.notify("on_train_begin", X=training_data, y=None)
        with suppress(StopTraining):
            self.fit_loop(training_data, epochs=self.epochs_left)
        self.notify("on_train_end", X=training_data, y=None)
        return self
