"""Attacks on what is certified of fitted models, through all that inputs and outputs pass: limits, labels, gains."""

import copy

import numpy as np
import pandas as pd
import torch

from sklstm import certified_radius, certify
from sklstm.estimators._composition import Composition
from sklstm.estimators._label_certificates import certified_right
from tests.support.attacks import narrowed, of_unit_norm

GAIN_STEPS = 3000
GAIN_SIZES = (1e-4, 1e-2, 0.1, 1.0)


def numbers(X):
    """The numbers of inputs in any form: (n, L * d) of rows, or (S, d), all steps one after the other."""
    if isinstance(X, list):
        return np.concatenate([np.asarray(x, dtype=np.float64) for x in X])
    return np.asarray(X, dtype=np.float64).reshape(-1, np.shape(X)[-1])


def like(X, values):
    """Other numbers in the form of X."""
    if isinstance(X, list):
        parts = np.split(values, np.cumsum([len(x) for x in X])[:-1])
        return [like(x, part) for x, part in zip(X, parts, strict=True)]
    if isinstance(X, pd.DataFrame):
        return pd.DataFrame(values, columns=X.columns, index=X.index)
    return values.reshape(X.shape)


def some_of(X, n):
    return X.iloc[:n] if isinstance(X, pd.DataFrame) else X[:n]


def _slopes(composition, X, objective):
    """Signs, in the shape of `numbers`, of what raises a function of the network's outputs; scalers keep signs."""
    sequences = composition.sequences(X)
    batch = sequences.batch(torch.arange(len(sequences)))
    inputs = batch.pop("X").requires_grad_(True)
    outputs = composition.estimator.net_.module_(inputs, **batch)
    (slope,) = torch.autograd.grad(objective(outputs).sum(), inputs)
    if batch:
        slope = slope[torch.arange(slope.shape[1]) < batch["lengths"][:, None]]
    return slope.sign().numpy().reshape(numbers(X).shape)


def points(composition, X, radii, objectives, rng, n_steps, n_random=2):
    """Inputs within ``radii``, in the shape of `numbers`, of X: by projected signed gradients, and at random."""
    centre = numbers(X)
    low, high = centre - radii, centre + radii
    for objective in objectives:
        point = centre
        for step in range(n_steps):
            size = 2.0 if step == 0 else 1.0 / step
            point = np.clip(point + size * radii * _slopes(composition, like(X, point), objective), low, high)
            yield like(X, point)
    for draw in range(n_random):
        shift = rng.uniform(-1, 1, centre.shape) if draw % 2 else rng.choice([-1.0, 1.0], centre.shape)
        yield like(X, np.clip(centre + radii * shift, low, high))


def _outside(predicted, lower, upper):
    return ((predicted < lower) | (predicted > upper)).reshape(len(lower), -1).any(axis=1)


def attack_limits(model, X, eps, radii, rng, n_linear, n_steps=3):
    """Cases, violations, cases with the method ``linear``, and those caught if limits lost a tenth of their width.

    Parameters
    ----------
    eps : object
        As `certify` takes it.
    radii : ndarray
        The same in the shape of `numbers`.
    """
    composition = Composition.around(model)
    limits = certify(model, X, eps)
    some = eps[:n_linear] if isinstance(eps, list) else eps  # one for each sequence, or the same for all
    costly = certify(model, some_of(X, n_linear), some, method="linear")
    outside, caught = np.zeros(len(X), dtype=bool), np.zeros(len(X), dtype=bool)
    objectives = [lambda outputs: outputs[:, 0], lambda outputs: -outputs[:, 0]]
    for point in points(composition, X, radii, objectives, rng, n_steps):
        predicted = model.predict(point)
        outside |= _outside(predicted, *limits)
        outside[:n_linear] |= _outside(predicted[:n_linear], *costly)
        with np.errstate(invalid="ignore"):
            caught |= _outside(predicted, *narrowed(*limits))
    return np.array([len(X), outside.sum(), n_linear, caught.sum()])


def _others(labels):
    """What an attack raises, so that the outputs of another label exceed those of these."""

    def objective(outputs):
        own = outputs.gather(1, labels[:, None])[:, 0]
        return outputs.scatter(1, labels[:, None], -torch.inf).amax(1) - own

    return [objective]


def attack_labels(model, X, y, scale, epsilons, method, rng, n_steps=10):
    """Of radii in units of ``scale`` (d,), and of samples that are certified at sizes: as `attack_limits`.

    A case is a radius, or a size at which a sample is certified. Caught are radii that are too large by a ninth.
    """
    composition, predicted = Composition.around(model), model.predict(X)
    codes = torch.from_numpy(np.searchsorted(composition.estimator.classes_, predicted))
    lengths = [len(x) for x in X]
    n_cases = violations = 0

    def changed(sizes, labels):
        radii = np.repeat(sizes, lengths)[:, None] * scale
        found = np.zeros(len(X), dtype=bool)
        for point in points(composition, X, radii, _others(codes), rng, n_steps):
            found |= model.predict(point) != labels
        return found

    radius = certified_radius(model, X, scale=scale, method=method)
    n_cases, violations = len(X), changed(radius, predicted).sum()
    caught = changed(radius / 0.9, predicted).sum()
    for eps in epsilons:
        right = certified_right(model, X, y, eps * scale, method)
        n_cases += right.sum()
        violations += (changed(np.full(len(X), eps), y) & right).sum()
    costly = n_cases if method in ("linear", "auto") else 0
    return np.array([n_cases, violations, costly, caught])


def attack_gain(model, rng, n_sequences=6):
    """Cases, violations, those caught if the gain were smaller by a tenth, and the largest share of it that is reached.

    A case is a sequence of inputs within the range of the training data, a kind and a size of disturbance; the outputs
    are looked at after every step, or, beside a linear part, after the last. All is computed in float64.
    """
    module, gain = copy.deepcopy(model.net_.module_).double().eval(), model.certified_gain_
    lower, upper = model._input_range
    steps = rng.uniform(lower, upper, (n_sequences, GAIN_STEPS, len(lower)))
    steps[1::2] = np.where(rng.random(steps[1::2].shape) < 0.5, lower, upper)  # where gates are wide open
    X = torch.from_numpy(steps).requires_grad_(True)

    def outputs(X):
        return module.readout(module.recurrent(X)[0]) if module.linear_part is None else module(X)[:, None]

    before = outputs(X)
    (slope,) = torch.autograd.grad(before[:, -1, 0].sum(), X)
    constant = torch.from_numpy(rng.standard_normal((n_sequences, 1, len(lower)))).expand_as(X)
    turns = torch.ones(GAIN_STEPS, 1, dtype=X.dtype)
    turns[1::2] = -1
    kinds = (torch.from_numpy(rng.standard_normal(X.shape)), constant, constant * turns, slope, -slope)
    reached = torch.zeros(len(GAIN_SIZES), len(kinds), n_sequences, dtype=X.dtype)
    with torch.no_grad():
        for i, size in enumerate(GAIN_SIZES):
            for j, kind in enumerate(kinds):
                moved = (outputs(X + size * of_unit_norm(kind)) - before).norm(dim=2).amax(dim=1)
                reached[i, j] = moved / (size * gain)
    counts = [reached.numel(), int((reached > 1).sum()), int((reached > 0.9).sum())]
    return np.array(counts), float(reached.max())
