"""A small net with a known answer, for tests of training."""

import torch
from skorch.helper import predefined_split
from torch import nn

from sklstm.training import SequenceDataset, SequenceNet
from sklstm.training._process import seeded_construction


class LastStep(nn.Module):
    """Linear in the last step."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 1)

    def forward(self, X):
        return self.linear(X[:, -1])


def linear_data(n=64, seed=0, sign=1.0):
    """The last step's x_1 - 2 x_2 + 1/2, times ``sign``."""
    X = torch.randn(n, 3, 2, generator=torch.Generator().manual_seed(seed))
    return SequenceDataset(X, sign * (X[:, -1] @ torch.tensor([[1.0], [-2.0]]) + 0.5))


def make_net(callbacks=(), validation=None, **options):
    settings = {"optimizer": torch.optim.SGD, "lr": 0.05, "max_epochs": 6, "batch_size": 16} | options
    net = SequenceNet(
        LastStep,
        nn.MSELoss,
        train_split=None if validation is None else predefined_split(validation),
        callbacks=list(callbacks),
        verbose=0,
        generator=torch.Generator().manual_seed(0),
        **settings,
    )
    with seeded_construction(0):
        return net.initialize()


def weights(net):
    return torch.cat([parameter.detach().flatten().clone() for parameter in net.module_.parameters()])
