import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from sklstm import TikhonovLSTMRegressor
from sklstm.generalization import occam_certificate
from sklstm.networks import LSTMNetwork
from sklstm.training._process import seeded_construction
from tests.support.problems import late_mean

PLAIN = {"lambda_s": 0, "lambda_1": 0, "lambda_2": 0}
QUICK = {"hidden_size": 6, "max_epochs": 3, "random_state": 0}


def norms(module, power):
    """Spectral norms of the gates i, f, g, o by numpy, independently of the package."""
    return [np.linalg.norm(gate, 2) for gate in np.split(module.weights[power].detach().double().numpy(), 4)]


def test_learns_a_known_answer_and_ends_feasible():
    X, y = late_mean(800)
    model = TikhonovLSTMRegressor(16, random_state=0).fit(X[:600], y[:600])
    assert model.score(X[600:], y[600:]) > 0.8  # a linear fit of all 20 inputs would reach 1
    assert model.rho_h_ < 1
    assert np.isfinite(model.perturbation_gain_)


@pytest.mark.parametrize("skip", ["none", "linear"])
@pytest.mark.parametrize("variant", ["turkin", "tight"])
def test_fitted_gains_are_those_of_the_fitted_weights(variant, skip):
    X, y = late_mean(100)
    model = TikhonovLSTMRegressor(variant=variant, skip=skip, **QUICK).fit(X, y)
    module = model.net_.module_
    (ix, fx, gx, ox), (ih, fh, gh, oh) = norms(module, 0), norms(module, 1)
    beta = 17 / 16 if variant == "turkin" else 1.0
    gamma_x, gamma_h = fx / 4 + beta * (ix + gx), fh / 4 + beta * (ih + gh)
    e = np.exp(1 - beta * oh)
    out = np.linalg.norm(module.weights[2].detach().double().numpy(), 2)
    if variant == "turkin":
        rho_x = 2**0.5 * (gamma_x + 2**0.5 * (beta * gamma_x * oh + ox) / e)
        rho_h = 2**0.5 * (gamma_h + beta * gamma_h * oh / e)
        gain = out**2 * rho_x**2 / (1 - rho_h**2)
    else:
        rho_x = np.hypot(gamma_x, (gamma_x * oh + ox) / e)
        rho_h = np.hypot(gamma_h, gamma_h * oh / e)
        gain = (out * rho_x / (1 - rho_h)) ** 2
    if skip == "linear":
        gain += (module.linear_part.weight.detach().double() ** 2).sum().item()
    fitted = (model.rho_x_, model.rho_h_, model.perturbation_gain_)
    np.testing.assert_allclose(fitted, (rho_x, rho_h, gain), rtol=1e-10)


@pytest.mark.parametrize("readout", ["linear", "logistic"])
def test_zero_weights_are_a_plain_lstm_bit_for_bit(readout):
    X, y = late_mean(100)
    y = (y - y.min()) / np.ptp(y)
    plain = {"skip": "none", "batch_size": 50, "lr_schedule": "constant", **PLAIN, **QUICK}
    model = TikhonovLSTMRegressor(readout=readout, **plain).fit(X, y)

    init_seed, batch_seed, *_ = np.random.RandomState(0).randint(2**31 - 1, size=4)
    with seeded_construction(int(init_seed)):
        module = LSTMNetwork(2, 6, 1, readout)
    assert not np.allclose(model.net_.module_.weights[1].detach(), module.weights[1].detach())  # it did train
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


def test_any_weight_gives_the_feasible_start_and_none_leaves_the_initialisation_alone():
    X, y = late_mean(50)
    tiny = {"lr": 1e-12, "max_epochs": 1, "hidden_size": 8, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        plain = TikhonovLSTMRegressor(**PLAIN, **tiny).fit(X, y)  # infeasible on purpose: no warning
    assert plain.rho_h_ > 1
    assert plain.perturbation_gain_ == np.inf
    for name in PLAIN:
        model = TikhonovLSTMRegressor(**(PLAIN | {name: 0.1}), **tiny).fit(X, y)
        assert model.rho_h_**2 == pytest.approx(0.5, rel=1e-4)
        # One factor for all recurrent matrices, nothing else touched.
        ratio = model.net_.module_.weights[1] / plain.net_.module_.weights[1]
        np.testing.assert_allclose(ratio.detach(), ratio[0, 0].item(), rtol=1e-4)
        np.testing.assert_allclose(
            model.net_.module_.weights[0].detach(), plain.net_.module_.weights[0].detach(), atol=1e-6
        )


@pytest.mark.filterwarnings("ignore::sklstm.exceptions.DataWarning")
def test_infeasible_fit_warns_in_words_to_act_on():
    # Loud targets, fast steps and next to no penalty.
    X, y = late_mean(200)
    model = TikhonovLSTMRegressor(16, lambda_s=1e-9, lambda_1=0, lambda_2=0, lr=0.05, max_epochs=40, random_state=0)
    with pytest.warns(
        ConvergenceWarning, match=r"rho_h = [\d.]+ is not below 1.*raise lambda_s \(1e-09\) or lambda_1 \(0\)"
    ):
        model.fit(X, 100 * y)
    assert model.perturbation_gain_ == np.inf


def test_lambda_s_trades_fit_for_robustness():
    X, y = late_mean(400)
    gains, losses = [], []
    for lambda_s in (1e-4, 1e-2, 1.0):
        model = TikhonovLSTMRegressor(8, lambda_s=lambda_s, max_epochs=40, random_state=0)
        model.fit(X, y)
        gains.append(model.perturbation_gain_)
        losses.append(model.net_.history[-1, "data_loss"])
    assert gains[0] > gains[1] > gains[2]
    assert losses[0] < losses[1] < losses[2]


def test_penalty_is_what_the_history_says():
    X, y = late_mean(64)
    model = TikhonovLSTMRegressor(lambda_s=0.3, **(QUICK | {"lr": 1e-9, "max_epochs": 1})).fit(X, y)
    # With a vanishing learning rate the weights stay where they are: λ_S times the gain.
    assert model.net_.history[-1, "penalty"] == pytest.approx(0.3 * model.perturbation_gain_, rel=1e-4)
    mse = np.mean((model.predict(X) - y) ** 2)
    assert model.net_.history[-1, "data_loss"] == pytest.approx(mse, rel=1e-4)
    assert model.loss_curve_ == [pytest.approx(mse + 0.3 * model.perturbation_gain_, rel=1e-4)]


def test_validation_loss_has_no_penalty():
    X, y = late_mean(200)
    model = TikhonovLSTMRegressor(
        lambda_s=1e6, early_stopping=True, validation_fraction=0.5, **(QUICK | {"lr": 1e-9, "max_epochs": 1})
    ).fit(X, y)
    assert model.net_.history[-1, "penalty"] > 1e5
    assert model.net_.history[-1, "valid_loss"] < 10


@pytest.mark.parametrize("shape", [(60,), (60, 1), (60, 3)])
def test_predictions_come_back_in_the_shape_of_y(shape):
    X, _ = late_mean(60)
    y = np.random.default_rng(0).standard_normal(shape)
    model = TikhonovLSTMRegressor(**QUICK).fit(X, y)
    for n in (1, 60):
        assert model.predict(X[:n]).shape == (n, *shape[1:])
    assert model.predict(X).dtype == np.float64


def test_one_dimensional_targets_do_not_broadcast():
    # (n,) against (n, 1) broadcasts to (n, n) in a bare torch loss and ends at the mean: R² near 0.
    X, y = late_mean(300)
    flat, column = (
        TikhonovLSTMRegressor(8, max_epochs=40, random_state=0, **PLAIN).fit(X, target) for target in (y, y[:, None])
    )
    assert flat.score(X, y) > 0.8
    np.testing.assert_array_equal(flat.predict(X), column.predict(X).ravel())


def test_last_batch_of_one_sample():
    X, y = late_mean(65)
    assert np.isfinite(TikhonovLSTMRegressor(batch_size=64, **QUICK).fit(X, y).predict(X)).all()


def test_logistic_readout_stays_in_its_range_and_refuses_other_targets():
    X, y = late_mean(100)
    model = TikhonovLSTMRegressor(readout="logistic", skip="none", **QUICK)
    with pytest.raises(ValueError, match=r"readout='logistic' predicts values in \(0, 1\), but y runs from -"):
        model.fit(X, y)
    labels = (y > 0).astype(float)
    predictions = model.fit(X, labels).predict(100 * X)  # a bounded state: far inputs stay inside too
    assert (predictions > 0).all()
    assert (predictions < 1).all()
    model.set_params(skip="linear").fit(X, labels)
    assert ((model.predict(X) > 0) & (model.predict(X) < 1)).all()
    far = model.predict(100 * X)  # a linear part has no limits: float32 rounds to 0 and 1
    assert ((far >= 0) & (far <= 1)).all()


def test_bound_holds_its_parts():
    X, y = late_mean(400)
    model = TikhonovLSTMRegressor(8, skip="none", max_epochs=40, random_state=0, loss_cap=1.0).fit(X, y)
    report = model.generalization_report(X, y)["occam"]
    assert model.generalization_bound_ == report.value
    assert report.n_samples == 400
    assert report.scale == 1.0
    assert report.delta_weight == 1.0
    # The charged predictor really has the loss that is charged.
    with seeded_construction(0):
        module = LSTMNetwork(2, 8, 1)
    module.load_state_dict(report.weights)
    with torch.no_grad():
        predictions = module(torch.tensor(X, dtype=torch.float32)).numpy()[:, 0]
    assert report.train_loss == pytest.approx(np.mean(np.minimum((predictions - y) ** 2, 1.0)), rel=1e-5)
    levels = {value for weight in report.weights.values() for value in weight.flatten().tolist()}
    assert len(levels) <= report.n_levels
    assert report.value > report.train_loss
    # A fresh sample from the same distribution: the bound is not below the truth.
    X_new, y_new = late_mean(20_000, seed=1)
    with torch.no_grad():
        new = module(torch.tensor(X_new, dtype=torch.float32)).numpy()[:, 0]
    assert np.mean(np.minimum((new - y_new) ** 2, 1.0)) < report.value


def test_every_codebook_is_made_from_the_trained_weights():
    # The second route shares no tensor with the estimator: a fresh network for every loss, cloned weights.
    X, y = late_mean(1500)
    model = TikhonovLSTMRegressor(3, skip="none", max_epochs=40, random_state=0, loss_cap=1.0).fit(X, y)
    trained = {name: value.clone() for name, value in model.net_.module_.state_dict().items()}
    tried = []

    def loss(weights):
        with seeded_construction(0):
            module = LSTMNetwork(2, 3, 1)
        module.load_state_dict({name: value.clone() for name, value in weights.items()})
        with torch.no_grad():
            predictions = module(torch.tensor(X, dtype=torch.float32)).numpy()[:, 0]
        tried.append(np.mean(np.minimum((predictions - y) ** 2, 1.0)))
        return float(tried[-1])

    expected = occam_certificate(trained, loss, len(X), delta=0.05)
    report = model.generalization_report(X, y)["occam"]
    assert report.n_levels == expected.n_levels
    assert report.value == pytest.approx(expected.value, rel=1e-5)
    assert report.trained_loss == pytest.approx(np.mean(np.minimum((model.predict(X) - y) ** 2, 1.0)), rel=1e-5)
    assert len(set(np.round(tried, 6))) > 5, "different codebooks, different losses"
    for name, value in model.net_.module_.state_dict().items():
        assert torch.equal(value, trained[name])


def test_a_cap_chosen_from_the_data_is_paid_for():
    X, y = late_mean(200)
    report = TikhonovLSTMRegressor(**QUICK).fit(X, y).generalization_report(X, y)["occam"]
    assert report.scale >= 4 * y.var()
    assert np.log2(report.scale) % 1 == 0
    j = abs(np.log2(report.scale))
    assert report.delta_weight == pytest.approx(1 / (1.5 * (j + 1) * (j + 2)))


def test_input_noise_is_available_too():
    X, y = late_mean(100)
    clean, noisy = (TikhonovLSTMRegressor(sigma=sigma, **QUICK).fit(X, y).predict(X) for sigma in (0.0, 0.5))
    assert not np.allclose(clean, noisy)
