"""Helper queries about datasets as a model's tokens: the X-ray of rows, statistics, rendering of templates."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.contract.dataset_queries import Rendered, RenderTemplate, Statistics, Xray

if TYPE_CHECKING:
    from engine.compute.data.tokenise import Tokeniser
    from engine.compute.worker.queries import QueryOrder
    from engine.contract.data import DataSource
    from engine.contract.model import ModelConfig

MORE_MEMORY = 2 << 30
"""What a template may take beyond what is in use."""
READING_SECONDS = 1.0


def xray(order: QueryOrder) -> dict[str, Any]:
    """Rows with every token's fate."""
    from engine.compute.data.row_source import RowSource
    from engine.compute.data.xray import xray as look

    asked = Xray.model_validate(order.params)
    source = RowSource(asked.source, asked.encoding)
    tokenizer = _tokenizer(asked, source)
    with bounded_memory():
        return look(asked, source, _tokeniser(asked, tokenizer, asked.template)).model_dump()


def data_statistics(order: QueryOrder) -> dict[str, Any]:
    """Lengths, shares and counts of a dataset."""
    from engine.compute.data.row_source import RowSource
    from engine.compute.data.xray import statistics

    asked = Statistics.model_validate(order.params)
    source = RowSource(asked.source)
    tokenizer = _tokenizer(asked, source)
    with bounded_memory():
        return statistics(asked, source, _tokeniser(asked, tokenizer, asked.template)).model_dump()


def render_template(order: QueryOrder) -> dict[str, Any]:
    """What a template makes of a conversation, and what of it is learned."""
    from engine.compute.data.sandbox import render

    asked = RenderTemplate.model_validate(order.params)
    if asked.model is not None and asked.source is not None:
        return _rendered_row(asked, asked.model, asked.source).model_dump()
    special = {**_special_tokens(asked), **asked.special}
    more: dict[str, Any] = {} if asked.thinking is None else {"enable_thinking": asked.thinking}
    more["add_generation_prompt"] = asked.generation_prompt
    with bounded_memory():
        found = render(asked.template, asked.messages, asked.tools, **special, **more)
    return Rendered(text=found.text, spans=found.marks).model_dump()


def _rendered_row(asked: RenderTemplate, model: ModelConfig, place: DataSource) -> Rendered:
    """A row as text and what a run would learn of it; of a preference, the better answer."""
    from engine.compute.data.mask import render_with_spans
    from engine.compute.data.measure import sides_of
    from engine.compute.data.row_source import RowSource
    from engine.compute.data.templates import choose_template
    from engine.compute.inference.base import load_tokenizer, model_folder

    source = RowSource(place)
    tokenizer = load_tokenizer(model_folder(model))
    with bounded_memory():
        thinking = model.thinking if asked.thinking is None else "on" if asked.thinking else "off"
        template = choose_template(tokenizer, model.template, asked.template or None, thinking)
        ((_, example),) = source.rows([asked.row], READING_SECONDS)
        side, _ = sides_of(example, model.system)[0]
        if not side.turns:
            return Rendered(text=side.text, spans=[(0, len(side.text))], template=template.source)
        text, spans = render_with_spans(template, side.turns, side.tools)
    return Rendered(text=text, spans=spans, template=template.source)


def _tokenizer(asked: Xray | Statistics, source: Any) -> Any:
    """The model's tokenizer, once the rows are such as the stage learns from."""
    from engine.compute.inference.base import load_tokenizer, model_folder
    from engine.compute.training.stages import STAGES

    stage, example = STAGES.get(asked.stage), source.first(1.0)
    if stage is not None and example is not None:
        stage.check([example])
    return load_tokenizer(model_folder(asked.model))


def _tokeniser(asked: Xray | Statistics, tokenizer: Any, text: str | None = None) -> Tokeniser:
    """As a run of the stage would make it."""
    from engine.compute.data.templates import choose_template
    from engine.compute.training.stages import STAGES

    template = choose_template(tokenizer, asked.model.template, text, asked.model.thinking)
    stage = STAGES.get(asked.stage, STAGES["sft"])
    return stage.tokeniser(template, asked.max_length, asked.assistant_only_loss)


def _special_tokens(asked: RenderTemplate) -> dict[str, str]:
    """The tokens a model's files name, read without loading it."""
    from engine.contract.bundled import locate

    folder = locate(asked.model) if asked.model is not None else None
    found = dict[str, str]()
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            for key, value in json.loads((Path(folder or "") / name).read_bytes()).items():
                token = value.get("content") if isinstance(value, dict) else value
                if key.endswith("_token") and isinstance(token, str):
                    found[key] = token
    return found


@contextlib.contextmanager
def bounded_memory() -> Iterator[None]:
    """A template gets no more memory than this beside what is in use: the rest of the computer needs it."""
    try:
        import resource

        in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError, ValueError):  # not Linux: the guard of the rendering is there
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    known = [limit for limit in (soft, hard, in_use + MORE_MEMORY) if limit >= 0]
    resource.setrlimit(resource.RLIMIT_AS, (min(known), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
