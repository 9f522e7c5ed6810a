"""What users of this field do instead, in the plain way, and how to let them do it without leaving traces."""

import warnings
from contextlib import contextmanager

import torch
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from torch import nn

from sklstm import NoisyRNNClassifier, TikhonovGRURegressor, TikhonovLSTMRegressor

# Without the bound, which no row is about, except where one says so.
QUICK = {"hidden_size": 8, "max_epochs": 3, "random_state": 0}


class Network(nn.Module):
    """An LSTM and a linear layer on its last output."""

    def __init__(self, n_features=2, hidden_size=8, n_outputs=1):
        super().__init__()
        self.lstm = nn.LSTM(n_features, hidden_size, batch_first=True)
        self.linear = nn.Linear(hidden_size, n_outputs)

    def forward(self, X):
        return self.linear(self.lstm(X)[0][:, -1])


class OneLogit(Network):
    """The same, as skorch's binary classifier wants it: (n,)."""

    def forward(self, X):
        return super().forward(X)[:, 0]


def skorch_regressor(**parameters):
    defaults = {"optimizer": torch.optim.Adam, "lr": 0.01, "max_epochs": 3, "verbose": 0}
    return NeuralNetRegressor(Network, **defaults | parameters)


def skorch_classifier(**parameters):
    defaults = {"optimizer": torch.optim.Adam, "lr": 0.01, "max_epochs": 3, "verbose": 0, "module__n_outputs": 2}
    return NeuralNetClassifier(Network, criterion=nn.CrossEntropyLoss, **defaults | parameters)


def skorch_binary_classifier(**parameters):
    defaults = {"optimizer": torch.optim.Adam, "lr": 0.01, "max_epochs": 3, "verbose": 0}
    return NeuralNetBinaryClassifier(OneLogit, **defaults | parameters)


def lstm(**parameters):
    return TikhonovLSTMRegressor(**QUICK | parameters)


def gru(**parameters):
    return TikhonovGRURegressor(**QUICK | parameters)


def noisy(**parameters):
    return NoisyRNNClassifier(**QUICK | parameters)


@contextmanager
def quarantine(seed=0):
    """A block of the peers' code: torch's global random state is seeded for it and restored, warnings are not shown."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        yield
