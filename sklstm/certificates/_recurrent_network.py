"""The weights of a recurrent network, from which certificates are computed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ._enclosed_cells import ENCLOSURES
from ._enclosed_layer import EnclosedLayer, LayerWeights
from ._plane_layers import PLANES, PlaneLayer


@dataclass(frozen=True)
class RecurrentNetwork:
    """A stack of recurrent layers of one cell, with a linear readout at the last step, and optionally a linear part.

    Parameters
    ----------
    cell : {"lstm", "gru", "relu", "tanh"}
        Cells as torch defines them; the last two are ``nn.RNN`` with that ``nonlinearity``.
    layers : sequence of LayerWeights
        First layer first: ``weight_ih`` (G·H, d), ``weight_hh`` (G·H, H), ``bias_ih`` and ``bias_hh`` (G·H,) or
        None, gates stacked as torch stacks them.
    weight_out : Tensor of shape (k, H)
    bias_out : Tensor of shape (k,), optional
    weight_linear : Tensor of shape (k, p * d), optional
        Weight of a linear part. Its product with the last p steps of the input, all channels of the first of them
        first, is added to the outputs. In a shorter sequence the missing steps count as zeros.

    Raises
    ------
    ValueError
        For an unknown cell, no layers, shapes that do not fit, mixed dtypes, or weights that are not finite.

    Examples
    --------
    A ReLU unit that adds up its inputs:

    >>> import torch
    >>> from sklstm.certificates import LayerWeights, RecurrentNetwork
    >>> one = torch.ones(1, 1)
    >>> network = RecurrentNetwork("relu", [LayerWeights(one, one)], weight_out=-one)
    >>> X = torch.tensor([[[1.0], [2.0], [3.0]]])
    >>> network.hidden(X), network.outputs(X)
    (tensor([[6.]]), tensor([[-6.]]))
    >>> len(network.enclosed()), len(network.planes()), network.dtype
    (1, 1, torch.float32)

    The network of torch's own layers:

    >>> gru, readout = torch.nn.GRU(3, 8, num_layers=2, batch_first=True), torch.nn.Linear(8, 1)
    >>> network = RecurrentNetwork.from_torch(gru, readout)
    >>> X = torch.ones(4, 5, 3)
    >>> torch.allclose(network.outputs(X), readout(gru(X)[0][:, -1]))
    True

    With the sum of the last two steps, of all channels, added to the output:

    >>> network = RecurrentNetwork.from_torch(gru, readout, weight_linear=torch.ones(1, 6))
    >>> torch.allclose(network.outputs(X), readout(gru(X)[0][:, -1]) + 6)
    True
    >>> network.linear_columns(n_steps=1), network.seen_by_linear(X).shape  # those of the last step; the last two steps
    (tensor([[1., 1., 1.]]), torch.Size([4, 6]))
    """

    cell: str
    layers: Sequence[LayerWeights]
    weight_out: Tensor
    bias_out: Tensor | None = None
    weight_linear: Tensor | None = None

    def __post_init__(self) -> None:
        if self.cell not in ENCLOSURES:
            raise ValueError(f"cell must be one of {sorted(ENCLOSURES)}, got {self.cell!r}.")
        if not self.layers:
            raise ValueError("layers must hold the weights of at least one layer.")
        n_inputs = n_channels = self.layers[0].weight_ih.shape[-1]
        n_gates = ENCLOSURES[self.cell].n_gates
        for layer in self.layers:
            hidden_size = layer.weight_hh.shape[-1]
            rows = n_gates * hidden_size
            expected: dict[str, tuple[int, ...]] = {"weight_ih": (rows, n_inputs), "weight_hh": (rows, hidden_size)}
            expected |= {"bias_ih": (rows,), "bias_hh": (rows,)}
            for name, shape in expected.items():
                self._check(name, getattr(layer, name), shape)
            n_inputs = hidden_size
        self._check("weight_out", self.weight_out, (len(self.weight_out), n_inputs))
        self._check("bias_out", self.bias_out, (len(self.weight_out),))
        if self.weight_linear is not None:
            n_steps = max(1, self.weight_linear.shape[-1] // n_channels)
            self._check("weight_linear", self.weight_linear, (len(self.weight_out), n_steps * n_channels))

    @classmethod
    def from_torch(
        cls, recurrent: nn.RNNBase, readout: nn.Linear, weight_linear: Tensor | None = None
    ) -> "RecurrentNetwork":
        """The network of a torch module, ``nn.LSTM``, ``nn.GRU`` or ``nn.RNN``, and its readout.

        Parameters
        ----------
        recurrent : nn.LSTM, nn.GRU or nn.RNN
            The network uses its weights without a copy.
        readout : nn.Linear
            Linear layer from the last state of the top layer to the outputs.
        weight_linear : Tensor of shape (k, p * d), optional
            Weight of a linear part; see the class.

        Returns
        -------
        RecurrentNetwork

        Raises
        ------
        ValueError
            For another layer, or one that is bidirectional or has projections.
        """
        cells = {enclosure.torch_mode: cell for cell, enclosure in ENCLOSURES.items()}
        # Exactly these classes: a subclass may compute something else.
        if type(recurrent) not in {enclosure.torch_layer for enclosure in ENCLOSURES.values()}:
            raise ValueError(f"only torch's own recurrent layers can be certified, got {type(recurrent).__name__}.")
        if recurrent.mode not in cells or recurrent.bidirectional or recurrent.proj_size:
            raise ValueError(
                f"only torch layers with mode {', '.join(cells)} can be certified, in one direction and without "
                f"projections; got {recurrent} with mode {recurrent.mode}."
            )
        weights = dict(recurrent.named_parameters())
        layers = [
            LayerWeights(
                **{name: weights[f"{name}_l{k}"] for name in LayerWeights._fields if f"{name}_l{k}" in weights}
            )
            for k in range(recurrent.num_layers)
        ]
        return cls(cells[recurrent.mode], layers, readout.weight, readout.bias, weight_linear)

    def _check(self, name: str, weight: Tensor | None, shape: tuple[int, ...]) -> None:
        if weight is None:
            return
        if tuple(weight.shape) != shape:
            raise ValueError(f"{name} of the {self.cell} network must have shape {shape}, got {tuple(weight.shape)}.")
        if weight.dtype != self.dtype:
            raise ValueError(f"all weights must share one dtype; {name} is {weight.dtype}, not {self.dtype}.")
        if not torch.isfinite(weight).all():
            raise ValueError(f"{name} holds values that are not finite.")

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights; certificates are computed in it."""
        return self.weight_out.dtype

    @torch.no_grad()
    def enclosed(self) -> list[EnclosedLayer]:
        """The layers as `EnclosedLayer` objects, which evaluate boxes of inputs.

        Returns
        -------
        list of EnclosedLayer
            Layers, first layer first.
        """
        return [ENCLOSURES[self.cell](layer) for layer in self.layers]

    @torch.no_grad()
    def planes(self) -> list[PlaneLayer]:
        """The layers as `PlaneLayer` objects, for backward substitution.

        Returns
        -------
        list of PlaneLayer
            Layers, first layer first.
        """
        return [PLANES[self.cell](layer) for layer in self.layers]

    @torch.no_grad()
    def hidden(self, X: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The last hidden state of the top layer, computed by torch's layers.

        Parameters
        ----------
        X : Tensor of shape (n, L, d)
        lengths : Tensor of int64 of shape (n,), optional
            Number of steps of each sequence, by default L.

        Returns
        -------
        Tensor of shape (n, H)
        """
        bias = self.layers[0].bias_ih is not None
        enclosure = ENCLOSURES[self.cell]
        for layer in self.layers:
            # On the meta device, so that the layer has no memory of its own and draws no random numbers.
            module = enclosure.torch_layer(
                *layer.weight_ih.shape[1:],
                layer.weight_hh.shape[1],
                bias=bias,
                batch_first=True,
                device="meta",
                dtype=self.dtype,
                **enclosure.torch_options,
            )
            weights = {f"{name}_l0": weight for name, weight in layer._asdict().items() if weight is not None}
            X = _states(module, weights, X)
        return X[:, -1] if lengths is None else X[torch.arange(len(X), device=X.device), lengths - 1]

    def outputs(self, X: Tensor) -> Tensor:
        """Outputs of the network.

        Parameters
        ----------
        X : Tensor of shape (n, L, d)

        Returns
        -------
        Tensor of shape (n, k)
        """
        outputs = nn.functional.linear(self.hidden(X), self.weight_out, self.bias_out)
        weight = self.linear_columns(X.shape[1])
        return outputs if weight is None else outputs + nn.functional.linear(self.seen_by_linear(X), weight)

    def linear_columns(self, n_steps: int) -> Tensor | None:
        """Columns of the linear part for sequences of some length.

        Parameters
        ----------
        n_steps : int

        Returns
        -------
        Tensor of shape (k, q * d) or None
            The columns for the last q steps, at most ``n_steps``; None without a linear part.
        """
        if self.weight_linear is None:
            return None
        return self.weight_linear.detach()[:, -n_steps * self.layers[0].weight_ih.shape[-1] :]

    def seen_by_linear(self, X: Tensor) -> Tensor:
        """The inputs that these columns are multiplied with.

        Parameters
        ----------
        X : Tensor of shape (..., L, d)

        Returns
        -------
        Tensor of shape (..., q * d)
            Inputs; q = 0 without a linear part.
        """
        weight = self.linear_columns(X.shape[-2])
        flat = X.flatten(-2)
        return flat[..., flat.shape[-1] - (0 if weight is None else weight.shape[1]) :]


def _states(module: nn.RNNBase, weights: dict[str, Tensor], X: Tensor) -> Tensor:
    """States (n, L, H) of a layer on the meta device, with these weights."""
    states: Tensor = run_layer(module, weights, X)[0]
    return states


def run_layer(module: nn.RNNBase, weights: dict[str, Tensor], X: Tensor) -> Any:
    """The result of a layer on the meta device with these weights: its states, and the last one or ones."""
    if X.device.type == "cpu":
        return torch.func.functional_call(module, weights, (X,))
    return _filled(module, weights, X.device)(X)


def _filled(module: nn.RNNBase, weights: dict[str, Tensor], device: torch.device) -> nn.RNNBase:
    """The layer with a copy of the weights; on CUDA in one block of memory, as cuDNN requires."""
    module = module.to_empty(device=device)
    module.load_state_dict(weights)
    return module
