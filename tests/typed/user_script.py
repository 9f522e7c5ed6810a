"""A user's script as a type checker sees it; `test_typing.py` runs the checker on it, and nobody runs it.

A line with ``type: ignore`` is wrong on purpose: if the annotations let it pass, the comment is unused, an error too.
"""

from pathlib import Path
from typing import Any, assert_type

import numpy as np
import torch
from numpy.typing import NDArray

import sklstm
from sklstm import (
    Compression,
    NoisyRNNClassifier,
    TikhonovGRUClassifier,
    TikhonovGRURegressor,
    TikhonovLSTMClassifier,
    TikhonovLSTMRegressor,
)
from sklstm.certificates import Interval, RecurrentNetwork, output_bounds
from sklstm.generalization import GeneralizationReport, HoldoutBound, holdout_bound, occam_certificate
from sklstm.inspection import CertifiedBandDisplay, LossCurveDisplay, NoiseRobustnessDisplay
from sklstm.linalg import spectral_norm
from sklstm.metrics import make_noisy_scorer
from sklstm.preprocessing import SequenceScaler, SequencesFromTable, pad_sequences, sliding_windows, unpad_sequences
from sklstm.tikhonov import TikhonovGains, tikhonov_gains
from sklstm.training import Checkpoint, SequenceNet

Floats = NDArray[np.float64]


def regression(X: Floats, y: Floats, path: Path) -> None:
    model = TikhonovLSTMRegressor(
        16,
        lambda_s=0.01,
        lambda_1=10,
        variant="tight",
        readout="linear",
        clip_norm=1.0,
        lr_schedule="warmup-cosine",
        optimizer="adamw",
        callbacks=[Checkpoint("folder", every=5), ("again", Checkpoint(path))],
        compression=Compression(4, coarseness=[16.0]),
        device=torch.device("cpu"),
        precision="tf32",
        random_state=np.random.RandomState(0),
        verbose=True,
    )
    assert_type(model.hidden_size, int)
    assert_type(model.fit(X, y, sample_weight=y), TikhonovLSTMRegressor)
    assert_type(model.partial_fit(X, y).fit(X, y), TikhonovLSTMRegressor)
    assert_type(model.predict(X), Floats)
    assert_type(model.certify(X, 0.1, method="linear"), tuple[Floats, Floats])
    assert_type(model.holdout_bound(X, y, cap=1.0, method="best"), HoldoutBound)
    assert_type(model.holdout_bound(X, y).value, float)
    assert_type(model.net_, SequenceNet)
    assert_type(model.n_iter_, int)
    assert_type(model.n_features_in_, int)
    assert_type(model.loss_curve_, list[float])
    assert_type(model.rho_h_, float | Floats)
    assert_type(model.perturbation_gain_, float)
    assert_type(model.generalization_bound_, float)
    report = model.generalization_report(X, y)
    assert_type(report, GeneralizationReport)
    assert_type(report["occam"].value, float)
    assert_type(sklstm.generalization_report(model, X, y), GeneralizationReport)
    assert_type(sklstm.certify(model, X, {"a": 0.1}), tuple[Floats, Floats])
    under = sklstm.noise_interval(model, X, [0.1, 0.2], coverage=0.9, noise="laplace", n_draws=1000, random_state=0)
    assert_type(under, tuple[Floats, Floats])
    lower, upper = sklstm.prediction_interval(model, X, y, X, coverage=0.9, eps=0.1, method="linear")
    bound = occam_certificate({}, lambda weights: 0.1, 10)
    assert_type(model.quantized(bound), TikhonovLSTMRegressor)
    assert_type(model.quantized(bound).predict(X), Floats)

    model.save(path)
    model.save(str(path))
    assert_type(TikhonovLSTMRegressor.load(path, device="cpu"), TikhonovLSTMRegressor)
    model.to_onnx(path, with_lengths=True)
    loaded: TikhonovGRURegressor = sklstm.load(path)
    assert_type(loaded.predict(list(X)), Floats)

    TikhonovLSTMRegressor("16")  # type: ignore[arg-type]
    TikhonovLSTMRegressor(16, 0.01)  # type: ignore[call-arg]
    TikhonovLSTMRegressor(hidden=16)  # type: ignore[call-arg]
    TikhonovLSTMRegressor(variant="loose")  # type: ignore[arg-type]
    TikhonovLSTMRegressor(readout="softmax")  # type: ignore[arg-type]
    TikhonovLSTMRegressor(optimizer="lbfgs")  # type: ignore[arg-type]
    TikhonovLSTMRegressor(lr_schedule="linear")  # type: ignore[arg-type]
    TikhonovLSTMRegressor(lr=None)  # type: ignore[arg-type]
    TikhonovLSTMRegressor(max_epochs=1.5)  # type: ignore[arg-type]
    TikhonovGRURegressor(compression=4)  # type: ignore[arg-type]
    TikhonovGRURegressor(random_state=np.random.default_rng(0))  # type: ignore[arg-type]
    TikhonovGRURegressor(device=0)  # type: ignore[arg-type]
    TikhonovGRURegressor(precision="half")  # type: ignore[arg-type]
    model.fit(X)  # type: ignore[call-arg]
    model.certify(X, 0.1, method="best of all")  # type: ignore[arg-type]
    model.certify(X, 0.1, "best")  # type: ignore[call-arg]
    model.holdout_bound(X, y, method="binomial")  # type: ignore[arg-type]
    model.holdout_bound(X, y, delta="0.05")  # type: ignore[arg-type]
    model.save(3)  # type: ignore[arg-type]
    TikhonovGRURegressor.load(path, device=0)  # type: ignore[arg-type]
    sklstm.load(3)  # type: ignore[arg-type]
    sklstm.noise_interval(model, X, 0.1, noise="cauchy")  # type: ignore[arg-type]
    sklstm.noise_interval(model, X, 0.1, n_draws="many")  # type: ignore[arg-type]
    sklstm.noise_interval(model, X, 0.1, 0.95)  # type: ignore[call-arg]
    sklstm.prediction_interval(model, X, y)  # type: ignore[call-arg]
    sklstm.prediction_interval(model, X, y, X, method="crown")  # type: ignore[arg-type]
    label: str = model.predict(X)  # type: ignore[assignment]
    del label, lower, upper


def classification(X: Floats, y: NDArray[np.str_]) -> None:
    model = NoisyRNNClassifier(8, sigma=0.2, noise="dropout", max_norm_w=1.0, class_weight={"up": 2.0}, random_state=0)
    assert_type(model.fit(X, y), NoisyRNNClassifier)
    assert_type(model.partial_fit(X, y, classes=["down", "up"]), NoisyRNNClassifier)
    assert_type(model.predict(X), NDArray[Any])
    assert_type(model.predict_proba(X), Floats)
    assert_type(model.predict_log_proba(X), Floats)
    assert_type(model.decision_function(X), Floats)
    assert_type(model.certified_radius(X, rtol=0.1), Floats)
    assert_type(model.certified_accuracy(X, y, 0.1), float)
    assert_type(model.certify(X, [0.1, 0.2]), tuple[Floats, Floats])
    assert_type(model.holdout_bound(X, y, delta=0.01), HoldoutBound)
    assert_type(model.generalization_report(X, y), GeneralizationReport)
    assert_type(model.quantized(occam_certificate({}, lambda weights: 0.1, 10)), NoisyRNNClassifier)

    assert_type(sklstm.smoothed_radius(model, X, 0.1, n_draws=1000, abstain="?"), tuple[NDArray[Any], Floats])
    assert_type(sklstm.smoothed_predict(model, X, {"a": 0.1}, confidence=0.99), NDArray[Any])
    assert_type(sklstm.certified_radius(model, X, method="auto"), Floats)
    assert_type(sklstm.certified_accuracy(model, X, y, 0.1), float)
    sklstm.smoothed_radius(model, X, 0.1, n_draws="auto")  # type: ignore[arg-type]
    sklstm.smoothed_predict(model, X, 0.1, n_select=10)  # type: ignore[call-arg]

    gated = TikhonovLSTMClassifier(8, lambda_s=0.1, num_layers=2, noise="laplace", class_weight="balanced")
    assert_type(gated.fit(X, y), TikhonovLSTMClassifier)
    assert_type(gated.certified_radius(X), Floats)
    assert_type(gated.rho_h_, float | Floats)

    TikhonovLSTMClassifier(readout="linear")  # type: ignore[call-arg]
    TikhonovGRUClassifier(margin=1.0)  # type: ignore[call-arg]
    NoisyRNNClassifier(noise="cauchy")  # type: ignore[arg-type]
    NoisyRNNClassifier(class_weight="uniform")  # type: ignore[arg-type]
    NoisyRNNClassifier(class_weight=[1.0, 2.0])  # type: ignore[arg-type]
    NoisyRNNClassifier(max_norm_w="1")  # type: ignore[arg-type]
    NoisyRNNClassifier(lambda_s=0.1)  # type: ignore[call-arg]
    model.certified_radius(X, rtol="small")  # type: ignore[arg-type]
    model.holdout_bound(X, y, cap=1.0)  # type: ignore[call-arg]


def preprocessing(series: Floats, table: object) -> None:
    windows, targets = sliding_windows(series, 12, range(1, 4))
    assert_type(windows, NDArray[Any])
    _, _, times = sliding_windows(series, 12, times=series)
    assert_type(times, Any)
    scaler = SequenceScaler(2, padding_value=0.0)
    assert_type(scaler.fit(windows), SequenceScaler)
    assert_type(scaler.transform(windows), Any)  # an array, or the form of X
    padded = pad_sequences([series])
    assert_type(padded, NDArray[Any])
    padded, mask = pad_sequences([series], side="right", return_mask=True)
    assert_type(mask, NDArray[np.bool_])
    assert_type(unpad_sequences(padded, mask), list[NDArray[Any]])
    gather = SequencesFromTable("id", "time", channels=["load"], target="y")
    assert_type(gather.fit(table), SequencesFromTable)
    assert_type(gather.transform(table), Any)  # a Series of arrays, or a list
    del targets

    sliding_windows(series, "12")  # type: ignore[call-overload]
    SequenceScaler(padding_value="0")  # type: ignore[arg-type]
    SequenceScaler(2, False)  # type: ignore[call-arg]
    pad_sequences([series], length="3")  # type: ignore[call-overload]
    SequencesFromTable("id", allow_nan="no")  # type: ignore[arg-type]


def pictures(model: TikhonovLSTMRegressor, X: Floats, y: Floats) -> None:
    assert_type(LossCurveDisplay.from_estimator(model, name="LSTM").plot(linewidth=2), LossCurveDisplay)
    band = CertifiedBandDisplay.from_estimator(model, X, eps=[0.1, 0.2], y=y, method="linear")
    assert_type(band, CertifiedBandDisplay)
    noisy = NoiseRobustnessDisplay.from_estimator(model, X, y, sigmas=[0.0, 0.1], scale=X.std(axis=(0, 1)), metric=max)
    make_noisy_scorer("r2", [0.1, 0.2], noise="laplace", random_state=None)
    make_noisy_scorer("r2", 0.1, noise="cauchy")  # type: ignore[arg-type]
    assert_type(noisy, NoiseRobustnessDisplay)

    LossCurveDisplay([1, 2], [0.1, 0.1])  # type: ignore[call-arg]
    CertifiedBandDisplay.from_estimator(model, X, eps=0.1, method="guess")  # type: ignore[arg-type]
    NoiseRobustnessDisplay.from_estimator(model, X, y)  # type: ignore[call-arg]


def mathematics(recurrent: torch.nn.LSTM, readout: torch.nn.Linear, X: torch.Tensor) -> None:
    assert_type(tikhonov_gains(X, X, variant="tight"), TikhonovGains)
    network = RecurrentNetwork.from_torch(recurrent, readout)
    assert_type(output_bounds(network, X - 0.1, X + 0.1), Interval)
    assert_type(spectral_norm(X), torch.Tensor)
    assert_type(holdout_bound(np.zeros(10)).at_delta(0.1), HoldoutBound)
    spectral_norm(X.numpy())  # type: ignore[arg-type]
    output_bounds(recurrent, X, X)  # type: ignore[arg-type]
    holdout_bound(np.zeros(10), delta="0.1")  # type: ignore[arg-type]
