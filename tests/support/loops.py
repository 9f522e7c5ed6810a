"""The loops that a PyTorch user writes by hand: what every fit is measured against. Needs torch only."""

import torch
from torch import nn


class LastState(nn.Module):
    """A recurrent layer of torch and a linear readout of its last state; perhaps a linear layer of the whole input."""

    def __init__(self, layer, n_outputs, bias=True, linear=None):
        super().__init__()
        self.layer = layer
        self.readout = nn.Linear(layer.hidden_size, n_outputs, bias=bias)
        self.linear = linear

    def forward(self, X):
        state = self.layer(X)[1]
        outputs = self.readout((state[0] if isinstance(state, tuple) else state)[-1])
        return outputs if self.linear is None else outputs + self.linear(X.flatten(1))


def lstm(n_features, hidden_size):
    return LastState(nn.LSTM(n_features, hidden_size, batch_first=True), 1)


def tanh_rnn(n_features, hidden_size):
    return LastState(nn.RNN(n_features, hidden_size, batch_first=True), 1)


def relu_rnn(n_features, hidden_size, n_classes):
    """Without biases, recurrent weights starting at the identity, as the classifier of this package has it."""
    layer = nn.RNN(n_features, hidden_size, nonlinearity="relu", bias=False, batch_first=True)
    nn.init.eye_(layer.weight_hh_l0)
    return LastState(layer, n_classes, bias=False)


def train(make, criterion, X, y, *, batch_size, epochs, lr, fused=None, clip=None, sigma=0.0, cosine=False):
    """Adam on shuffled slices of one tensor. `fused` is torch's: None is Adam as it comes."""
    torch.manual_seed(0)
    module = make()
    optimizer = torch.optim.Adam(module.parameters(), lr=lr, fused=fused)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs, lr / 100) if cosine else None
    for _ in range(epochs):
        for part in torch.tensor_split(torch.randperm(len(X)), -(-len(X) // batch_size)):
            batch = X[part]
            if sigma:
                batch = batch + sigma * torch.randn_like(batch)
            optimizer.zero_grad()
            loss = criterion(module(batch), y[part])
            loss.backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(module.parameters(), clip)
            optimizer.step()
        if schedule is not None:
            schedule.step()
    return module
