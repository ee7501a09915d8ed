"""How a model that gives classes, vectors or scores in place of text is taught. Which stage takes what: `stages`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from engine.contract.errors import Problem
from engine.contract.setting import Settings, setting

ProblemName = Literal["single_label", "multi_label", "regression"]
"""As transformers calls them."""
COMPARING = ("info_nce", "pairwise", "listwise")
"""Losses that need something a text does not belong to."""


class HeadConfig(Settings):
    """What the model gives, and how texts are put to it."""

    problem: ProblemName = setting(
        "single_label", "One class for each text, any number of classes, or a number.", label="Kind of answer"
    )
    labels: list[str] = setting(
        list,
        "The classes, in their order; empty: those of the training rows.",
        label="Classes",
        max_length=10_000,
    )
    label_smoothing: float = setting(
        0.0, "Share of each class that is given to all classes alike.", label="Smoothing of classes", ge=0, lt=1
    )
    class_weights: Literal["none", "auto"] = setting(
        "none", "Auto: rows of rare classes weigh more, so that all classes weigh alike.", label="Class weights"
    )
    through_template: bool = setting(
        False,
        "Put plain texts into the chat template, as if a person said them; conversations always are.",
        label="Through the chat template",
    )
    instruction: str = setting(
        "", "Stands before the first text of each pair, the one that is searched with.", label="Instruction",
        max_length=2000,
    )  # fmt: skip
    joined: str = setting(
        "Query: {query} Document: {document}",
        "How a query and a document become one text; the document comes behind the query.",
        label="Query and document",
        max_length=2000,
    )
    pooling: Literal["mean", "last"] = setting(
        "mean",
        "What becomes the vector of a text: the mean over its tokens, or the state at the last.",
        label="Pooling",
    )
    normalise: bool = setting(
        True, "Make all vectors of length 1, so that only their direction counts.", label="Normalise vectors"
    )
    temperature: float = setting(
        0.05, "What similarities are divided by: low looks at the nearest texts only.", label="Temperature", gt=0,
        le=100, usual=(0.01, 0.2),
    )  # fmt: skip
    symmetric: bool = setting(
        False, "Also find each first text among those of the batch by its second.", label="Both directions"
    )
    negatives: int = setting(
        4,
        "Texts that do not belong, for each pair, at most: the row's own; a reranker takes other rows' where a row has "
        "none.",
        label="Negatives",
        ge=0,
        le=256,
    )


def contradictions(document: Mapping[str, Any], taken: tuple[str, ...], loss: str) -> Iterator[Problem]:
    """What does not go together in `head`, of a document that may not validate; `taken`: what the stage takes."""
    found, training = document.get("head"), document.get("training")
    head: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    if "problem" in taken:
        yield from _of_classes(head)
    joined = head.get("joined")
    if "joined" in taken and isinstance(joined, str) and not 0 <= joined.find("{query}") < joined.find("{document}"):
        yield Problem(code="heads.joined", field="head.joined")
    alone = isinstance(training, Mapping) and training.get("micro_batch_size") == 1
    if loss in COMPARING and alone and head.get("negatives") == 0:
        yield Problem(code="heads.alone", field="training.micro_batch_size", params={"loss": loss})


def _of_classes(head: Mapping[str, Any]) -> Iterator[Problem]:
    problem = head.get("problem", "single_label")
    labels = head.get("labels")
    labels = labels if isinstance(labels, list) and all(isinstance(label, str) for label in labels) else []
    if labels and problem == "regression":
        yield Problem(code="heads.labels_of_number", field="head.labels")
    elif problem in ("single_label", "multi_label"):
        twice = next((label for place, label in enumerate(labels) if label in labels[:place]), None)
        if twice is not None:
            yield Problem(code="heads.label_twice", field="head.labels", params={"label": twice[:80]})
        elif len(labels) == 1 and problem == "single_label":
            yield Problem(code="heads.one_label", field="head.labels")
    smoothing = head.get("label_smoothing")
    smooths = isinstance(smoothing, int | float) and not isinstance(smoothing, bool) and 0 < smoothing < 1
    if smooths and problem in ("multi_label", "regression"):
        yield Problem(code="heads.smoothing", field="head.label_smoothing", params={"problem": problem})
    if head.get("class_weights") == "auto" and problem == "regression":
        yield Problem(code="heads.weights_of_number", field="head.class_weights")
