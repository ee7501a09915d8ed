"""What torch refuses: numbers, forms, gradients, and its own files."""

from __future__ import annotations

from engine.contract.api import ConfigChange
from engine.contract.states import EndReason
from engine.control.jobs.diagnosis.changes import changed, gradients_flow, setting, without_half
from engine.control.jobs.diagnosis.evidence import Evidence
from engine.control.jobs.diagnosis.rule import Finding, Rule, signs


def loss_not_finite_fp16(evidence: Evidence) -> Finding | None:
    """NaN or infinity while computing in fp16."""
    if evidence.reason is not EndReason.LOSS_NOT_FINITE or evidence.job is None:
        return None
    if evidence.job.training.precision != "fp16":
        return None
    return Finding(_where(evidence), changed(evidence, ("training.precision", "auto")))


def loss_not_finite(evidence: Evidence) -> Finding | None:
    """NaN or infinity in loss or gradient."""
    if evidence.reason is not EndReason.LOSS_NOT_FINITE or evidence.job is None:
        return None
    recipe = evidence.job.training
    rate = float(f"{recipe.learning_rate / 10:.3g}")
    changes = [ConfigChange(field="training.learning_rate", value=rate, was=recipe.learning_rate)]
    if not 0 < recipe.max_grad_norm <= 1:
        changes.append(ConfigChange(field="training.max_grad_norm", value=1.0, was=recipe.max_grad_norm))
    return Finding({**_where(evidence), "rate": recipe.learning_rate}, tuple(changes))


def _where(evidence: Evidence) -> dict[str, object]:
    return {"step": evidence.param("step"), "loss": evidence.param("loss") or evidence.param("norm")}


NUMBERS = ("training.precision", "model.dtype")

TORCH: tuple[Rule, ...] = (
    Rule(
        "loss_not_finite_fp16",
        "numerics",
        loss_not_finite_fp16,
        "loss or gradient became NaN or infinite in fp16",
        settings=("training.precision",),
        over=("loss_not_finite",),
    ),
    Rule(
        "loss_not_finite",
        "numerics",
        loss_not_finite,
        "loss or gradient became NaN or infinite",
        settings=("training.learning_rate", "training.max_grad_norm"),
    ),
    signs(
        "fp16_gradients",
        "numerics",
        r"Attempting to unscale FP16 gradients",
        "weights held in fp16 are trained",
        advice=setting(("model.dtype", "fp32")),
        settings=("model.dtype",),
        codes=("config.fp16_weights",),
    ),
    signs(
        "half_unsupported",
        "numerics",
        (r'"(?P<operation>\w{1,80})" not implemented for \'(?P<kind>Half|BFloat16)\'',),
        "an operation that the processor does not have in half precision",
        advice=without_half,
        settings=NUMBERS,
        codes=("config.fp16_needs_gpu",),
        params={"operation": "training", "kind": "Half"},
        at_end=True,
    ),
    signs(
        "dtype_mismatch",
        "numerics",
        (
            r"must have the same dtype, but got (?P<one>\w{1,20}) and (?P<other>\w{1,20})",
            r"expected scalar type (?P<one>\w{1,20}) but found (?P<other>\w{1,20})",
        ),
        "layers hold numbers of two formats",
        advice=without_half,
        settings=NUMBERS,
        at_end=True,
    ),
    signs(
        "no_gradient",
        "torch",
        r"element 0 of tensors does not require grad and does not have a grad_fn",
        "nothing that is trained took part in the loss",
        advice=gradients_flow,
        settings=("training.gradient_checkpointing", "tuner.targets"),
    ),
    signs(
        "recomputed_otherwise",
        "torch",
        (
            r"torch\.utils\.checkpoint: Recomputed values",
            r"torch\.utils\.checkpoint: A different number of tensors was saved",
        ),
        "a block that is recomputed came out otherwise the second time",
        advice=setting(("training.gradient_checkpointing", False)),
        settings=("training.gradient_checkpointing",),
    ),
    signs(
        "token_outside",
        "torch",
        r"IndexError: index out of range in self",
        "a token id, or a position, beyond the model's tables",
        at_end=True,
    ),
    signs(
        "shapes_do_not_multiply",
        "torch",
        r"mat1 and mat2 shapes cannot be multiplied \((?P<one>\d{1,9}x\d{1,9}) and (?P<other>\d{1,9}x\d{1,9})\)",
        "layers of two widths meet",
        at_end=True,
    ),
    signs(
        "pickle_refused",
        "torch",
        r"Weights only load failed",
        "a file of torch holds more than numbers",
    ),
    signs(
        "archive_broken",
        "torch",
        (r"PytorchStreamReader failed", r"failed finding central directory"),
        "a file of torch is cut off or damaged",
    ),
)
