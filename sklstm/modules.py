"""The two networks: forward passes only. Sequences in, last step out (many-to-one)."""

from typing import cast

import torch
from torch import Tensor, nn

__all__ = ["READOUTS", "LSTMRegressorModule", "ReLURNNModule"]

READOUTS = {"linear": nn.Identity, "logistic": nn.Sigmoid}


class LSTMRegressorModule(nn.Module):
    r"""LSTM (5)–(11) of Turkin 2017 with readout :math:`y = W_{hy} h(L) + b_y`, or its logistic (1).

    The readout bias is not in the paper; it shifts every output alike, so it drops out of every perturbation.

    Parameters
    ----------
    n_features : int
        Channels d.
    hidden_size : int
        Units H.
    n_outputs : int
        Outputs k.
    readout : {"linear", "logistic"}
    dtype : torch.dtype
    """

    def __init__(
        self,
        n_features: int,
        hidden_size: int,
        n_outputs: int,
        readout: str = "linear",
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__()
        self.link: nn.Module = READOUTS[readout]()
        self.lstm = nn.LSTM(n_features, hidden_size, batch_first=True, dtype=dtype)
        self.readout = nn.Linear(hidden_size, n_outputs, dtype=dtype)

    @property
    def weights(self) -> tuple[Tensor, Tensor, Tensor]:
        """Input (4H, d), recurrent (4H, H) and readout (k, H) matrices, the arguments of the penalty."""
        lstm = self.lstm
        return cast(Tensor, lstm.weight_ih_l0), cast(Tensor, lstm.weight_hh_l0), self.readout.weight

    @torch.no_grad()
    def scale_recurrent_(self, factor: float) -> None:
        """Multiply the recurrent matrices of all gates by one factor, in place."""
        self.weights[1].mul_(factor)

    def forward(self, X: Tensor) -> Tensor:
        """(n, L, d) → (n, k)."""
        _, (h, _) = self.lstm(X)  # h: (1, n, H)
        return self.link(self.readout(h[0]))


class ReLURNNModule(nn.Module):
    r"""Bias-free ReLU network (1) of Tu et al. 2020: :math:`h_t = \rho(U x_t + W h_{t-1})`, :math:`y_L = V h_L`.

    The recurrent matrix starts at ``recurrent_scale`` times the identity (Le, Jaitly & Hinton 2015, arXiv:1504.00941):
    gradients then neither vanish nor explode over a hundred steps, as they do from torch's uniform start. Rows of U
    and V start uniform with standard deviation :math:`1/\sqrt{d\,L_0}` and :math:`1/\sqrt{m}`, :math:`L_0` being
    ``n_steps``, so that the state, a sum over steps, starts at order one whatever the length.

    Parameters
    ----------
    n_features : int
        Channels d.
    hidden_size : int
        Units m.
    n_outputs : int
        Classes k.
    n_steps : int
        Length for which the input weights are scaled at the start; any length can be passed to forward.
    recurrent_scale : float
    dtype : torch.dtype
    """

    def __init__(
        self,
        n_features: int,
        hidden_size: int,
        n_outputs: int,
        n_steps: int = 1,
        recurrent_scale: float = 1.0,
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__()
        self.rnn = nn.RNN(n_features, hidden_size, nonlinearity="relu", bias=False, batch_first=True, dtype=dtype)
        self.readout = nn.Linear(hidden_size, n_outputs, bias=False, dtype=dtype)
        with torch.no_grad():
            nn.init.eye_(self.W).mul_(recurrent_scale)
            for weight, variance in ((self.U, 1 / (n_features * n_steps)), (self.V, 1 / hidden_size)):
                limit = (3 * variance) ** 0.5
                nn.init.uniform_(weight, -limit, limit)

    @property
    def U(self) -> Tensor:
        """Input matrix (m, d)."""
        return cast(Tensor, self.rnn.weight_ih_l0)

    @property
    def W(self) -> Tensor:
        """Recurrent matrix (m, m)."""
        return cast(Tensor, self.rnn.weight_hh_l0)

    @property
    def V(self) -> Tensor:
        """Readout matrix (k, m)."""
        return self.readout.weight

    def forward(self, X: Tensor) -> Tensor:
        """(n, L, d) → logits (n, k)."""
        _, h = self.rnn(X)  # h: (1, n, m)
        return self.readout(h[0])
