"""The shipped graph, built by hand: fused attention, int8 weights, one activation scale a token.

The usual dynamic quantization has one scale for all activations of a batch, so what a text scores depends on who is read
beside it. One scale a token costs a few per cent and makes every reading the text's own.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper

Array = NDArray[Any]
HEADS = 12
EPSILON = 1e-12
"""Of BERT's layer norms."""
WEIGHT_LEVELS = 63
"""7 bits: processors without VNNI add two products in 16 bits, which 8 would overflow."""
ACTIVATION_LEVELS = 127
ZERO_POINT = 128
SMALLEST = 1e-6
"""A token whose values were all zero would be divided by zero."""


class _Graph:
    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, Array] = {}
        self._count = 0

    def constant(self, value: Array, name: str | None = None) -> str:
        name = name or f"c{len(self.constants)}"
        self.constants[name] = value
        return name

    def add(self, operator: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes: Any) -> Any:  # noqa: ANN401 - a name or several; what onnx takes
        self._count += 1
        names = [f"{operator.lower()}{self._count}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(operator, list(inputs), names, domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def fused(self, operator: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401 - what onnx takes
        name: str = self.add(operator, *inputs, domain="com.microsoft", **attributes)
        return name


def _quantized(weight: Array) -> tuple[Array, Array]:
    """Give *weight* (in, out) as int8 with one scale a column."""
    scale = np.maximum(np.abs(weight).max(0), 1e-12) / WEIGHT_LEVELS
    return np.round(weight / scale).astype(np.int8), scale.astype(np.float32)


class _Encoder:
    """BERT, layer by layer, over weights named as in the checkpoint."""

    def __init__(self, graph: _Graph, weights: Mapping[str, Array], *, int8: bool) -> None:
        self.g, self.w, self.int8 = graph, weights, int8
        self.zero_point = graph.constant(np.array(ZERO_POINT, np.uint8), "zero_point")
        self.weight_zero = graph.constant(np.array(0, np.int8), "weight_zero")
        self.level = graph.constant(np.array(1 / ACTIVATION_LEVELS, np.float32), "level")
        self.one = graph.constant(np.array(1, np.float32), "one")
        self.smallest = graph.constant(np.array(SMALLEST, np.float32), "smallest")

    def multiply(self, x: str, weight: Array) -> str:
        """Multiply *x* (batch, tokens, in) by *weight* (in, out); the bias is left to the operator that follows."""
        g = self.g
        if not self.int8:
            name: str = g.add("MatMul", x, g.constant(weight.astype(np.float32)))
            return name
        values, scale = _quantized(weight)
        largest = g.add("Clip", g.add("ReduceMax", g.add("Abs", x), axes=[-1], keepdims=1), self.smallest)
        rounded = g.add("QuantizeLinear", g.add("Div", x, largest), self.level, self.zero_point)
        columns = g.constant(scale / np.float32(ACTIVATION_LEVELS))
        product = g.fused("MatMulIntegerToFloat", rounded, g.constant(values), self.one, columns, self.zero_point, self.weight_zero)
        scaled: str = g.add("Mul", product, largest)
        return scaled

    def linear(self, x: str, name: str) -> tuple[str, str]:
        bias = self.g.constant(self.w[f"{name}.bias"].astype(np.float32))
        return self.multiply(x, self.w[f"{name}.weight"].T), bias

    def norm(self, x: str, skip: str, bias: str, name: str) -> str:
        gamma, beta = (self.g.constant(self.w[f"{name}.{part}"].astype(np.float32)) for part in ("weight", "bias"))
        return self.g.fused("SkipLayerNormalization", x, skip, gamma, beta, bias, epsilon=EPSILON)

    def embed(self) -> str:
        g, w = self.g, self.w
        table = w["embeddings.word_embeddings.weight"]
        if self.int8:
            scale = np.abs(table).max(1, keepdims=True) / ACTIVATION_LEVELS
            rows = g.add("Cast", g.add("Gather", g.constant(np.round(table / scale).astype(np.int8)), "ids"), to=TensorProto.FLOAT)
            words = g.add("Mul", rows, g.add("Gather", g.constant(scale.astype(np.float32)), "ids"))
        else:
            words = g.add("Gather", g.constant(table.astype(np.float32)), "ids")
        positions = w["embeddings.position_embeddings.weight"] + w["embeddings.token_type_embeddings.weight"][0]
        length = g.add("Shape", "ids", start=1, end=2)
        start, axis = g.constant(np.array([0], np.int64)), g.constant(np.array([0], np.int64))
        here = g.add("Slice", g.constant(positions.astype(np.float32)), start, length, axis)
        gamma, beta = (g.constant(w[f"embeddings.LayerNorm.{part}"].astype(np.float32)) for part in ("weight", "bias"))
        name: str = g.add("LayerNormalization", g.add("Add", words, here), gamma, beta, axis=-1, epsilon=EPSILON)
        return name

    def layer(self, x: str, prefix: str, mask: str) -> str:
        g, w = self.g, self.w
        names = [f"{prefix}.attention.self.{part}" for part in ("query", "key", "value")]
        together = self.multiply(x, np.concatenate([w[f"{n}.weight"].T for n in names], axis=1))
        query, key, value = g.add("Split", together, outputs=3, axis=-1)
        bias = g.constant(np.concatenate([w[f"{n}.bias"] for n in names]).astype(np.float32))
        heard = g.fused("MultiHeadAttention", query, key, value, bias, mask, num_heads=HEADS)
        x = self.norm(*self._after(heard, x, f"{prefix}.attention.output.dense"), f"{prefix}.attention.output.LayerNorm")
        inner = g.fused("BiasGelu", *self.linear(x, f"{prefix}.intermediate.dense"))
        return self.norm(*self._after(inner, x, f"{prefix}.output.dense"), f"{prefix}.output.LayerNorm")

    def _after(self, x: str, skip: str, name: str) -> tuple[str, str, str]:
        product, bias = self.linear(x, name)
        return product, skip, bias


def _heads(g: _Graph, vector: str, heads: Mapping[str, Array]) -> None:
    """Turn the vector into the scores; *heads* holds ``name.weight`` (out, in) and ``name.bias``, calibration folded in."""
    order = ("core", "category", "go", "valence", "unit", "mode")
    weight = np.concatenate([heads[f"{n}.weight"] for n in order]).T.astype(np.float32)
    bias = np.concatenate([heads[f"{n}.bias"] for n in order]).astype(np.float32)
    logits = g.add("Add", g.add("MatMul", vector, g.constant(weight)), g.constant(bias))
    sizes = g.constant(np.array([len(heads[f"{n}.bias"]) for n in order], np.int64))
    core, category, go, valence, unit, mode = g.add("Split", logits, sizes, outputs=len(order), axis=-1)
    parts = [
        g.add("Sigmoid", core),
        g.add("Softmax", category, axis=-1),
        g.add("Sigmoid", go),
        g.add("Tanh", valence),
        g.add("Sigmoid", unit),
        g.add("Softmax", mode, axis=-1),
    ]
    g.nodes.append(helper.make_node("Concat", parts, ["scores"], axis=-1))


def _tokens(g: _Graph, states: str, heads: Mapping[str, Array]) -> None:
    """Turn each token's state into the odds of its being part of a belief of each type or of none, and its part in the danger.

    That part is the logit of danger on the token alone: the text's is the mean over its tokens.
    """
    order = ("beliefs", "alarm")
    weight, bias = (np.concatenate([heads[f"{n}.{part}"] for n in order]).astype(np.float32) for part in ("weight", "bias"))
    logits = g.add("Add", g.add("MatMul", states, g.constant(weight.T)), g.constant(bias))
    beliefs, alarm = g.add("Split", logits, g.constant(np.array([len(heads["beliefs.bias"]), 1], np.int64)), outputs=2, axis=-1)
    g.nodes.append(helper.make_node("Concat", [g.add("Softmax", beliefs, axis=-1), alarm], ["tokens"], axis=-1))


def build(weights: Mapping[str, Array], heads: Mapping[str, Array], *, layers: int, int8: bool = True) -> ModelProto:
    """Give the graph.

    ``ids`` and ``mask`` (batch, tokens) int64 go in; ``scores`` (batch, columns) and ``tokens`` (batch, tokens, 8) come out.
    """
    g = _Graph()
    encoder = _Encoder(g, weights, int8=int8)
    padding = g.add("Cast", "mask", to=TensorProto.INT32)
    x = encoder.embed()
    for number in range(layers):
        x = encoder.layer(x, f"encoder.layer.{number}", padding)
    axis = g.constant(np.array([1], np.int64))
    seen = g.add("Cast", g.add("Unsqueeze", "mask", g.constant(np.array([2], np.int64))), to=TensorProto.FLOAT)
    total = g.add("ReduceSum", g.add("Mul", x, seen), axis, keepdims=0)
    _heads(g, g.add("Div", total, g.add("ReduceSum", seen, axis, keepdims=0)), heads)
    _tokens(g, x, heads)
    shape = ["batch", "tokens"]
    on_tokens = ("beliefs.bias", "alarm.bias")
    columns = sum(len(bias) for name, bias in heads.items() if name.endswith(".bias") and name not in on_tokens)
    types = sum(len(heads[name]) for name in on_tokens)
    graph = helper.make_graph(
        g.nodes,
        "emotion-v2",
        [helper.make_tensor_value_info(n, TensorProto.INT64, shape) for n in ("ids", "mask")],
        [
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", columns]),
            helper.make_tensor_value_info("tokens", TensorProto.FLOAT, [*shape, types]),
        ],
        [numpy_helper.from_array(np.ascontiguousarray(v), k) for k, v in g.constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9, producer_name="kaiko")
    checker.check_model(model)
    return model
