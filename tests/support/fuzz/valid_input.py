"""Whatever is valid is taken, and every route to a number leads to the same one."""

import contextlib
import pickle

import numpy as np
import torch
from hypothesis import note
from hypothesis import strategies as st
from sklearn.base import clone

from sklstm import noise_interval, prediction_interval, smoothed_predict, smoothed_radius
from tests.support.fuzz.profiles import holds
from tests.support.fuzz.strategies import Task, dress, forms_of, tasks
from tests.support.fuzz.watch import finding, learnt, must, same


def fit(task: Task, **changes):
    model = task.model(**changes)
    arguments = {} if task.sample_weight is None else {"sample_weight": task.sample_weight}
    must(model, "fit", task.X, task.y, **arguments)
    return model


def outputs(model, X):
    """What a fitted estimator says about X: probabilities, or predictions."""
    return must(model, "predict_proba" if hasattr(model, "classes_") else "predict", X)


def rows_of(task, rows):
    return dress([task.sequences[row] for row in rows], task.form)


def check_predictions(model, task):
    everything = outputs(model, task.X)
    same(outputs(model, task.sequences), everything, f"outputs for a list and for X as {task.form}")
    n = len(task.sequences)
    for rows in ([0], [n - 1], list(range(n))[::-1], list(range(0, n, 2))):
        same(outputs(model, rows_of(task, rows)), everything[rows], f"outputs for rows {rows} alone and among others")
    if not np.isfinite(everything).all():
        finding(f"outputs are not finite: {everything}")
    predicted = must(model, "predict", task.X)
    if task.classifies:
        check_classifier(model, task, everything, predicted)
    elif predicted.shape != task.plain.shape or predicted.dtype != np.float64:
        finding(f"predictions have shape {predicted.shape} and dtype {predicted.dtype}; y has {task.plain.shape}")
    must(model, "score", task.X, task.y)
    return everything


def check_classifier(model, task, probabilities, predicted):
    if not np.array_equal(model.classes_, np.unique(task.plain)):
        finding(f"classes_ is {model.classes_}; y holds {np.unique(task.plain)}")
    if probabilities.min() < 0 or np.abs(probabilities.sum(axis=1) - 1).max() > 1e-12:
        finding(f"rows of probabilities do not sum to 1: {probabilities.sum(axis=1)}")
    if not np.array_equal(model.classes_[probabilities.argmax(axis=1)], predicted):
        finding("predict is not the most probable class")
    decisions = must(model, "decision_function", task.X)
    shape = (len(predicted),) if len(model.classes_) == 2 else probabilities.shape
    best = (decisions > 0).astype(int) if decisions.ndim == 1 else decisions.argmax(axis=1)
    if decisions.shape != shape or not np.array_equal(model.classes_[best], predicted):
        finding(f"decision_function has shape {decisions.shape} or disagrees with predict")


def inside(model, bounds, X):
    """Whether the outputs for X lie within certified bounds."""
    lower, upper = bounds
    if not hasattr(model, "classes_"):
        predicted = must(model, "predict", X)
        return bool(np.all((lower <= predicted) & (predicted <= upper)))
    decisions = must(model, "decision_function", X)
    if decisions.ndim == 1:  # rounding is monotone: differences of bounds bound the difference
        lower, upper = lower[:, 1] - upper[:, 0], upper[:, 1] - lower[:, 0]
    return bool(np.all((lower <= decisions) & (decisions <= upper)))


def check_certificates(model, task, eps, method):
    bounds = must(model, "certify", task.X, eps, method=method)
    if not inside(model, bounds, task.X):
        finding(f"certify(X, {eps}, method={method!r}) does not contain the outputs for X")
    rng = np.random.default_rng(0)
    # Shrunk a little: X plus eps may round to more than eps away.
    near = [part + (1 - 1e-9) * eps * rng.choice([-1, 1], size=part.shape) for part in task.sequences]
    if not inside(model, bounds, near):
        finding(f"certify(X, {eps}, method={method!r}) does not contain the outputs for an input within eps")
    if task.classifies:
        radii = must(model, "certified_radius", task.X)
        accuracy = must(model, "certified_accuracy", task.X, task.plain, eps)
        if radii.min() < 0 or not np.isfinite(radii).all() or accuracy > must(model, "score", task.X, task.plain):
            finding(f"certified radii {radii} or accuracy {accuracy} cannot be")


@holds(
    0.14,
    task=tasks(),
    eps=st.sampled_from([0, 0.0, 0.125, 1]),
    method=st.sampled_from(["best", "best", "intervals", "mean-value", "linear"]),
)
def valid_input_is_taken_and_every_route_agrees(task, eps, method):
    model = fit(task)
    note(f"form: {task.form}")
    everything = check_predictions(model, task)
    check_certificates(model, task, eps, method)
    travelled = pickle.loads(pickle.dumps(model))
    same(outputs(travelled, task.X), everything, "outputs before and after pickling")
    same(learnt(travelled), learnt(model), "attributes before and after pickling")
    copy = clone(model)
    same(copy.get_params(), model.get_params(), "parameters of an estimator and of its clone")
    if learnt(copy):
        finding(f"a clone is fitted: {sorted(learnt(copy))}")
    report = must(model, "generalization_report", task.X, task.y)
    for text in (repr(model), model._repr_html_(), str(report)):
        if not text:
            finding("a representation is empty")
    if model.quantized(report["occam"]).predict(task.X).shape != must(model, "predict", task.X).shape:
        finding("the quantised predictor predicts in another shape")
    if not model.generalization_bound_ > 0:
        finding(f"generalization_bound_ is {model.generalization_bound_}")


@holds(0.1, task=tasks(), data=st.data())
def the_same_values_in_any_form_make_the_same_network(task, data):
    first = fit(task)
    form = data.draw(st.sampled_from(forms_of(task.sequences)))
    dtype = data.draw(st.sampled_from(["f8", "f4", "f2", "g"]))
    other = Task(
        task.kind, task.parameters, task.sequences, form, dress(task.sequences, form, dtype), task.plain, task.plain
    )
    if task.sample_weight is not None:
        plain = task.sample_weight.numpy() if isinstance(task.sample_weight, torch.Tensor) else task.sample_weight
        other.sample_weight = np.asarray(plain, dtype=np.float64)
    second = fit(other)
    same(second.net_, first.net_, f"networks from X as {task.form} and as {form} in {dtype}")
    same(outputs(second, other.X), outputs(first, task.X), f"outputs from X as {task.form} and as {form}")


@holds(
    0.06,
    task=tasks(),
    sigma=st.sampled_from([0, 0.25]),
    noise=st.sampled_from(["gaussian", "uniform", "laplace"]),
    eps=st.sampled_from([0, 0.125]),
)
def intervals_and_votes_are_the_same_in_any_form(task, sigma, noise, eps):
    """Under noise, of true values, of votes: each for X in its form and as a list, and around the prediction."""
    model = fit(task)
    under = {"noise": noise, "coverage": 0.5, "confidence": 0.9, "random_state": 0}
    lower, upper = must(model, noise_interval, task.X, sigma, n_draws=20, **under)
    same(must(model, noise_interval, task.sequences, sigma, n_draws=20, **under), (lower, upper), "limits under noise")
    if not (lower <= upper).all():
        finding(f"noise_interval returned {lower} and {upper}")
    known = task.sequences[1:], task.plain[1:]  # not all of the training data
    found = must(model, prediction_interval, *known, task.X, coverage=0.5, eps=eps)
    same(must(model, prediction_interval, *known, task.sequences, coverage=0.5, eps=eps), found, "intervals")
    if not task.classifies:
        predicted = must(model, "predict", task.X)
        if sigma == 0:
            same(lower, predicted, "limits without noise and predictions")
        if not ((found[0] <= predicted) & (predicted <= found[1])).all():
            finding(f"predictions {predicted} are not between {found[0]} and {found[1]}")
        return
    if lower.min() < 0 or upper.max() > 1 or found.shape != lower.shape:
        finding(f"limits of shares are {lower} and {upper}, sets {found}")
    votes = {"n_draws": 30, "confidence": 0.9, "random_state": 0}
    labels, radius = must(model, smoothed_radius, task.X, 0.25, **votes)
    same(must(model, smoothed_radius, task.sequences, 0.25, **votes)[1], radius, "radii of votes")
    if any((label is None) != (r == 0) for label, r in zip(labels, radius, strict=True)):
        finding(f"labels {labels} have radii {radius}")
    must(model, smoothed_predict, task.X, 0.25, **votes)


AMBIENT = {
    "default dtype float64": lambda stack: _default_dtype(stack),
    "no_grad": lambda stack: stack.enter_context(torch.no_grad()),
    "inference mode": lambda stack: stack.enter_context(torch.inference_mode()),
    "numpy errors ignored": lambda stack: stack.enter_context(np.errstate(all="ignore")),
    "numpy errors raised": lambda stack: stack.enter_context(
        np.errstate(over="raise", invalid="raise", divide="raise")
    ),
    "seeded otherwise": lambda stack: _reseed(stack),
    "deterministic": lambda stack: _deterministic(stack),
}


def _default_dtype(stack):
    stack.callback(torch.set_default_dtype, torch.get_default_dtype())
    torch.set_default_dtype(torch.float64)


def _reseed(stack):
    stack.enter_context(torch.random.fork_rng(devices=[]))
    torch.manual_seed(12345)


def _deterministic(stack):
    stack.callback(torch.use_deterministic_algorithms, torch.are_deterministic_algorithms_enabled())
    torch.use_deterministic_algorithms(True)


@holds(0.06, task=tasks(), name=st.sampled_from(sorted(AMBIENT)))
def settings_of_the_process_do_not_matter(task, name):
    plain = fit(task)
    with contextlib.ExitStack() as stack:
        AMBIENT[name](stack)
        model = fit(task)
        there = outputs(model, task.X)
        bounds = must(model, "certify", task.X, 0.125)
    same(learnt(model), learnt(plain), f"what is learnt with {name} and without")
    same(there, outputs(plain, task.X), f"outputs with {name} and without")
    same(bounds, must(plain, "certify", task.X, 0.125), f"certificates with {name} and without")


@holds(0.08, task=tasks(), interruption=st.integers(0, 3), weighted=st.booleans())
def partial_fits_go_on_where_they_stopped(task, interruption, weighted):
    """Pickled, cloned-from or predicted with in between: the next call leads to the same weights."""
    changes = {"early_stopping": False}
    if isinstance(task.parameters.get("class_weight"), str):
        changes["class_weight"] = {label: 1 + index for index, label in enumerate(np.unique(task.plain))}
    arguments = {"classes": np.unique(task.plain)} if task.classifies else {}
    if weighted and task.sample_weight is not None:
        arguments["sample_weight"] = task.sample_weight
    straight, interrupted = task.model(**changes), task.model(**changes)
    for turn in range(3):
        must(straight, "partial_fit", task.X, task.y, **arguments)
        must(interrupted, "partial_fit", task.X, task.y, **arguments)
        if turn == interruption:
            interrupted = pickle.loads(pickle.dumps(interrupted))
            clone(interrupted)
            outputs(interrupted, task.X)
    same(learnt(interrupted), learnt(straight), "what is learnt with and without an interruption")
    if straight.n_iter_ != 3 or len(straight.loss_curve_) != 3:
        finding(f"three partial fits are {straight.n_iter_} epochs")
    check_predictions(straight, task)
