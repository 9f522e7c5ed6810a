"""What differs between cells and numbers of layers; the rest is tested on the LSTM."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from sklstm import TikhonovGRURegressor, TikhonovLSTMRegressor
from sklstm.networks import GRUNetwork, LSTMNetwork
from sklstm.tikhonov import TikhonovPenalty, perturbation_gain, tikhonov_gains
from sklstm.training._process import seeded_construction
from tests.support.problems import late_mean

PLAIN = {"lambda_s": 0, "lambda_1": 0, "lambda_2": 0}
QUICK = {"hidden_size": 6, "max_epochs": 3, "random_state": 0}
ESTIMATORS = pytest.mark.parametrize("estimator", [TikhonovLSTMRegressor, TikhonovGRURegressor])


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize(
    ("estimator", "module_type"),
    [(TikhonovLSTMRegressor, LSTMNetwork), (TikhonovGRURegressor, GRUNetwork)],
)
def test_zero_weights_are_the_plain_network_bit_for_bit(estimator, module_type, num_layers):
    X, y = late_mean(100)
    plain = {"skip": "none", "batch_size": 50, "lr_schedule": "constant", **PLAIN, **QUICK}
    model = estimator(num_layers=num_layers, **plain).fit(X, y)
    assert "norm_error" not in model.net_.history[-1]

    init_seed, batch_seed, *_ = np.random.RandomState(0).randint(2**31 - 1, size=4)
    with seeded_construction(int(init_seed)):
        module = module_type(2, 6, 1, num_layers=num_layers)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.003, fused=True)
    generator = torch.Generator().manual_seed(int(batch_seed))
    inputs, targets = torch.tensor(X, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)[:, None]
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    for _ in range(3):
        for part in torch.randperm(100, generator=generator).split(50):
            optimizer.zero_grad()
            nn.functional.mse_loss(module(inputs[part]), targets[part]).backward()
            optimizer.step()
    torch.set_num_threads(before)
    for ours, theirs in zip(model.net_.module_.parameters(), module.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@ESTIMATORS
@pytest.mark.parametrize("variant", ["turkin", "tight"])
def test_lambda_s_means_the_same_for_stacks(estimator, variant):
    """Before training the perturbation term of a stack is about that of one layer, with one value of lambda_s."""
    X, y = late_mean(50)
    still = {"lr": 1e-12, "max_epochs": 1, "random_state": 0}
    terms = [
        estimator(32, variant=variant, num_layers=n, **still).fit(X, y).net_.history[-1, "penalty"] for n in (1, 2, 3)
    ]
    assert terms[0] > 0
    assert max(terms) < 2.5 * min(terms)


@ESTIMATORS
@pytest.mark.parametrize(
    ("variant", "skip", "num_layers"), [("turkin", "none", 1), ("tight", "linear", 1), ("turkin", "none", 2)]
)
def test_learns_and_ends_feasible_with_the_gains_of_its_weights(estimator, variant, skip, num_layers):
    X, y = late_mean(500)
    model = estimator(
        8, variant=variant, skip=skip, num_layers=num_layers, lambda_s=1e-3, lr=0.02, max_epochs=20, random_state=0
    ).fit(X[:400], y[:400])
    assert model.score(X[400:], y[400:]) > 0.6
    assert np.all(model.rho_h_ < 1)
    assert np.isfinite(model.perturbation_gain_)
    assert np.shape(model.rho_x_) == np.shape(model.rho_h_) == (() if num_layers == 1 else (2,))

    module = model.net_.module_
    gains = [
        tikhonov_gains(*(w.detach().double() for w in (w_ih, w_hh, b_hh)), variant=variant, cell=module.cell)
        for w_ih, w_hh, _, b_hh in module.layers
    ]
    np.testing.assert_allclose(model.rho_x_, np.squeeze([layer.rho_x for layer in gains]), rtol=1e-12)
    readout = module.readout.weight.detach().double()
    expected = np.linalg.norm(readout.numpy(), 2) ** 2
    for layer in gains:
        rho_x, rho_h = layer.rho_x.item(), layer.rho_h.item()
        expected *= rho_x**2 / (1 - rho_h**2) if variant == "turkin" else (rho_x / (1 - rho_h)) ** 2
    of_weights = perturbation_gain(gains, readout, variant=variant).item()
    assert of_weights == pytest.approx(expected, rel=1e-10)
    if skip == "none":
        assert model.perturbation_gain_ == of_weights
    else:
        linear = (module.linear_part.weight.detach().double() ** 2).sum().item()
        assert model.perturbation_gain_ == pytest.approx(expected + linear, rel=1e-10)
    assert model.net_.history[-1, "norm_error"] < 0.2


@ESTIMATORS
def test_feasible_start_has_a_factor_a_layer(estimator):
    X, y = late_mean(50)
    tiny = {"lr": 1e-12, "max_epochs": 1, "hidden_size": 8, "random_state": 0, "num_layers": 3}
    model = estimator(**tiny).fit(X, y)
    np.testing.assert_allclose(model.rho_h_**2, 0.5, rtol=1e-4)
    plain = estimator(**PLAIN, **tiny).fit(X, y)
    assert (plain.rho_h_ > 1).all()
    assert plain.perturbation_gain_ == np.inf
    ratios = []
    for ours, theirs in zip(model.net_.module_.layers, plain.net_.module_.layers, strict=True):
        ratio = (ours[1] / theirs[1]).detach()
        np.testing.assert_allclose(ratio, ratio[0, 0].item(), rtol=1e-4)
        ratios.append(ratio[0, 0].item())
        np.testing.assert_allclose(ours[0].detach(), theirs[0].detach(), atol=1e-6)
    assert len({round(ratio, 4) for ratio in ratios}) == 3


@pytest.mark.filterwarnings("ignore::sklstm.exceptions.DataWarning")
def test_the_warning_names_cell_and_layer():
    X, y = late_mean(200)
    model = TikhonovGRURegressor(8, lambda_s=1e-9, lambda_1=0, lambda_2=0, lr=0.05, max_epochs=20, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"fitted GRU is infeasible: rho_h = [\d.]+ is not below 1") as record:
        model.fit(X, 100 * y)
    assert record[0].filename == __file__
    assert "lambda_2" not in str(record[0].message)
    with pytest.warns(ConvergenceWarning, match=r"rho_h of layer [12] = [\d.]+ is not below 1"):
        model.set_params(num_layers=2).fit(X, 100 * y)
    assert model.perturbation_gain_ == np.inf


def test_lambda_2_does_nothing_for_a_gru():
    X, y = late_mean(100)
    first, second = (
        TikhonovGRURegressor(lambda_2=value, **QUICK).fit(X, y).net_.module_.layers[0] for value in (0.0, 100.0)
    )
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@ESTIMATORS
def test_a_fitted_estimator_carries_no_vectors(estimator):
    X, y = late_mean(100)
    model = estimator(**QUICK).fit(X, y)
    penalty = model.net_.penalty.of_weights
    assert isinstance(penalty, TikhonovPenalty)
    assert not penalty._norms.groups
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(twin.predict(X), model.predict(X))
