"""Rows for models that write no text, as tokens: a text with its class, texts that belong together, ranked texts."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine.compute.data.labels import Labels, Target, classes_of, number_of
from engine.compute.data.rows import Example
from engine.compute.data.templates import Template
from engine.compute.data.tokenise import Encoded, Looked, Tokeniser
from engine.contract.errors import UserError
from engine.contract.heads import COMPARING, HeadConfig
from engine.contract.objective import Truncation

UNSCORED = float("nan")
"""In a batch: the row does not say how alike its texts are."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and its class."""

    row: Encoded
    target: Target
    weight: float | tuple[float, ...] | None
    said: str

    def __len__(self) -> int:
        return len(self.row)

    @property
    def tokens(self) -> int:
        """Of the text."""
        return len(self.row)

    @property
    def trained_tokens(self) -> int:
        """All, unless the row is dropped."""
        return sum(self.row.trained)

    def teaches(self, limit: int) -> bool:
        """It is not dropped."""
        del limit
        return any(self.row.trained)

    @property
    def sides(self) -> tuple[tuple[str, Encoded], ...]:
        """The text, with its class."""
        return ((self.said, _read(self.row)),)


class _Texts:
    """Rows of several texts."""

    __slots__ = ()
    texts: tuple[Encoded, ...]

    def __len__(self) -> int:
        return max(map(len, self.texts))

    @property
    def tokens(self) -> int:
        """Of all texts."""
        return sum(map(len, self.texts))

    @property
    def trained_tokens(self) -> int:
        """All; none where one of the texts is dropped."""
        return self.tokens if all(any(text.trained) for text in self.texts) else 0

    def teaches(self, limit: int) -> bool:
        """No text is dropped."""
        del limit
        return bool(self.trained_tokens)


@dataclass(frozen=True, slots=True)
class Neighbours(_Texts):
    """A text, one that belongs to it, and some that do not; or two texts and how alike they are."""

    texts: tuple[Encoded, ...]
    alike: float

    @property
    def sides(self) -> tuple[tuple[str, Encoded], ...]:
        """Its texts by the parts they play."""
        names = ("anchor", "positive", *["negative"] * len(self.texts))
        return tuple(zip(names, map(_read, self.texts), strict=False))


@dataclass(frozen=True, slots=True)
class Ranked(_Texts):
    """A query with each of its documents as one text: the right one first."""

    texts: tuple[Encoded, ...]
    begin: int
    """Where the documents begin."""
    alike: float
    wanted: int
    """Documents of other rows that are put beside it where it has no wrong ones."""
    limit: int

    @property
    def sides(self) -> tuple[tuple[str, Encoded], ...]:
        """Its texts by the parts the documents play."""
        names = ("positive", *["negative"] * len(self.texts))
        return tuple(zip(names, map(_read, self.texts), strict=False))

    def with_document_of(self, other: Ranked) -> Encoded:
        """Its query with the document of another row."""
        ids = (self.texts[0].ids[: self.begin] + other.texts[0].ids[other.begin :])[: self.limit]
        return Encoded(ids, array("b", [1] * len(ids)))


def _read(text: Encoded) -> Encoded:
    """As it is shown: of its tokens none is learned, they are read."""
    return Encoded(text.ids, array("b", bytes(len(text))))


def of_texts(rows: Sequence[Any]) -> tuple[list[Encoded], dict[str, list[Any]]]:
    """The texts of a batch, and what else of it must be known.

    Of pairs all first texts come first, then all that belong, then those that do not: `owner` is the row of each.
    """
    if isinstance(rows[0], Labelled):
        extras: dict[str, list[Any]] = {"target": [row.target for row in rows]}
        if rows[0].weight is not None:
            extras["weight"] = [row.weight for row in rows]
        return [row.row for row in rows], extras
    if isinstance(rows[0], Ranked):
        columns = [[row.texts[0] for row in rows]]
        others = [list(_others(rows, place)) for place in range(len(rows))]
    else:
        columns = [[row.texts[0] for row in rows], [row.texts[1] for row in rows]]
        others = [list(row.texts[2:]) for row in rows]
    texts = [text for column in columns for text in column] + [text for one in others for text in one]
    owner = [*range(len(rows))] * len(columns) + [place for place, one in enumerate(others) for _ in one]
    slot = [number for number, column in enumerate(columns) for _ in column]
    slot += [len(columns) + number for one in others for number in range(len(one))]
    known = dict[bytes, int]()
    same = [known.setdefault(text.ids.tobytes(), len(known)) for text in texts]
    extras = {"owner": owner, "slot": slot, "ends": [len(text) for text in texts], "same": same}
    return texts, {**extras, "alike": [row.alike for row in rows]}


def _others(rows: Sequence[Ranked], place: int) -> Iterator[Encoded]:
    """Documents that do not answer a row's query: its own wrong ones, or those of the rows before it in the batch."""
    row = rows[place]
    if row.texts[1:] or row.alike == row.alike:  # one with a score is not compared
        yield from row.texts[1:]
        return
    seen = {row.texts[0].ids.tobytes()}
    for back in range(1, len(rows)):
        if len(seen) > row.wanted:
            return
        made = row.with_document_of(rows[place - back])
        if made.ids.tobytes() not in seen:
            seen.add(made.ids.tobytes())
            yield made


class HeadTokeniser(Tokeniser):
    """Turns texts with classes, and pairs of texts, into tokens."""

    def __init__(
        self,
        template: Template,
        max_length: int,
        truncation: Truncation,
        stage: str,
        loss: str,
        head: HeadConfig,
        labels: Labels | None = None,
    ) -> None:
        """`labels` are not known before the rows were read."""
        super().__init__(template, max_length, False, truncation)
        self.stage, self.loss, self.head = stage, loss, head
        self.labels = labels or (Labels(head.problem, tuple(head.labels)) if head.labels else None)
        self._around: tuple[list[int], list[int]] | None = None

    def encode(self, examples: Sequence[Example]) -> list[Any]:
        """One encoded row an example, in order."""
        return [self._row(example) for example in examples]

    def look(self, examples: Sequence[Example]) -> list[Looked]:
        """Single texts as tokens, uncut and not counted."""
        made = list[Looked]()
        for example in examples:
            text, plain = self._said(example)
            (row,) = self._tokens([text], [None])
            before, after = self.around if plain else ([], [])
            ids = [*before, *row.ids, *after]
            places = [(0, 0)] * len(before) + row.places + [(len(text), len(text))] * len(after) if row.places else []
            made.append(Looked(text, None, ids, [1] * len(ids), places))
        return made

    def text(self, text: str) -> Encoded:
        """One text as tokens, no longer than it may be."""
        return self._encoded(Example(text=text))[0]

    def query(self, text: str) -> Encoded:
        """A text that is searched with."""
        return self.text(self.head.instruction + text)

    def pair(self, query: str, document: str) -> Encoded:
        """A query and a document as one text."""
        return self.text(self.join(query, document))

    def join(self, query: str, document: str) -> str:
        """A query and a document, as the settings put them together."""
        before, _, rest = self.head.joined.partition("{query}")
        between, _, after = rest.partition("{document}")
        return before + query + between + document + after

    @property
    def around(self) -> tuple[list[int], list[int]]:
        """Tokens the tokenizer puts before and behind a text by itself: other programs do it as well."""
        if self._around is None:
            plain, whole = (self.tokenizer("a", add_special_tokens=more)["input_ids"] for more in (False, True))
            at = next((n for n in range(len(whole)) if whole[n : n + len(plain)] == plain), 0)
            self._around = list(whole[:at]), list(whole[at + len(plain) :])
        return self._around

    def _said(self, example: Example) -> tuple[str, bool]:
        """A text as the model reads it, and whether it is plain, without a template."""
        if example.turns:
            return self.template.render(example.turns, tools=example.tools), False
        if not self.head.through_template:
            return example.text, True
        return self.template.render(({"role": "user", "content": example.text},)), False

    def _encoded(self, example: Example) -> tuple[Encoded, bool]:
        """The tokens of a text, and whether it was too long; one that is dropped teaches nothing."""
        (row,) = self.look([example])
        if len(row.ids) <= self.max_length:
            return Encoded(array("i", row.ids), array("b", [1] * len(row.ids))), False
        before, after = self.around if self._said(example)[1] else ([], [])
        inner, room = row.ids[len(before) : len(row.ids) - len(after)], self.max_length - len(before) - len(after)
        room = max(1, room)
        kept = inner[-room:] if self.truncation == "start" else inner[:room]
        ids = [*before, *kept, *after]
        learned = 0 if self.truncation == "drop" else 1
        return Encoded(array("i", ids), array("b", [learned] * len(ids))), True

    def _row(self, example: Example) -> Labelled | Neighbours | Ranked:
        cut = list[bool]()

        def encoded(one: Example) -> Encoded:
            made, long = self._encoded(one)
            cut.append(long)
            return made

        if example.texts:
            row: Labelled | Neighbours | Ranked = self._texts(example, encoded)
        else:
            target = self._target(example)
            weight = self.labels.weight(target) if self.labels is not None and self.labels.weights else None
            number = self.head.problem == "regression"
            said = f"{target:g}" if number and isinstance(target, float) else ", ".join(classes_of(example))
            row = Labelled(encoded(example), target, weight, said)
        tally = self.tally
        tally.rows += 1
        tally.cut += any(cut)
        tally.tokens += row.tokens
        tally.trained_tokens += row.trained_tokens
        if not row.trained_tokens:
            tally.untrained += 1
            tally.untrained_lines += [example.line] if len(tally.untrained_lines) < 10 else []
        return row

    def _target(self, example: Example) -> Target:
        if self.labels is not None:
            return self.labels.target(example)
        if self.head.problem == "regression":
            return number_of(example)
        found = classes_of(example)
        if self.head.problem == "single_label" and len(found) > 1:
            raise UserError("data.several_labels", line=example.line, count=len(found))
        return 0

    def _texts(self, example: Example, encoded: Any) -> Neighbours | Ranked:
        alike, taken = self._alike(example), self.head.negatives
        first, right, *wrong = example.texts
        if self.stage == "embedding":
            texts = [self.head.instruction + first, right, *wrong[:taken]]
            return Neighbours(tuple(encoded(Example(text=text)) for text in texts), alike)
        documents = [right, *wrong[:taken]]
        made = tuple(encoded(Example(text=self.join(first, document))) for document in documents)
        without, _ = self._encoded(Example(text=self.join(first, "")))
        begin = next(
            (at for at, (a, b) in enumerate(zip(without.ids, made[0].ids, strict=False)) if a != b),
            min(len(without), len(made[0])),
        )
        return Ranked(made, begin, alike, taken, self.max_length)

    def _alike(self, example: Example) -> float:
        """How alike the texts of a row are, as it says; refused where the loss wants it and it does not, or not."""
        line, loss = example.line, self.loss
        if example.extra.get("positives", 1) > 1:
            raise UserError("data.several_positives", line=line, count=example.extra["positives"])
        if example.label is None:
            if loss == "cosine":
                raise UserError("data.score_needed", line=line, loss=loss)
            return UNSCORED
        if loss in COMPARING:
            other = "cosine" if self.stage == "embedding" else "pointwise"
            raise UserError("data.score_unused", line=line, loss=loss, other=other)
        low = -1.0 if loss == "cosine" else 0.0
        if not low <= example.label <= 1:
            raise UserError("data.score_range", line=line, score=f"{example.label:g}", low=f"{low:g}")
        return float(example.label)
