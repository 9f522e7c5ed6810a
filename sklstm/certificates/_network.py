"""What a certificate is about: a recurrent network, as its weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .enclosures import ENCLOSURES, EnclosedLayer, LayerWeights

__all__ = ["RecurrentNetwork"]

_TORCH_LAYERS: dict[str, Callable[..., nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU, "relu": nn.RNN}


@dataclass(frozen=True)
class RecurrentNetwork:
    """A stack of recurrent layers of one cell, read out linearly at the last step.

    Parameters
    ----------
    cell : {"lstm", "gru", "relu"}
        Cells as torch defines them; ``"relu"`` is ``nn.RNN(nonlinearity="relu")``.
    layers : sequence of LayerWeights
        From the input upwards: ``weight_ih`` (G·H, d), ``weight_hh`` (G·H, H), ``bias_ih`` and ``bias_hh`` (G·H,) or
        None, gates stacked as torch stacks them.
    weight_out : Tensor of shape (k, H)
    bias_out : Tensor of shape (k,), optional

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
    >>> len(network.enclosed()), network.dtype
    (1, torch.float32)

    The network of torch's own layers:

    >>> gru, readout = torch.nn.GRU(3, 8, num_layers=2, batch_first=True), torch.nn.Linear(8, 1)
    >>> network = RecurrentNetwork.from_torch(gru, readout)
    >>> X = torch.ones(4, 5, 3)
    >>> torch.allclose(network.outputs(X), readout(gru(X)[0][:, -1]))
    True
    """

    cell: str
    layers: Sequence[LayerWeights]
    weight_out: Tensor
    bias_out: Tensor | None = None

    def __post_init__(self) -> None:
        if self.cell not in ENCLOSURES:
            raise ValueError(f"cell must be one of {sorted(ENCLOSURES)}, got {self.cell!r}.")
        if not self.layers:
            raise ValueError("layers must hold the weights of at least one layer.")
        n_inputs, n_gates = self.layers[0].weight_ih.shape[-1], ENCLOSURES[self.cell].n_gates
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

    @classmethod
    def from_torch(cls, recurrent: nn.RNNBase, readout: nn.Linear) -> "RecurrentNetwork":
        """The network of a torch layer or stack, ``nn.LSTM``, ``nn.GRU`` or ``nn.RNN`` with ReLU, and its readout.

        Parameters
        ----------
        recurrent : nn.LSTM, nn.GRU or nn.RNN
            Its weights are taken as they are, not copied.
        readout : nn.Linear
            From the last state of the top layer to the outputs.

        Returns
        -------
        RecurrentNetwork

        Raises
        ------
        ValueError
            For another layer, or one that is bidirectional or has projections.
        """
        cells = {"LSTM": "lstm", "GRU": "gru", "RNN_RELU": "relu"}
        if recurrent.mode not in cells or recurrent.bidirectional or recurrent.proj_size:
            raise ValueError(
                "only nn.LSTM, nn.GRU and nn.RNN(nonlinearity='relu') can be certified, in one direction and without "
                f"projections; got {recurrent}."
            )
        weights = dict(recurrent.named_parameters())
        layers = [
            LayerWeights(
                **{name: weights[f"{name}_l{k}"] for name in LayerWeights._fields if f"{name}_l{k}" in weights}
            )
            for k in range(recurrent.num_layers)
        ]
        return cls(cells[recurrent.mode], layers, readout.weight, readout.bias)

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
        """The dtype of the weights, which is the one that certificates compute in."""
        return self.weight_out.dtype

    def enclosed(self) -> list[EnclosedLayer]:
        """The layers on boxes.

        Returns
        -------
        list of EnclosedLayer
            From the input upwards.
        """
        return [ENCLOSURES[self.cell](layer) for layer in self.layers]

    @torch.no_grad()
    def hidden(self, X: Tensor) -> Tensor:
        """The last hidden state of the top layer, by torch's own kernels.

        Parameters
        ----------
        X : Tensor of shape (n, L, d)

        Returns
        -------
        Tensor of shape (n, H)
        """
        bias = self.layers[0].bias_ih is not None
        kind = _TORCH_LAYERS[self.cell]
        options = {"nonlinearity": "relu"} if kind is nn.RNN else {}
        for layer in self.layers:
            # Built without memory of its own, and so without drawing from the global generator.
            module = kind(
                *layer.weight_ih.shape[1:],
                layer.weight_hh.shape[1],
                bias=bias,
                batch_first=True,
                device="meta",
                dtype=self.dtype,
                **options,
            )
            weights = {f"{name}_l0": weight for name, weight in layer._asdict().items() if weight is not None}
            X = _states(module, weights, X)
        return X[:, -1]

    def outputs(self, X: Tensor) -> Tensor:
        """Network outputs.

        Parameters
        ----------
        X : Tensor of shape (n, L, d)

        Returns
        -------
        Tensor of shape (n, k)
        """
        return nn.functional.linear(self.hidden(X), self.weight_out, self.bias_out)


def _states(module: nn.RNNBase, weights: dict[str, Tensor], X: Tensor) -> Tensor:
    """States (n, L, H) of a layer that has no memory of its own yet."""
    if X.device.type == "cpu":
        return torch.func.functional_call(module, weights, (X,))[0]
    return _filled(module, weights, X.device)(X)[0]


def _filled(module: nn.RNNBase, weights: dict[str, Tensor], device: torch.device) -> nn.RNNBase:
    """The layer with weights in memory of its own, which on CUDA is one piece, as cuDNN wants it."""
    module = module.to_empty(device=device)
    module.load_state_dict(weights)
    return module
