"""A trained network as an ONNX graph, written from its weights: batch and time axes stay free.

torch's own exporter runs the network on an example and may fix the lengths of the example in the graph.
"""

from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from typing import Any

import numpy as np
from torch import Tensor, nn

from sklstm.networks._networks import is_plain

# Old enough for runtimes of several years ago; nothing newer is needed.
_OPSET, _IR_VERSION = 17, 8

# For each cell: ONNX's operator, torch's gates in ONNX's order (i, o, f, c and z, r, h), and the operator's attributes.
# torch's reset gate multiplies the product with the recurrent matrix, bias included: linear_before_reset.
_CELLS: Mapping[str, tuple[str, tuple[int, ...], Mapping[str, Any]]] = {
    "lstm": ("LSTM", (0, 3, 1, 2), {}),
    "gru": ("GRU", (1, 0, 2), {"linear_before_reset": 1}),
    "relu": ("RNN", (0,), {"activations": ["Relu"]}),
    "tanh": ("RNN", (0,), {"activations": ["Tanh"]}),
}


def onnx_model(
    module: Any,
    *,
    classes: np.ndarray | None = None,
    one_output: bool = False,
    with_lengths: bool = False,
    layout: str = "ntc",
    metadata: Mapping[str, str] | None = None,
) -> Any:
    """The checked graph of one of the package's modules.

    Parameters
    ----------
    module : nn.Module
        A module with ``cell``, one recurrent torch layer or stack, and a ``readout``.
    classes : ndarray of shape (k,), optional
        Labels: int, float, bool or str. With them the graph returns labels and probabilities, without them the
        network's outputs.
    one_output : bool, default=False
        Whether predictions have the shape (n,) instead of (n, 1).
    with_lengths : bool, default=False
        Whether the graph also takes the number of steps of every sequence.
    layout : {"ntc", "nct"}, default="ntc"
        Layout of the graph's input.
    metadata : mapping of str to str, optional
        Metadata of the model.

    Returns
    -------
    onnx.ModelProto
        A model with the input ``X`` (n, L, d), or (n, d, L), float32 and, with ``with_lengths``, ``lengths`` (n,)
        int64. Its outputs are ``label`` (n,) and ``probabilities`` (n, k), or ``prediction``.

    Raises
    ------
    ImportError
        If the package onnx is not installed.
    TypeError
        If ONNX has no type for the labels, or the network is not one of `sklstm.networks`.

    Examples
    --------
    >>> from sklstm.networks import GRUNetwork
    >>> from sklstm.persistence._onnx import onnx_model
    >>> graph = onnx_model(GRUNetwork(n_features=3, hidden_size=4, n_outputs=1), one_output=True).graph
    >>> "GRU" in [node.op_type for node in graph.node], graph.output[0].name
    (True, 'prediction')
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError('ONNX export needs the package onnx: pip install "sklstm[onnx]"') from error
    if not is_plain(module) or module.cell not in _CELLS:
        raise TypeError(
            "ONNX graphs are made from torch's LSTM, GRU and plain recurrent layers with a linear readout of the "
            f"last state, and a linear part. {type(module).__name__} is another network."
        )
    graph = _Graph(onnx)
    (recurrent,) = (part for part in module.children() if isinstance(part, nn.RNNBase))
    axes: list[str | int] = ["n", "steps", recurrent.input_size]
    X = "X"
    if layout == "nct":
        axes[1:] = axes[:0:-1]
        X = graph.add("Transpose", ["X"], "X_ntc", perm=[0, 2, 1])
    inputs = [graph.tensor_info("X", np.float32, axes)]
    lengths = ""
    if with_lengths:
        inputs.append(graph.tensor_info("lengths", np.int64, ["n"]))
        lengths = graph.add("Cast", ["lengths"], "lengths_int32", to=onnx.TensorProto.INT32)
    state = _recurrence(graph, X, module.cell, recurrent, lengths)
    outputs = _readout(graph, X, module, state, with_lengths)
    n_outputs = module.readout.out_features
    if classes is not None:
        results = _classification(graph, outputs, classes)
    elif one_output:
        graph.squeeze(outputs, 1, "prediction")
        results = [graph.tensor_info("prediction", np.float32, ["n"])]
    else:
        graph.add("Identity", [outputs], "prediction")
        results = [graph.tensor_info("prediction", np.float32, ["n", n_outputs])]
    helper = onnx.helper
    model = helper.make_model(
        helper.make_graph(graph.nodes, type(module).__name__, inputs, results, graph.constants),
        producer_name="sklstm",
        producer_version=version("sklstm"),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )
    helper.set_model_props(model, {"sklstm_version": version("sklstm"), **(metadata or {})})
    onnx.checker.check_model(model, full_check=True)
    return model


class _Graph:
    """Nodes and constants so far; every node has one output, named by the caller."""

    def __init__(self, onnx: Any):
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def tensor_info(self, name: str, dtype: Any, shape: list[str | int]) -> Any:
        helper = self.onnx.helper
        if np.dtype(dtype) == object:
            return helper.make_tensor_value_info(name, self.onnx.TensorProto.STRING, shape)
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)

    def squeeze(self, tensor: str, axis: int, name: str) -> str:
        return self.add("Squeeze", [tensor, self.constant(f"{name}_axis", np.array([axis]))], name)

    def constant(self, name: str, values: np.ndarray) -> str:
        self.constants.append(self.onnx.numpy_helper.from_array(values, name))
        return name

    def add(self, operator: str, inputs: list[str], name: str, **attributes: Any) -> str:
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name


def _recurrence(graph: _Graph, X: str, cell: str, recurrent: nn.RNNBase, lengths: str) -> str:
    """Name of the last layer's state (n, H) after the last step of every sequence."""
    operator, order, attributes = _CELLS[cell]
    steps = graph.add("Transpose", [X], "steps_first", perm=[1, 0, 2])  # (L, n, d), ONNX's layout
    for number, (weight_ih, weight_hh, *biases) in enumerate(recurrent.all_weights):
        names = [
            graph.constant(f"layer_{number}_{name}", np.concatenate([_reordered(part, order) for part in parts])[None])
            for name, parts in (("W", [weight_ih]), ("R", [weight_hh]), ("B", biases))
            if parts
        ]
        names += [""] * (3 - len(names)) + [lengths] * bool(lengths)
        last = number == recurrent.num_layers - 1
        # Y (L, 1, n, H), of all steps, and Y_h (1, n, H), of the last step of each sequence.
        produced = ["", f"layer_{number}_last"] if last else [f"layer_{number}_all"]
        node = graph.onnx.helper.make_node(
            operator,
            [steps, *_without_trailing_blanks(names)],
            produced,
            name=f"layer_{number}",
            hidden_size=recurrent.hidden_size,
            **attributes,
        )
        graph.nodes.append(node)
        steps = graph.squeeze(produced[-1], 0 if last else 1, f"layer_{number}_state")
    return steps


def _reordered(part: Tensor, order: tuple[int, ...]) -> np.ndarray:
    gates = np.split(_array(part), len(order))
    return np.concatenate([gates[gate] for gate in order])


def _without_trailing_blanks(names: list[str]) -> list[str]:
    while names and not names[-1]:
        names = names[:-1]
    return names


def _readout(graph: _Graph, X: str, module: Any, state: str, with_lengths: bool) -> str:
    inputs = [state, graph.constant("readout_weight", _array(module.readout.weight))]
    if module.readout.bias is not None:
        inputs.append(graph.constant("readout_bias", _array(module.readout.bias)))
    outputs = graph.add("Gemm", inputs, "outputs", transB=1)
    if module.linear_part is not None:
        weight = graph.constant("linear_weight", _array(module.linear_part.weight))
        last = _last_steps(graph, X, module.linear_part.n_steps, with_lengths)
        outputs = graph.add("Gemm", [last, weight, outputs], "outputs_and_linear", transB=1)
    if module.is_logistic:
        outputs = graph.add("Sigmoid", [outputs], "linked")
    return outputs


def _last_steps(graph: _Graph, X: str, n_steps: int, with_lengths: bool) -> str:
    """Name of the last steps (n, n_steps * d) of every sequence, with zeros for missing steps."""
    zeros_before = graph.constant("zeros_before", np.array([0, n_steps, 0, 0, 0, 0]))
    padded = graph.add("Pad", [X, zeros_before], "padded")
    if with_lengths:
        # In a padded sequence of length l these are the steps l to l + n_steps - 1.
        rows = graph.add("Unsqueeze", ["lengths", graph.constant("lengths_axis", np.array([1]))], "lengths_rows")
        places = graph.add("Add", [rows, graph.constant("first_places", np.arange(n_steps))], "places_flat")
        places = graph.add("Unsqueeze", [places, graph.constant("places_axis", np.array([2]))], "places")
        last = graph.add("GatherND", [padded, places], "last_steps", batch_dims=1)
    else:
        bounds = {"starts": -n_steps, "ends": np.iinfo(np.int64).max, "axes": 1}
        names = [graph.constant(f"slice_{name}", np.array([value])) for name, value in bounds.items()]
        last = graph.add("Slice", [padded, *names], "last_steps")
    return graph.add("Flatten", [last], "last_steps_flat", axis=1)


def _classification(graph: _Graph, logits: str, classes: np.ndarray) -> list[Any]:
    labels = _onnx_labels(classes)
    graph.add("Softmax", [logits], "probabilities", axis=1)
    # Of the outputs, as in `predict`; of equal ones the first.
    best = graph.add("ArgMax", [logits], "best", axis=1, keepdims=0)
    graph.add("Gather", [graph.constant("classes", labels), best], "label", axis=0)
    return [
        graph.tensor_info("label", labels.dtype, ["n"]),
        graph.tensor_info("probabilities", np.float32, ["n", len(classes)]),
    ]


def _onnx_labels(classes: np.ndarray) -> np.ndarray:
    """The labels in a dtype that ONNX has: int64, float64, bool, or strings as objects."""
    kinds = {type(label) for label in classes.tolist()}
    if kinds == {str}:
        return classes.astype(object)
    for kind, dtype in ((bool, np.bool_), (int, np.int64), (float, np.float64)):
        if kinds == {kind}:
            with suppress(OverflowError):  # of integers beyond 64 bits
                return np.array(classes.tolist(), dtype=dtype)
    raise TypeError(f"ONNX has no type for labels of {', '.join(sorted(kind.__name__ for kind in kinds))}.")


def _array(tensor: Tensor) -> np.ndarray:
    return np.array(tensor.detach().cpu().numpy())
