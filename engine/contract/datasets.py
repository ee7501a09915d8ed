"""Datasets of the library: what an import is asked for, what a version of a dataset is, and how its rows are read.

A dataset is a name; its content lies in versions. A version is a folder that never changes, named by the fingerprint
of what it holds: `dataset.json` (`Manifest`), its rows as Arrow files, and `problems.arrow` with every row that was
refused or remarked on. Rows are kept as they came (JSON), each with its own fingerprint; the manifest says how a row is
read (format and columns), so that reading them in another way is a new version that shares nothing but its parent.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.contract.data_format import DataFormat, Mapping
from engine.contract.hubs import HUBS
from engine.contract.model import ModelConfig
from engine.contract.setting import Settings, setting
from engine.contract.states import Lane

MANIFEST = "dataset.json"
PROBLEMS_FILE = "problems.arrow"
ROWS_FILE = "rows-{number:05d}.arrow"
MANIFEST_VERSION = 1
ROW_COLUMNS = ("file", "line", "hash", "characters", "content")
"""Of a row file. file int32 (place in `Manifest.files`), line int64 (from 1), hash binary(16) (blake2b of `content`),
characters int32 (length of what is read), content large_string (the row as a JSON object, keys in their order)."""
PROBLEM_COLUMNS = ("row", "file", "line", "kind", "severity", "code", "column", "params", "excerpt", "hash")
"""row int64 (place among the kept rows, -1: not kept), file int32 and line int64 as of rows, kind and severity string
(`CheckKind`), code of the messages, params JSON, hash of the row where it was kept."""
DATASET_NAME = r"^[^\x00-\x1f/\\]+$"
SourceKind = Literal["path", "upload", "huggingface", "modelscope", "url", "version", "sample"]
IMPORTED = ("path", "upload", "huggingface", "modelscope", "url", "version")
"""What an import reads; `sample` stands for answers of a model, which a run of that kind makes."""
Encoding = Literal["auto", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "gb18030"]
CheckKind = Literal[
    "malformed", "missing", "empty", "wrong_type", "role_order", "unknown_role", "no_answer", "same_answers",
    "duplicate", "near_duplicate", "leak", "too_long", "control_characters", "mojibake", "repetition",
    "other_language", "private", "unbalanced", "not_trained_media", "unknown_format", "encoding",
]  # fmt: skip
"""What can be wrong with a row. `malformed`, `missing`, `empty`, `wrong_type`, `unknown_role`, `no_answer`,
`unknown_format` and `encoding` keep a row out; the others are remarks on a row that stays."""
KEEPING_OUT = frozenset(
    ("malformed", "missing", "empty", "wrong_type", "unknown_role", "no_answer", "unknown_format", "encoding")
)
Severity = Literal["refused", "warning", "note"]


class ImportSource(Settings):
    """Where rows come from."""

    kind: SourceKind = setting("path", "What sort of place it is.", label="From", executable=IMPORTED)
    place: str = setting(
        ...,
        "A file or folder on the controller's computer, an upload, a hub id, an address, or a version's fingerprint.",
        label="Place",
        min_length=1,
        max_length=4096,
    )
    name: str = setting("", "What the file was called, of an upload.", label="File name", max_length=255)
    revision: str | None = setting(None, "Branch, tag or commit on the hub.", label="Revision", max_length=200)
    subset: str | None = setting(None, "Configuration of a hub's dataset.", label="Subset", max_length=200)
    split: str | None = setting(None, "Split of a hub's dataset; empty: all.", label="Split", max_length=200)

    @property
    def needs_network(self) -> bool:
        """A hub or an address."""
        return self.kind in (*HUBS, "url")


class Repair(Settings):
    """One thing done to the rows of a version to make another."""

    kind: Literal["drop", "trim", "deduplicate", "clean", "exclude", "keep"] = setting(
        ...,
        "drop: rows with these problems; trim: spaces around texts; deduplicate: all but the first of equal rows; "
        "clean: control characters and broken encodings; exclude: the rows named; keep: only the rows named.",
        label="Repair",
    )
    problems: list[CheckKind] = setting(list, "Kinds of problems that are meant.", label="Problems", max_length=40)
    rows: list[str] = setting(list, "Fingerprints of rows (hex).", label="Rows", max_length=1_000_000)
    near: float | None = setting(
        None, "Deduplicate: also rows so much alike (share of common words in runs of five).", label="Likeness",
        ge=0.5, le=1,
    )  # fmt: skip

    @cached_property
    def named(self) -> frozenset[str]:
        """The rows, to be looked up once for each of a million."""
        return frozenset(self.rows)


class CheckOptions(Settings):
    """Which of the costlier checks are made."""

    near_duplicates: float | None = setting(
        0.85, "Remark on rows so much alike; empty: not looked for.", label="Near duplicates", ge=0.5, le=1
    )
    against: list[str] = setting(
        list, "Versions no row of which may be among these (validation, held-out rows).", label="Leaks", max_length=16
    )
    model: ModelConfig | None = setting(None, "Whose tokens are counted for lengths.", label="Model")
    max_length: int | None = setting(None, "Remark on rows of more tokens.", label="Longest row", unit="tokens", ge=8)
    private: bool = setting(True, "Look for addresses, numbers and keys of persons.", label="Private data")
    languages: bool = setting(True, "Tell the language of rows.", label="Languages")


class ImportJob(Settings):
    """Bring rows into the library as a new version of a dataset."""

    kind: Literal["import"] = "import"
    dataset: str = Field(min_length=1, max_length=120, pattern=DATASET_NAME)
    """Its name; one that is not there yet is made."""
    source: ImportSource
    format: DataFormat | Literal["auto"] = "auto"
    mapping: Mapping = Mapping()
    encoding: Encoding = "auto"
    repairs: list[Repair] = Field(default_factory=list, max_length=50)
    checks: CheckOptions = CheckOptions()
    limit: int | None = Field(default=None, ge=1)
    """Take the first so many rows."""

    @property
    def lane(self) -> Lane:
        """Imports never wait behind training."""
        return Lane.CPU


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Column(_Body):
    """A column of the rows as they came."""

    name: str
    kind: str
    """text, number, truth, list, object, turns, image, audio, video, mixed, empty."""
    filled: float = 1.0
    """Share of rows that have it."""
    example: str = ""


class Shard(_Body):
    """One file of rows."""

    name: str
    rows: int
    bytes: int
    sha256: str


class Manifest(_Body):
    """What a version says of itself."""

    v: int = MANIFEST_VERSION
    hash: str
    """sha256 over format, mapping and the rows' fingerprints in their order: the version's name."""
    format: DataFormat
    mapping: Mapping = Mapping()
    reason: dict[str, Any] = {}
    """Why this format: a code of the messages and its parameters."""
    columns: list[Column] = []
    rows: int
    refused: int = 0
    """Rows that were read and not kept; each stands among the problems. rows + refused = rows in the source."""
    problems: dict[str, int] = {}
    """Kind of problem to number of rows."""
    characters: int = 0
    turns: dict[str, int] = {}
    """Role to number of turns."""
    languages: dict[str, float] = {}
    """Language (ISO 639-1, `?` unknown) to share of the rows that were looked at."""
    encoding: str = ""
    files: list[str] = []
    """Names of the files the rows came from."""
    source: ImportSource
    source_bytes: int = 0
    source_commit: str = ""
    """Of a hub: the commit its revision meant."""
    parent: str | None = None
    sampled: dict[str, Any] = {}
    """Of answers of a model: model, commit, adapter, the version that was asked, and how they were chosen."""
    repairs: list[Repair] = []
    code: str = ""
    """Version of the program that made it."""
    created: float = 0.0
    shards: list[Shard] = []

    @property
    def bytes(self) -> int:
        """Size of the row files."""
        return sum(shard.bytes for shard in self.shards)


class VersionView(_Body):
    """A version of a dataset as the library shows it."""

    n: int
    hash: str
    parent: str | None = None
    created: float
    run: str = ""
    """The import that made it."""
    rows: int
    refused: int = 0
    problems: dict[str, int] = {}
    bytes: int = 0
    format: str
    present: bool = True
    """Its folder is there."""
    tokens: int | None = None
    """As last measured, with whatever model."""
    used_by: int = 0
    """Runs that learned from it."""


class DatasetView(_Body):
    """A dataset as the library lists it; figures are those of its newest version."""

    uid: str
    name: str
    created: float
    changed: float
    notes: str = ""
    tags: list[str] = []
    versions: int = 0
    newest: VersionView | None = None
    importing: str = ""
    """A live or queued import into it."""
    used_by: int = 0


class DatasetPage(_Body):
    """Datasets, and how many there are in all."""

    datasets: list[DatasetView]
    total: int


class UsedBy(_Body):
    """A run that learned from a version."""

    run: str
    name: str
    state: str
    version: int
    created: float


class DatasetDetail(_Body):
    """Everything about a dataset."""

    dataset: DatasetView
    versions: list[VersionView]
    manifest: Manifest | None = None
    """Of the version asked for, the newest by default."""
    runs: list[UsedBy] = []


class RowView(_Body):
    """A row as it was kept."""

    row: int
    file: str = ""
    line: int
    hash: str
    content: str
    """JSON; longer ones are cut, and `cut` says so."""
    cut: bool = False
    problems: list[str] = []


class RowPage(_Body):
    """Rows of a version, `offset` to `offset + len(rows)` of `total` (of those found, where a search was given)."""

    rows: list[RowView]
    offset: int
    total: int
    complete: bool = True
    """False: the search was broken off after a while; `total` is what was found so far."""


class RowProblem(_Body):
    """Something wrong with a row."""

    kind: CheckKind
    severity: Severity
    row: int | None = None
    """Its place among the kept rows; None: it was not kept."""
    file: str = ""
    line: int
    column: str = ""
    code: str
    """Of the messages: what is wrong, why, and what to do."""
    params: dict[str, Any] = {}
    excerpt: str = ""
    hash: str = ""


class ProblemPage(_Body):
    """Problems of a version."""

    problems: list[RowProblem]
    offset: int
    total: int
    counts: dict[str, int] = {}


class RowChange(_Body):
    """A row that is in one version and not in the other, or stands in both with another content."""

    kind: Literal["added", "removed", "changed"]
    before: RowView | None = None
    after: RowView | None = None


class VersionDiff(_Body):
    """What differs between two versions. `changed`: at the same file and line, with another content."""

    before: int
    after: int
    added: int
    removed: int
    changed: int
    same: int
    rows: list[RowChange] = []
    """A page of them."""
    format_changed: bool = False


class EditDataset(_Body):
    """Change what is said about a dataset; what is None stays."""

    name: str | None = Field(default=None, min_length=1, max_length=120, pattern=DATASET_NAME)
    notes: str | None = Field(default=None, max_length=20_000)
    tags: list[str] | None = Field(default=None, max_length=50)


class NewUpload(_Body):
    """A file that will be sent in pieces."""

    name: str = Field(min_length=1, max_length=255)
    bytes: int = Field(ge=0)
    sha256: str = ""
    """Checked at its end where it is given."""


class UploadView(_Body):
    """How far an upload is; the next piece begins at `received`."""

    uid: str
    name: str
    bytes: int
    received: int
    complete: bool = False
