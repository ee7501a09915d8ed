"""What helper queries about datasets are asked and answer: inspection, the X-ray of a row, statistics, templates."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.contract.data import DataSource
from engine.contract.data_format import Mapping
from engine.contract.datasets import Column, Encoding, RowProblem
from engine.contract.errors import ErrorBody
from engine.contract.model import ModelConfig

TRAINED, MASKED, SPECIAL = "t", "m", "s"
"""Fate of a token: learned; read only; read only and one of the tokenizer's special tokens. A capital T is a special
token that is learned."""
MAX_SHOWN_TOKENS = 4096
LENGTHS_KEPT = 4096


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class InspectData(_Body):
    """Asks `inspect_data`: what a file, folder, archive or version is. Answers in under a second whatever its size."""

    source: DataSource
    encoding: Encoding = "auto"
    rows: int = Field(default=20, ge=0, le=1000)
    seconds: float = Field(default=0.8, gt=0, le=8)


class FormatReason(_Body):
    """A format that fits, and why."""

    format: str
    code: str
    params: dict[str, Any] = {}
    fits: float = 1.0
    """Share of the rows looked at that can be read so."""


class Turn(_Body):
    """What is said in a row. Of a preference, `part` says on which side; else it is empty."""

    role: str
    text: str
    part: Literal["", "chosen", "rejected", "extra"] = ""
    trained: bool | None = None
    """Set where the row itself says whether a turn is learned."""


class ShownRow(_Body):
    """A row as people read it."""

    row: int
    file: str = ""
    line: int
    turns: list[Turn] = []
    extra: dict[str, str] = {}
    """Columns that play no part, as text."""


class Inspection(_Body):
    """What a place holds, from its first rows."""

    kind: str
    """jsonl, json, csv, tsv, parquet, arrow, text, folder, zip, version."""
    compression: str = ""
    encoding: str = ""
    encoding_reason: str = ""
    files: list[str] = []
    bytes: int = 0
    rows: int | None = None
    """Exact where it is cheap to know, else None."""
    rows_estimated: int | None = None
    looked_at: int = 0
    chosen: FormatReason | None = None
    others: list[FormatReason] = []
    mapping: Mapping = Mapping()
    """What each part is taken from: the names found, with those of the request."""
    columns: list[Column] = []
    shown: list[ShownRow] = []
    problems: list[RowProblem] = []
    """Of the rows looked at."""
    refused: int = 0


class Xray(_Body):
    """Asks `xray`: rows with every token's fate."""

    model: ModelConfig
    source: DataSource
    rows: list[int] = Field(default=[0], max_length=50)
    """Places among the rows, from 0."""
    stage: str = "sft"
    max_length: int = Field(default=1024, ge=8)
    assistant_only_loss: bool = True
    template: str | None = None
    """Jinja text tried in place of the model's own (the template editor)."""
    encoding: Encoding = "auto"
    """Of a file; a version of the library is text already."""


class XrayRow(_Body):
    """A row as tokens."""

    row: int
    line: int
    ids: list[int]
    texts: list[str]
    """What each token stands for; bytes that are no whole character are shown as ⟨xx⟩."""
    fates: str
    """A letter a token, as above."""
    cut_at: int | None = None
    """Tokens from here on are cut off."""
    tokens: int
    """All of them, also where fewer are sent."""
    trained: int
    side: Literal["", "chosen", "rejected"] = ""


class TemplateFailure(_Body):
    """The first row that the template refused; a run would refuse it, too."""

    row: int
    line: int
    error: ErrorBody


class XrayAnswer(_Body):
    """Rows as tokens, and the template that made them."""

    rows: list[XrayRow]
    template: str
    """tokenizer, chatml, or the catalogue's name."""
    template_code: str = ""
    """Of the messages: why this one."""
    template_params: dict[str, Any] = {}
    trained_share: float | None = None
    """Over the rows of a sample of the dataset."""
    sampled: int = 0
    untrained: int = 0
    """Rows of the sample in which nothing is learned."""
    failed: int = 0
    """Rows of the sample that the template refused."""
    failure: TemplateFailure | None = None


class Statistics(_Body):
    """Asks `data_statistics`: lengths and shares, of a seeded sample where not all rows can be counted in the time."""

    model: ModelConfig
    source: DataSource
    stage: str = "sft"
    max_length: int = Field(default=1024, ge=8)
    assistant_only_loss: bool = True
    batch_size: int = Field(default=8, ge=1)
    """Rows filled up beside each other, for `padding`."""
    template: str | None = None
    """Jinja text tried in place of the model's own."""
    seconds: float = Field(default=4.0, gt=0, le=8)


class StatisticsAnswer(_Body):
    """Figures of a dataset as a model's tokens."""

    rows: int
    """In the dataset, as far as known."""
    measured: int
    exact: bool
    lengths: list[int]
    """Sorted tokens a row, of all measured or as many evenly spaced quantiles."""
    tokens: int
    """Of the measured rows, uncut."""
    trained_share: float
    untrained_rows: int
    tokens_by_role: dict[str, int] = {}
    turns: dict[int, int] = {}
    """Number of turns to rows that have so many."""
    packing: float | None = None
    """Share of a packed batch that is rows and not padding, at `max_length`."""
    padding: float | None = None
    """The same without packing, rows grouped by length."""
    languages: dict[str, float] = {}
    failed: int = 0
    """Rows that the template refused."""
    failure: TemplateFailure | None = None


class RenderTemplate(_Body):
    """Asks `render_template`: what a template makes of a conversation, without a model where it needs none; or, with
    model and source, of a row, with what a run would learn of it.
    """

    template: str = Field(default="", max_length=200_000)
    """Of a row: empty for the one that a run of the model would use."""
    messages: list[dict[str, Any]] = Field(default=[], max_length=500)
    tools: list[dict[str, Any]] = []
    thinking: bool | None = None
    generation_prompt: bool = False
    special: dict[str, str] = {}
    """bos_token, eos_token …, where no model gives them."""
    model: ModelConfig | None = None
    source: DataSource | None = None
    row: int = Field(default=0, ge=0)


class Rendered(_Body):
    """A rendered template; `spans` are the characters learned (begin, end)."""

    text: str
    spans: list[tuple[int, int]] = []
    template: str = ""
    """The Jinja text that was used, of a row."""
