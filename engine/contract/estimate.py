"""How much memory a training run takes, from the shape of its model and its settings. Pure arithmetic, no torch.

A step is at its fullest at one of two moments: when the backward pass begins (all activations are there, and the
logits with their gradients), or when it ends (all gradients are there). Both are counted, and the larger one is told.

What is kept of a token for the backward pass follows Korthikanti et al., "Reducing Activation Recomputation in Large
Transformer Models" (arXiv:2205.05198), section 4, written out for pre-norm decoders with SwiGLU, grouped queries and
fused attention, as transformers 5 executes them: frozen weights need no inputs, an adapter needs them. Weights,
gradients and optimiser: Rajbhandari et al., "ZeRO" (arXiv:1910.02054), section 3.1.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict

from engine.contract.calibration import Calibration
from engine.contract.load import BYTES, Load
from engine.contract.model_shape import Linear, ModelShape
from engine.contract.optimizers import OPTIMIZERS

PROCESS_BYTES = 480 << 20
"""Of a worker before it has a model: python, torch, transformers. Runs that ended tell what it is here."""
CONTEXT_BYTES = 500 << 20
"""What CUDA takes of a GPU for a process before the first tensor."""
FRAGMENTS = 0.06
"""Share of what is allocated on a GPU that the allocator holds in vain."""
HELD, HELD_CHECKPOINTING = 1.6, 3.0
"""Bytes of the process for a byte of tensors beside the weights, where no run has told: glibc's malloc keeps much of
what it was given back, most where layers are computed again (as measured, tests/bench/memory_forecast.py)."""
LATE_BYTES = 24 << 20
"""What libraries take once the first step runs."""
BUCKET_BYTES = 64 << 20
"""Gradients that members add up at once, laid behind each other."""
TABLES = ("embed_tokens", "wte", "lm_head", "embed_out")
"""What the table of tokens and the head are called."""
COMPARED, SPREAD = 512, 1024
"""Tokens of a piece in which distributions are compared, and of one whose entropies are told."""
MOST_FACTOR = 64.0
Part = Literal["weights", "adapter", "gradients", "optimiser", "activations", "logits", "overhead"]
PARTS: tuple[Part, ...] = ("weights", "adapter", "gradients", "optimiser", "activations", "logits", "overhead")


class Estimate(BaseModel):
    """Bytes at the fullest moment, part by part."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    parts: dict[Part, int]
    rows: int = 0
    width: int = 0
    """Of the longest micro batch that was reckoned with."""
    measured: bool = False
    """Its activations were measured, or corrected by a measurement."""

    @property
    def total(self) -> int:
        """All of it: of a GPU, or of the worker's process on a processor."""
        return sum(self.parts.values())

    @property
    def tensors(self) -> int:
        """Without what is no tensor."""
        return self.total - self.parts.get("overhead", 0)


def estimate(shape: ModelShape, load: Load, known: Calibration | None = None) -> Estimate:
    """Bytes at the fullest moment; `known` is what runs like it told."""
    known = known or Calibration()
    factor, shape = known.factor, _grown(shape, load.blocks)
    whole, adapter, trained = _held(shape, load)
    weights, trained = whole, trained + (shape.hidden + 1 if load.critic else 0)
    gradients = 4.0 * trained if load.weights == "fp32" or not load.full else BYTES[load.weights] * trained
    optimizer = OPTIMIZERS.get(load.optimiser, OPTIMIZERS["adamw_torch_fused"])
    state = optimizer.state * trained * (min(1.0, load.directions / shape.hidden) if load.directions else 1.0)
    together = _gathered(shape, load)
    bucket = min(gradients, float(BUCKET_BYTES))
    weights, adapter, gradients = weights / load.parted, adapter / load.parted, gradients / _shared(load, 2)
    state = (state + _copied(load, trained)) / _shared(load, 1)
    begin_grads = gradients if load.accumulation > 1 else _early_gradients(shape, load)
    kept, working = factor * _activations(shape, load), factor * _working(shape, load)
    logits = _logits(shape, load)
    in_first = working + (bucket if load.zero else 0.0)
    at_begin = begin_grads + kept + max(logits, in_first) + together
    left = factor * _left(shape, load) + working + 1.5 * together
    at_end = gradients + max(left, bucket if load.members > 1 and load.parted == 1 and not load.zero else 0.0)
    at_end = max(at_end, _reduced(load, gradients, bucket))
    if at_begin >= at_end:
        moment = {"gradients": begin_grads, "activations": kept + max(0.0, in_first - logits), "logits": logits}
        weights += together
    else:
        moment = {"gradients": gradients, "activations": at_end - gradients, "logits": 0.0}
    more = _before(shape, load) - state - sum(moment.values())
    moment["gradients"] += max(0.0, more)
    if load.parted > 1:
        weights += max(0.0, _between(load, whole, trained, state) - weights - adapter - state - sum(moment.values()))
    if load.critic:
        adapter += 4.0 * (shape.hidden + 1)
    found = {"weights": weights + whole * load.copies + load.beside, "adapter": adapter, "optimiser": state, **moment}
    found["overhead"] = _overhead(load, sum(found.values()), found["weights"], known)
    parts = {part: round(found[part]) for part in PARTS}
    return Estimate(parts=parts, rows=load.rows, width=load.width, measured=factor != 1.0)


def _shared(load: Load, stage: int) -> int:
    """Members among whom that is parted which DeepSpeed parts from this stage on."""
    return load.members if load.zero >= stage else load.parted


def _reduced(load: Load, gradients: float, bucket: float) -> float:
    """Bytes when DeepSpeed adds up the last gradients: a bucket twice, and this member's part twice."""
    if load.zero not in (1, 2):
        return 0.0
    part, rest = (gradients / load.members, gradients - bucket) if load.zero == 1 else (gradients, 0.0)
    return 2 * part + 2 * bucket + rest


def _copied(load: Load, trained: float) -> float:
    """Bytes of what DeepSpeed updates: a copy of what learns, in fp32."""
    return 4.0 * trained if load.zero else 0.0


def _early_gradients(shape: ModelShape, load: Load) -> float:
    """Bytes of gradients that are there when the layers' begin: of the table of tokens, where it is the head too."""
    return shape.embedding * 4.0 if load.full and shape.tied and _table_learns(load) else 0.0


def _table_learns(load: Load) -> bool:
    if load.taught is None:
        return not load.blocks
    return any(name.rpartition(".")[2] in TABLES for name in load.modules)


def _gathered(shape: ModelShape, load: Load) -> float:
    """Bytes of parted weights that are put together at once: what is outside layers, the layer that is passed through,
    and the one that comes next."""
    if load.parted == 1:
        return 0.0
    weights, adapter, _trained = _held(shape, load)
    outside = max(0, shape.parameters - shape.in_layers) * BYTES[load.weights]
    return outside + 2.0 * (weights - outside + adapter) / shape.layers


def _between(load: Load, whole: float, trained: float, state: float) -> float:
    """Bytes between two steps, where weights are parted: the model is put together to be asked and saved.

    On a processor a checkpoint's copies of what learns, and of the optimiser's state, lie beside the parts.
    """
    asked = whole * (1 + 1 / load.parted) + state
    if load.device == "cuda":
        return asked
    learns = 4.0 * trained if not load.full else BYTES[load.weights] * trained
    return max(asked, whole / load.parted + state + learns + load.parted * state)


def _before(shape: ModelShape, load: Load) -> float:
    """Bytes of what an adapter takes its beginning from, all modules at once: gradients, or how inputs go together."""
    chosen = adapted(shape, load)
    if load.init == "lora_ga":
        return float(sum(BYTES[load.weights] * one.inputs * one.outputs * one.count for one in chosen))
    if load.init == "corda":  # and its directions, of which peft cuts those that are not needed at the end
        directions = [min(one.inputs, one.outputs) * (one.inputs + one.outputs) for one in chosen]
        return 4.0 * sum((one.inputs**2 + more) * one.count for one, more in zip(chosen, directions, strict=True))
    return 0.0


def factor_of(shape: ModelShape, load: Load, measured: float) -> float:
    """What activations are, of what is reckoned here, where a pass over this batch took so many bytes of tensors.

    `measured` is weights, adapter, gradients and activations at the fullest moment, the optimiser's state aside.
    """

    def reckoned(factor: float) -> int:
        found = estimate(shape, load, Calibration(factor=factor))
        return found.tensors - found.parts["optimiser"]

    low, high = 0.0, 1.0
    while reckoned(high) < measured and high < MOST_FACTOR:
        low, high = high, high * 2
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if reckoned(middle) < measured else (low, middle)
    return min(high, MOST_FACTOR)


def adapted(shape: ModelShape, load: Load) -> list[Linear]:
    """The matrices that get an adapter."""
    if load.full:
        return []
    chosen = {target.rpartition(".")[2] for target in load.targets}
    return [one for one in shape.linear if "all-linear" in chosen or one.name in chosen]


def _overhead(load: Load, tensors: float, weights: float, known: Calibration) -> float:
    """Bytes that are no tensors: the program, and what the allocator holds in vain."""
    if load.device == "cuda":
        return CONTEXT_BYTES + FRAGMENTS * tensors
    held = known.held or (HELD_CHECKPOINTING if load.checkpointing else HELD)
    process = PROCESS_BYTES if known.process is None else known.process
    return process + LATE_BYTES + max(0.0, held - 1.0) * (tensors - weights)


def _held(shape: ModelShape, load: Load) -> tuple[float, float, float]:
    """Bytes of base and adapter, and how many numbers are trained. Adapters are held in fp32 (peft)."""
    outside = max(0, shape.parameters - shape.in_layers)
    inside = shape.in_layers * BYTES[load.weights if load.quantisation == "none" else load.quantisation]
    weights = outside * BYTES[load.weights] + inside
    if load.full:
        return weights, 0.0, _taught(shape, load)
    if load.virtual:
        numbers = float(load.virtual * (2 * shape.layers * shape.keys if load.prefix else shape.hidden))
        return weights, 4.0 * numbers, numbers
    numbers = float(sum(load.rank * (one.inputs + one.outputs) * one.count for one in adapted(shape, load)))
    return weights, 4.0 * numbers, numbers


def _grown(shape: ModelShape, blocks: int) -> ModelShape:
    """The shape with more blocks like its own."""
    if not blocks:
        return shape
    more = shape.in_layers * blocks // shape.layers
    linear = tuple(
        one.model_copy(update={"count": one.count + one.count * blocks // shape.layers}) for one in shape.linear
    )
    found = {"layers": shape.layers + blocks, "parameters": shape.parameters + more, "linear": linear}
    return shape.model_copy(update=found)


def _taught(shape: ModelShape, load: Load) -> float:
    """Numbers that learn where the model itself does."""
    if load.blocks:
        return shape.in_layers * load.blocks / shape.layers
    if load.taught is not None:
        return _chosen(shape, load)
    rest = max(0, shape.layers - load.layers) if load.layers else 0
    return shape.parameters - shape.in_layers * rest / shape.layers


def _chosen(shape: ModelShape, load: Load) -> float:
    """Numbers of the layers that learn beside frozen ones, and of the modules that are named."""
    named = {name.rpartition(".")[2] for name in load.modules}
    share = min(abs(load.taught or 0), shape.layers) / shape.layers
    inside = sum(one.inputs * one.outputs * one.count * (1.0 if one.name in named else share) for one in shape.linear)
    tables = {name for name in named if name in TABLES}
    return inside + shape.embedding * min(len(tables), 1 if shape.tied else 2)


def _sizes(load: Load) -> tuple[float, float]:
    """Bytes of a number in the stream between layers, and of one that goes into a matrix."""
    stream = BYTES[load.weights]
    return stream, 2.0 if load.arithmetic in ("bf16", "fp16") else stream


def _layer(shape: ModelShape, load: Load) -> float:
    """Bytes a layer keeps of a token for its backward pass."""
    stream, inner = _sizes(load)
    cast = inner != stream or (not load.full and inner < 4)  # each matrix, or each adapter, makes its own copy
    return 2 * _norm(shape, load) + _attention(shape, load) + _feed(shape, load) + _inputs(shape, load, cast)


def _first_spares(shape: ModelShape, load: Load) -> float:
    """Bytes of a token that the first layer need not keep: nothing that learns stands before."""
    if load.full:
        return 0.0
    names = {one.name for one in adapted(shape, load)}
    spared, known = _norm(shape, load), set(_SOURCES) | {"o_proj", "down_proj"}
    if not names or not names <= known:
        return spared
    if not names & {"q_proj", "k_proj", "v_proj"}:
        spared += _attention(shape, load)
        if "o_proj" not in names:
            spared += _norm(shape, load)
            if "down_proj" in names and len(names) == 1:
                spared += _feed(shape, load)
    return spared


def _norm(shape: ModelShape, load: Load) -> float:
    """Its input in fp32 (the stream itself, or a copy), and what its own weight is multiplied by, where that learns."""
    stream, _inner = _sizes(load)
    return (4.0 + (stream if load.full else 0.0)) * shape.hidden


def _attention(shape: ModelShape, load: Load) -> float:
    """Queries, keys, values, what comes out, sums of rows; before that queries and keys as they are normed."""
    _stream, inner = _sizes(load)
    queries, keys, norms = shape.queries, shape.keys, 0.0
    if shape.qk_norm:
        norms = 4.0 * (queries + keys) + (inner * (queries + keys) if load.full else 0.0)
    attention = inner * (2 * queries + 2 * keys) + 4.0 * shape.heads
    if load.attention == "eager":
        repeated = 2 * inner * (queries - keys)
        attention += repeated + (4.0 + (inner if inner < 4 else 0.0)) * shape.heads * load.sequence
    elif load.packing != "none" and not load.attention.startswith("flash"):
        attention += inner * load.sequence  # fused attention makes of the mask numbers to be added, in every layer
    return norms + attention


def _feed(shape: ModelShape, load: Load) -> float:
    """Gate, its activation, up; their product counts as the input of the matrix that follows."""
    return _sizes(load)[1] * shape.intermediate * (3 if shape.gated else 1)


def _inputs(shape: ModelShape, load: Load, cast: bool) -> float:
    """Bytes of the inputs of matrices that learn, of a token in a layer."""
    _stream, inner = _sizes(load)
    learning = list(shape.linear) if load.full else adapted(shape, load)
    alone = cast or load.dropout > 0
    seen, found = set[str](), 0.0
    for one in learning:
        share = one.count / max(1, shape.layers)
        source = _SOURCES.get(one.name, one.name)
        if alone or source not in seen:
            found += inner * one.inputs * share
        if load.dropout > 0 and not load.full:
            found += (1.0 if load.device == "cuda" else 4.0) * one.inputs * share  # which numbers were dropped
        if not load.full:
            found += inner * load.rank * share
        seen.add(source)
    return found


_SOURCES = {"q_proj": "norm1", "k_proj": "norm1", "v_proj": "norm1", "gate_proj": "norm2", "up_proj": "norm2",
            "w1": "norm2", "w3": "norm2"}  # fmt: skip
"""Matrices with the same input keep it once."""


def _activations(shape: ModelShape, load: Load) -> float:
    """Bytes kept of a micro batch when the backward pass begins."""
    stream, _inner = _sizes(load)
    outside = (4.0 + (stream if load.full else 0.0)) * shape.hidden  # the last norm
    if load.checkpointing:
        return load.tokens * (_passed(shape, load) * stream * shape.hidden + outside)
    if load.taught is not None:
        return load.tokens * (_some_layers(shape, load) + outside) + _casts(shape, load)
    spared = _first_spares(shape, load)
    return load.tokens * (shape.layers * _layer(shape, load) - spared + outside) + _casts(shape, load)


def _some_layers(shape: ModelShape, load: Load) -> float:
    """Bytes that all layers keep of a token where some are frozen: nothing is kept before the first that learns."""
    learn = min(abs(load.taught or 0), shape.layers)
    frozen = load.model_copy(update={"full": False, "targets": (), "taught": None})
    return learn * _layer(shape, load) + (_passed(shape, load) - learn) * _layer(shape, frozen)


def _casts(shape: ModelShape, load: Load) -> float:
    """Weights in the form of the arithmetic, beside those in fp32: kept as long as the pass."""
    stream, inner = _sizes(load)
    return shape.in_layers * _passed(shape, load) / shape.layers * inner if inner < stream else 0.0


def _passed(shape: ModelShape, load: Load) -> int:
    """Layers that the backward pass goes through: with frozen ones before, those from the first that learns."""
    if load.taught is None or load.taught < 0 or load.modules:
        return shape.layers
    return min(load.taught, shape.layers)


def _working(shape: ModelShape, load: Load) -> float:
    """Bytes a layer's backward pass works with: gradients of what it kept, and what it computes anew."""
    stream, inner = _sizes(load)
    there = stream * shape.hidden if stream >= 4 else 0.0  # its input, which the first norm keeps as well
    again = load.tokens * (_layer(shape, load) - there) if load.checkpointing else 0.0
    gradients = load.tokens * (inner * 2 * shape.intermediate + 4.0 * shape.hidden)
    return again + gradients


def _left(shape: ModelShape, load: Load) -> float:
    """Bytes of activations that are left when the backward pass reaches the first layer."""
    stream, _inner = _sizes(load)
    if load.checkpointing:
        return load.tokens * stream * shape.hidden
    return load.tokens * (_layer(shape, load) - _first_spares(shape, load)) + _casts(shape, load)


def _logits(shape: ModelShape, load: Load) -> float:
    """Of each learned token: its logits in fp32 as probabilities, their gradient, and the gradient before the softmax.

    Logits of other tokens are never computed (`training/loss.py`). A teacher's stand beside them, and what two
    distributions are compared by, a piece at a time (`training/divergence.py`); entropies are pieces as well.
    """
    _stream, inner = _sizes(load)
    if load.scores:
        return 0.0
    tokens, numbers = math.ceil(load.rows * load.width * load.trained), 20.0 if load.compared else 12.0
    piece = 28.0 * min(tokens, COMPARED) if load.compared else 8.0 * min(tokens, SPREAD) if load.entropies else 0.0
    return tokens * (numbers * shape.vocab + inner * shape.hidden) + piece * shape.vocab
