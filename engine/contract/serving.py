"""A model with adapters answered from: what an instance is asked to serve, who may ask it, and what it tells."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_serializer, field_validator

from engine.contract.errors import Problem
from engine.contract.gguf import GgufStorage
from engine.contract.model import ModelConfig
from engine.contract.setting import Settings, setting
from engine.contract.states import Lane

Scope = Literal["inference", "embeddings", "adapters", "metrics"]
SCOPES: tuple[Scope, ...] = ("inference", "embeddings", "adapters", "metrics")
BASE_NAMES = ("auto",)
"""Names of models that no adapter may have: the router's."""
MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9._:@-]{0,119}$"
KEY_PREFIX = "lf-"
OWN_KEY = "controller"
"""Id of the key the controller asks with; it is in no list."""
RESTART_WINDOW_S = 3600.0
LISTEN_IN_CONTAINER, SERVE_PORT = "0.0.0.0", 8000
"""Where an instance listens inside a container: nobody but the engine gets there."""
MOST_KEYS = 100
"""Of an instance."""


class ServedAdapter(Settings):
    """An adapter under the name it is asked for by."""

    name: str = setting(..., "The model name requests ask for.", label="Name", pattern=MODEL_NAME)
    path: str = setting(
        ..., "A .lora.arrow file, or the folder of an adapter or a checkpoint.", label="Adapter or checkpoint",
        min_length=1, max_length=4096,
    )  # fmt: skip


class ServeJob(Settings):
    """Answer requests in OpenAI's form, with a base model and adapters on it, until it is stopped."""

    kind: Literal["serve"] = "serve"
    model: ModelConfig = setting(..., "The base model.", label="Model")
    served_name: str = setting(
        "", "The base model's name in requests; empty: the last part of its path.", label="Name in requests",
        pattern=rf"^$|{MODEL_NAME}",
    )  # fmt: skip
    adapters: list[ServedAdapter] = setting(
        list, "Adapters that are there from the start; more are loaded while it serves.", label="Adapters",
        max_length=1000,
    )  # fmt: skip
    host: str = setting(
        "127.0.0.1", "The address it listens on; 0.0.0.0: every network of the computer.", label="Listen on",
        basic=True, min_length=1, max_length=255,
    )  # fmt: skip
    port: int = setting(0, "The port; 0: any that is free.", label="Port", basic=True, ge=0, le=65535)
    open: bool = setting(
        False, "Answer without a key. Anyone who reaches the address can ask.", label="Without keys", basic=True
    )
    context: int = setting(4096, "Longest prompt with its answer.", label="Context", unit="tokens", ge=16, le=1_048_576)
    parallel: int = setting(
        16, "Requests that are answered side by side.", label="Side by side", ge=1, le=1024, usual=(1, 256)
    )
    cache_mb: int = setting(
        0, "Memory for what has been read of prompts and answers; 0: what a quarter of the free memory holds, at "
        "most 4096.", label="Cache", unit="MB", ge=0, le=1_000_000,
    )  # fmt: skip
    adapters_mb: int = setting(
        0, "Memory for adapters that are held ready; the one not asked for longest goes first, and is read again when "
        "it is asked for. 0: a quarter of the free memory.",
        label="Memory of adapters", unit="MB", ge=0, le=1_000_000,
    )  # fmt: skip
    backend: Literal["torch", "llama_cpp"] = setting(
        "torch", "Who computes: torch, with any model and adapters side by side in a batch; llama.cpp, quicker on a "
        "processor, for dense models of the Llama and Qwen families.", label="Computed by",
    )  # fmt: skip
    llama_storage: GgufStorage = setting("q8_0", "What llama.cpp holds the weights in.", label="Weights in llama.cpp")
    int8: bool = setting(
        False, "On a processor: hold the model in bf16 and read its weights in 8 bits while answering. Quicker for up "
        "to four requests at once, a little less exact, half as much memory again.", label="Answer in 8 bits",
    )  # fmt: skip
    waiting: int = setting(
        256, "Requests that may wait; more are refused at once.", label="Waiting at most", ge=1, le=100_000
    )
    queue_timeout: float = setting(
        60.0, "Longest a request waits for its turn; 0: without limit.", label="Waiting no longer than", unit="s", ge=0
    )
    prompt_timeout: float = setting(
        120.0, "Longest its prompt may be read; 0: without limit.", label="Reading no longer than", unit="s", ge=0
    )
    answer_timeout: float = setting(
        600.0, "Longest its answer may take; 0: without limit.", label="Answering no longer than", unit="s", ge=0
    )
    body_kb: int = setting(1024, "Largest request.", label="Largest request", unit="kB", ge=1, le=1_000_000)
    requests_per_minute: int = setting(
        0, "Requests a key may make in a minute, counted in a sliding window; 0: without limit.",
        label="Requests a minute", ge=0,
    )  # fmt: skip
    tokens_per_minute: int = setting(
        0, "Tokens of prompts and answers a key may use in a minute; 0: without limit.", label="Tokens a minute", ge=0
    )
    limits_in: str = setting(
        "memory://", "Where these counts are kept: memory://, or redis://host:port/number to share them among "
        "instances (its password is taken from FORGE_REDIS_PASSWORD).", label="Counts kept in",
        pattern=r"^(memory://|rediss?://[^@\s]+)$", max_length=300,
    )  # fmt: skip
    route_threshold: float = setting(
        0.3, "The model \"auto\" takes the base where no adapter's description is as like a request as this.",
        label="Router: least likeness", ge=-1, le=1,
    )  # fmt: skip
    route_most: int = setting(
        1, "So many of the likest adapters are blended.", label="Router: adapters at once", ge=1, le=8
    )
    route_model: str = setting(
        "", "Folder of a sentence-embedding model, as sentence-transformers writes it, that compares requests with the "
        "adapters' descriptions; empty: the base model does it.", label="Router: model", max_length=4096,
    )  # fmt: skip
    restart: bool = setting(True, "Start it again when its worker dies.", label="Start again", basic=True)
    restarts: int = setting(5, "Starts again within an hour; after that it has failed.", label="At most", ge=1, le=100)
    idle_minutes: float = setting(
        0.0, "Ends by itself when nobody has asked for so long; 0: never.", label="Ends when idle for", unit="min", ge=0
    )
    tracing: str = setting(
        "", "Address of an OpenTelemetry collector (http://host:4318); empty: traces go to the log only.",
        label="Traces to", pattern=r"^(https?://[^@\s]+)?$", max_length=300,
    )  # fmt: skip

    @property
    def lane(self) -> Lane:
        """It waits for a device, as training does."""
        return Lane.GPU

    @property
    def held_in(self) -> str:
        """The number format of the weights; what is read in 8 bits is held in bf16."""
        return "bf16" if self.int8 and self.model.dtype == "auto" else self.model.dtype

    @property
    def base_name(self) -> str:
        """The base model's name in requests."""
        return self.served_name or name_of(self.model.path.rstrip("/").rpartition("/")[2])


def name_of(text: str) -> str:
    """A text as a model's name in requests."""
    return re.sub(r"[^A-Za-z0-9._:@-]+", "-", text).strip("-._:@")[:120] or "model"


def contradictions(job: ServeJob) -> Iterator[Problem]:
    """Settings that are valid one by one and not together."""
    if job.model.hub == "scratch":
        yield Problem(code="serve.from_scratch", field="model.hub")
    taken = {job.base_name: "model", **dict.fromkeys(BASE_NAMES, "auto")}
    for index, adapter in enumerate(job.adapters):
        if adapter.name in taken:
            params = {"name": adapter.name, "by": taken[adapter.name]}
            yield Problem(code="serve.name_taken", field=f"adapters.{index}.name", params=params)
        taken.setdefault(adapter.name, f"adapters.{index}")
    if job.served_name in BASE_NAMES:
        yield Problem(code="serve.name_taken", field="served_name", params={"name": job.served_name, "by": "auto"})
    if job.backend == "llama_cpp" and job.int8:
        yield Problem(code="serve.int8_llama", field="int8")
    if job.backend == "llama_cpp" and job.model.quantisation not in ("none", None):
        yield Problem(
            code="serve.quantised_llama", field="model.quantisation", params={"value": job.model.quantisation}
        )
    if job.open and job.host not in ("127.0.0.1", "::1", "localhost"):
        yield Problem(code="serve.open_to_all", field="open", params={"host": job.host})


class ServeKey(BaseModel):
    """Who may ask; the key itself is told once and kept nowhere."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    """sha256 of the key; keys are 256 random bits, so that nothing slower is needed."""
    hint: str = ""
    """Its first characters, to recognise it by."""
    name: str = Field(default="", max_length=120)
    tenant: str = Field(default="", max_length=120, pattern=r"^[A-Za-z0-9._-]*$")
    tier: int = Field(default=1, ge=0, le=9)
    """A smaller one is answered first."""
    scopes: tuple[Scope, ...] = ("inference", "embeddings")
    requests_per_minute: int | None = Field(default=None, ge=0)
    """Other than the instance's; 0: without limit."""
    tokens_per_minute: int | None = Field(default=None, ge=0)
    created: float = 0.0
    expires: float | None = None
    counted_as: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    """Hash of the key it took the place of: while both go on their requests count as one's."""
    replaced_by: str = ""
    """The key that was made to take its place; it ends then at `expires`."""

    def valid(self, at: float) -> bool:
        """Not over yet."""
        return self.expires is None or at < self.expires


class NewKey(BaseModel):
    """A key that is asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default="", max_length=120)
    tenant: str = Field(default="", max_length=120, pattern=r"^[A-Za-z0-9._-]*$")
    tier: int = Field(default=1, ge=0, le=9)
    scopes: tuple[Scope, ...] = Field(default=("inference", "embeddings"), min_length=1)
    requests_per_minute: int | None = Field(default=None, ge=0)
    tokens_per_minute: int | None = Field(default=None, ge=0)
    days: float | None = Field(default=None, gt=0, le=3650)
    """None: until it is revoked."""
    key: SecretStr | None = Field(default=None, min_length=16, max_length=200)
    """A person's own; None: one is drawn."""

    @field_validator("key")
    @classmethod
    def _of_a_header(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and not re.fullmatch(r"[!-~]+", key.get_secret_value()):
            raise ValueError("visible ASCII characters only")
        return key

    @field_serializer("key", when_used="json")
    def _as_sent(self, key: SecretStr | None) -> str | None:
        return key.get_secret_value() if key is not None else None


class MadeKey(BaseModel):
    """A new key, the only time it is told."""

    key: str
    about: ServeKey


def make_key(asked: NewKey, key_id: str, at: float) -> MadeKey:
    """Draw a key."""
    key = asked.key.get_secret_value() if asked.key is not None else KEY_PREFIX + secrets.token_urlsafe(32)
    plain = asked.model_dump(exclude={"days", "key"})
    expires = None if asked.days is None else at + asked.days * 86_400
    about = ServeKey(id=key_id, hash=hash_of(key), hint=key[:6], created=at, expires=expires, **plain)
    return MadeKey(key=key, about=about)


def hash_of(key: str) -> str:
    """How a key is kept."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class Percentiles(BaseModel):
    """Of the last requests, in seconds."""

    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0


class AdapterState(BaseModel):
    """An adapter of an instance."""

    name: str
    path: str = ""
    file_hash: str = ""
    rank: int = 0
    bytes: int = 0
    loaded: bool = False
    """In memory now; another is mapped when it is asked for."""
    requests: int = 0
    description: str = ""
    card_name: str = ""
    routed: bool = False
    """The router may choose it: its card says what it is for."""


class LoadAdapter(BaseModel):
    """`POST /v1/adapters`: an adapter that is to be asked for by this name from now on."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=MODEL_NAME)
    path: str = Field(min_length=1, max_length=4096)
    replace: bool = False
    """Take the place of the one that has this name."""
    source: str = Field(default="", max_length=4096)
    """Where it lies on the controller's computer, which alone says so: it is loaded again from there."""


class Routed(BaseModel):
    """`POST /v1/route`: which adapters fit a text, the likest first."""

    adapters: dict[str, float] = {}
    """Names and weights; none: the base model."""
    likeness: dict[str, float] = {}
    threshold: float = 0.0
    """Of likeness: what is less like the text is passed over."""
    reason: str = ""


class ServeStatus(BaseModel):
    """`GET /v1/status`: how an instance is doing."""

    model: str
    ready: bool = True
    uptime: float = 0.0
    running: int = 0
    waiting: int = 0
    requests: int = 0
    refused: int = 0
    failed: int = 0
    requests_per_minute: float = 0.0
    tokens_per_second: float = 0.0
    queue: Percentiles = Percentiles()
    first_token: Percentiles = Percentiles()
    each_token: Percentiles = Percentiles()
    whole: Percentiles = Percentiles()
    cache_hit_rate: float = 0.0
    cache_used: float = 0.0
    """Share of the cache's memory that is used."""
    context: int = 0
    adapters: list[AdapterState] = []
    alerts: list[str] = []
    """Codes of thresholds that are passed now."""


class Instance(BaseModel):
    """What the controller knows of a run of kind serve."""

    run: str
    state: str = ""
    """Of the run."""
    ready: bool = False
    address: str = ""
    """`http://host:port` as others reach it; empty: not yet."""
    models: list[str] = []
    since: float | None = None
    restarts: int = 0
    """Starts again in the last hour."""
