"""What may be asked, parameter by parameter; everything else is refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from engine.compute.serving.refusals import without_empty
from engine.contract.errors import Problem
from engine.contract.serving import MODEL_NAME

MOST_CHOICES = 32
MOST_INPUTS = 2048
PLAIN = "\n\t\r"
"""Control characters a text may have."""
TOOL_NAME = r"^[A-Za-z0-9_.-]{1,64}$"


A_TEXT, TEXTS, TOKENS, MANY_TOKENS, A_WORD, NAMED = "<text>", "<texts>", "<tokens>", "<lists>", "<word>", "<named>"
FORMS = (A_TEXT, TEXTS, TOKENS, MANY_TOKENS, A_WORD, NAMED)
"""Forms a parameter may have: what is wrong is told of the form that was given, and not of the others too."""
MOST_WEIGHT = 100.0
"""Of an adapter in a blend, either way."""


def clean(text: str) -> str:
    """The text, if no control or half characters are in it: they are refused, never taken out in silence."""
    for place, character in enumerate(text):
        control = character < " " or "\x7f" <= character <= "\x9f"
        if (control and character not in PLAIN) or "\ud800" <= character <= "\udfff":
            name = f"U+{ord(character):04X} ({'control character' if control else 'half of a character'})"
            raise PydanticCustomError("text", "a control character", {"character": name, "place": place})
    return text


Text = Annotated[str, AfterValidator(clean)]


def _joined(value: Any) -> Any:
    """Parts of a content as one text; refuses parts that are no text."""
    if not isinstance(value, list):
        return value
    texts = list[str]()
    for number, part in enumerate(value):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind != "text" or not isinstance(part.get("text"), str) or set(part) - {"type", "text"}:
            named = {"name": f"part {number} of type {str(kind)[:40]}", "why": "the models here read text only"}
            fix = 'Give text, or parts of the form {"type": "text", "text": "…"}.'
            raise PydanticCustomError("unsupported", "no text", {**named, "fix": fix})
        texts.append(part["text"])
    return "".join(texts)


_PART = {
    "type": "object", "additionalProperties": False, "required": ["type", "text"],
    "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
}  # fmt: skip
Content = Annotated[
    Text, BeforeValidator(_joined), WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": _PART}]})
]


class Strict(BaseModel):
    """Nothing is converted, nothing else is taken; null is the same as not given."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    asked: ClassVar[bool] = False
    """It is a whole request: what asks for nothing may stand in it."""

    @model_validator(mode="before")
    @classmethod
    def _given(cls, given: Any) -> Any:
        return without_empty(given, cls.asked)


class SystemMessage(Strict):
    """What holds for the whole conversation; a developer's is the same."""

    role: Literal["system", "developer"]
    content: Content
    name: Text | None = None


class UserMessage(Strict):
    """What a person says."""

    role: Literal["user"]
    content: Content
    name: Text | None = None


class CalledFunction(Strict):
    """A function and the arguments it is called with, in JSON."""

    name: str = Field(pattern=TOOL_NAME)
    arguments: Text


class ToolCall(Strict):
    """A call the model made."""

    id: Text
    type: Literal["function"] = "function"
    function: CalledFunction


class AssistantMessage(Strict):
    """What the model said, or which tools it called."""

    role: Literal["assistant"]
    content: Content | None = None
    name: Text | None = None
    reasoning_content: Text | None = None
    tool_calls: list[ToolCall] = Field(default=[], max_length=128)

    @model_validator(mode="before")
    @classmethod
    def _echoed(cls, given: Any) -> Any:
        """Clients send answers back as they got them."""
        return {k: v for k, v in given.items() if k != "annotations" or v} if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _says(self) -> AssistantMessage:
        if self.content is None and not self.tool_calls:
            raise PydanticCustomError("nothing", "It has neither content nor tool_calls.")
        return self


class ToolMessage(Strict):
    """What a tool answered."""

    role: Literal["tool"]
    content: Content
    tool_call_id: Text


Message = Annotated[SystemMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")]


class Function(Strict):
    """A function that may be called."""

    name: str = Field(pattern=TOOL_NAME)
    description: Text = ""
    parameters: dict[str, Any] = {"type": "object", "properties": {}}
    strict: bool = False


class Tool(Strict):
    """A tool; only functions are known."""

    type: Literal["function"]
    function: Function


class NamedFunction(Strict):
    """A function by its name."""

    name: str = Field(pattern=TOOL_NAME)


class NamedTool(Strict):
    """The tool that must be called."""

    type: Literal["function"]
    function: NamedFunction


class JsonSchema(Strict):
    """The shape of an answer."""

    name: str = Field(default="answer", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    description: Text = ""
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool = True


class ResponseFormat(Strict):
    """Text, any JSON object, or JSON by a schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


Stop = Annotated[
    Annotated[Text, Tag(A_TEXT)] | Annotated[list[Text], Tag(TEXTS)],
    Discriminator(
        lambda given: {str: A_TEXT, list: TEXTS}.get(type(given)),
        custom_error_type="stop",
        custom_error_message="It is a text or a list of texts",
    ),
]
ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag(A_WORD)] | Annotated[NamedTool, Tag(NAMED)],
    Discriminator(lambda given: NAMED if isinstance(given, dict | NamedTool) else A_WORD),
]
Weight = Annotated[float, Field(ge=-MOST_WEIGHT, le=MOST_WEIGHT)]


class StreamOptions(Strict):
    """What a stream tells beside the answer."""

    include_usage: bool = False
    include_obfuscation: Literal[False] = False


class Choosing(Strict):
    """How tokens are chosen and answers end; of all requests for text."""

    asked: ClassVar[bool] = True
    model: str = Field(min_length=1, max_length=400)
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(default=None, ge=1, le=10_000_000)
    temperature: float = Field(default=1.0, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    n: int = Field(default=1, ge=1, le=MOST_CHOICES)
    stop: Stop = []
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    presence_penalty: float = Field(default=0.0, ge=-2, le=2)
    frequency_penalty: float = Field(default=0.0, ge=-2, le=2)
    logit_bias: dict[str, float] = Field(default={}, max_length=1024)
    user: Text | None = Field(default=None, max_length=512)
    response_format: ResponseFormat | None = None
    top_k: int = Field(default=0, ge=0, le=2**31)
    min_p: float = Field(default=0.0, ge=0, le=1)
    repetition_penalty: float = Field(default=1.0, ge=0.01, le=10)
    adapters: dict[str, Weight] = Field(default={}, max_length=8)
    ignore_eos: bool = False
    timeout: float | None = Field(default=None, gt=0, le=86_400)

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts that end the answer."""
        return tuple(one for one in ([self.stop] if isinstance(self.stop, str) else self.stop) if one)

    @property
    def with_usage(self) -> bool:
        """The stream ends with what was used."""
        return self.stream_options is not None and self.stream_options.include_usage

    def problems(self, words: int) -> Iterator[Problem]:
        """What is valid one by one and not together; `words`: tokens the model knows."""
        if self.stream_options is not None and not self.stream:
            yield _wrong("stream_options", "it is for streams only: set stream to true or leave it out")
        if len(self.stops) > 16 or any(len(one) > 500 for one in self.stops):
            yield _wrong("stop", "at most 16 texts of at most 500 characters can end an answer")
        for token, value in self.logit_bias.items():
            if not token.isascii() or not token.isdecimal() or len(token) > 9 or int(token) >= words:
                yield _wrong("logit_bias", f"'{token[:20]}' is no token of the model: they are 0 to {words - 1}")
            elif not -100 <= value <= 100:
                yield _wrong("logit_bias", f"{value} of '{token}' is not between -100 and 100")
        form = self.response_format
        if form is not None and (form.type == "json_schema") != (form.json_schema is not None):
            yield _wrong("response_format.json_schema", "it belongs to the type json_schema, and is needed there")


def _prompt_kind(given: Any) -> str | None:
    """By its first part; none where it is neither of all."""
    if isinstance(given, str):
        return A_TEXT
    if not isinstance(given, list):
        return None
    kinds = {str: TEXTS, int: TOKENS, list: MANY_TOKENS}
    return kinds.get(type(given[0])) if given else TEXTS


class ChatBody(Choosing):
    """`POST /v1/chat/completions`."""

    messages: list[Message] = Field(min_length=1, max_length=10_000)
    max_completion_tokens: int | None = Field(default=None, ge=1, le=10_000_000)
    logprobs: bool = False
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    tools: list[Tool] = Field(default=[], max_length=128)
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool = True

    @property
    def most(self) -> int | None:
        """The longest answer, by either name."""
        return self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens

    @property
    def likely(self) -> int | None:
        """How many log-probabilities beside the token's own; None: none at all."""
        return (self.top_logprobs or 0) if self.logprobs else None

    @property
    def forced(self) -> list[Tool]:
        """Tools one of which must be called."""
        if isinstance(self.tool_choice, NamedTool):
            return [one for one in self.tools if one.function.name == self.tool_choice.function.name]
        return list(self.tools) if self.tool_choice == "required" else []

    @property
    def callable(self) -> bool:
        """The model may call tools."""
        return bool(self.tools) and self.tool_choice != "none"

    def problems(self, words: int) -> Iterator[Problem]:
        """Those of all requests, and the contradictions about tools and lengths."""
        yield from super().problems(words)
        both = self.max_tokens is not None and self.max_completion_tokens is not None
        if both and self.max_tokens != self.max_completion_tokens:
            yield _wrong("max_tokens", "max_completion_tokens says something else; give one of them")
        if self.top_logprobs is not None and not self.logprobs:
            yield _wrong("top_logprobs", "it needs logprobs: true")
        if self.tool_choice not in (None, "none", "auto") and not self.tools:
            yield _wrong("tool_choice", "it needs tools to choose from")
        elif isinstance(self.tool_choice, NamedTool) and not self.forced:
            yield _wrong("tool_choice", f"no tool is called '{self.tool_choice.function.name}'")
        if self.forced and self.stops:
            yield _wrong("stop", "a call that must be made is not cut off: leave out stop or tool_choice")
        names = [one.function.name for one in self.tools]
        if len(set(names)) < len(names):
            yield _wrong("tools", "two have the same name")
        shaped = self.response_format is not None and self.response_format.type != "text"
        if shaped and self.callable:
            yield _wrong("response_format", "an answer of a given shape calls no tools: leave out one of them")


Prompt = Annotated[
    Annotated[Text, Tag(A_TEXT)]
    | Annotated[list[Text], Field(min_length=1, max_length=MOST_INPUTS), Tag(TEXTS)]
    | Annotated[list[int], Field(min_length=1), Tag(TOKENS)]
    | Annotated[list[list[int]], Field(min_length=1, max_length=MOST_INPUTS), Tag(MANY_TOKENS)],
    Discriminator(
        _prompt_kind, custom_error_type="prompt",
        custom_error_message="It is a text, a list of texts, a list of tokens, or a list of such lists",
    ),
]  # fmt: skip


class CompletionBody(Choosing):
    """`POST /v1/completions`."""

    prompt: Prompt
    logprobs: int | None = Field(default=None, ge=0, le=20)

    def problems(self, words: int) -> Iterator[Problem]:
        """Those of all requests, and of the prompts."""
        yield from super().problems(words)
        yield from bad_inputs("prompt", self.prompt, words)
        if len(inputs_of(self.prompt)) * self.n > MOST_CHOICES:
            yield _wrong("prompt", f"prompts times n are more than {MOST_CHOICES}")


class EmbeddingBody(Strict):
    """`POST /v1/embeddings`."""

    asked: ClassVar[bool] = True
    model: str = Field(min_length=1, max_length=400)
    input: Prompt
    encoding_format: Literal["float", "base64"] = "float"
    user: Text | None = Field(default=None, max_length=512)
    timeout: float | None = Field(default=None, gt=0, le=86_400)


class TokenizeBody(Strict):
    """`POST /v1/tokenize`: of a conversation or a text."""

    model: str | None = Field(default=None, max_length=400)
    messages: list[Message] | None = Field(default=None, min_length=1, max_length=10_000)
    text: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> TokenizeBody:
        if (self.messages is None) == (self.text is None):
            raise PydanticCustomError("one", "It takes either messages or text.")
        return self


class RouteBody(Strict):
    """`POST /v1/route`."""

    text: Text | None = Field(default=None, min_length=1)
    messages: list[Message] | None = Field(default=None, min_length=1, max_length=10_000)

    @model_validator(mode="after")
    def _one(self) -> RouteBody:
        if (self.messages is None) == (self.text is None):
            raise PydanticCustomError("one", "It takes either messages or text.")
        return self


class LoadBody(Strict):
    """`POST /v1/adapters`."""

    name: str = Field(pattern=MODEL_NAME)
    path: str = Field(min_length=1, max_length=4096)
    replace: bool = False
    source: str = Field(default="", max_length=4096)
    """The controller's word alone."""


class LoadLoraBody(Strict):
    """`POST /v1/load_lora_adapter`, as vLLM names it."""

    lora_name: str = Field(pattern=MODEL_NAME)
    lora_path: str = Field(min_length=1, max_length=4096)
    load_inplace: bool = False


class UnloadLoraBody(Strict):
    """`POST /v1/unload_lora_adapter`, as vLLM names it."""

    lora_name: str = Field(min_length=1, max_length=400)


def inputs_of(prompt: Any) -> list[str | list[int]]:
    """Prompts one by one, whichever of its forms it has."""
    if isinstance(prompt, str):
        return [prompt]
    if prompt and isinstance(prompt[0], int):
        return [prompt]
    return list(prompt)


def bad_inputs(place: str, prompt: Any, words: int) -> Iterator[Problem]:
    """Inputs that are empty, or tokens the model does not know."""
    for number, one in enumerate(inputs_of(prompt)):
        if not one:
            yield _wrong(f"{place}.{number}", "it is empty")
        elif not isinstance(one, str) and not all(0 <= token < words for token in one):
            yield _wrong(f"{place}.{number}", f"tokens of the model are 0 to {words - 1}")


def _wrong(field: str, detail: str) -> Problem:
    return Problem(code="serve.field", field=field, params={"detail": detail})
