"""`python -m engine.compute.worker.queries`: answer one helper query from stdin on stdout, and end.

A short-lived process: a query imports only what it needs, and torch only if it must.
"""

from __future__ import annotations

import errno
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from pydantic import BaseModel, Field, ValidationError

from engine.compute.worker import adapter_queries, data_queries, reward_queries, row_queries
from engine.compute.worker.data_inspection import inspect_data
from engine.contract.api import QueryAnswer, QueryRequest
from engine.contract.data import DataSource
from engine.contract.data_format import Mapping
from engine.contract.errors import UserError
from engine.contract.heads import HeadConfig
from engine.contract.hubs import HubAccess
from engine.contract.model import RUNNABLE_HUBS, ModelConfig
from engine.contract.objective import ObjectiveConfig
from engine.contract.paths import Home
from engine.contract.rollouts import RolloutConfig
from engine.contract.secrets import GivenSecrets


class PreviewParams(BaseModel):
    """What `preview_data` takes."""

    path: str
    hub: str = "local"
    format: str = "auto"
    version: str | None = None
    mapping: Mapping = Mapping()
    rows: int = Field(10, ge=0, le=1000)


class QueryOrder(QueryRequest):
    """A query as the controller hands it on, with the way to hubs and what is told in confidence."""

    access: HubAccess = HubAccess()
    secrets: GivenSecrets = GivenSecrets()


class RowParams(BaseModel):
    """What `preview_row` takes: the settings that decide how a row becomes tokens."""

    model: ModelConfig
    source: DataSource
    stage: str = "sft"
    max_length: int = Field(1024, ge=8)
    assistant_only_loss: bool = True
    objective: ObjectiveConfig = ObjectiveConfig()
    head: HeadConfig = HeadConfig()
    against: list[DataSource] = []
    """Training rows that say which classes there are, where these rows are only measured on."""
    rollouts: RolloutConfig = RolloutConfig()
    rows: int = Field(3, ge=0, le=50)


def inspect_model(order: QueryOrder) -> dict[str, Any]:
    """What a model says about itself: the files of its folder, or the small ones of a hub."""
    from engine.compute.inference.inspect import inspect_folder
    from engine.contract.bundled import MODELS, locate

    params = order.params
    config = ModelConfig(path=params["path"], hub=params.get("hub", "local"), revision=params.get("revision"))
    if config.hub not in RUNNABLE_HUBS:
        from engine.compute.inference.inspect_hub import inspect_hub

        return inspect_hub(config, order.access, order.secrets, Home.find())
    folder = locate(config)
    if folder is None:
        raise UserError("model.not_here", path=config.path, choices=", ".join(MODELS))
    return inspect_folder(folder)


def preview_data(order: QueryOrder) -> dict[str, Any]:
    """The first rows of a dataset, and what is wrong with it."""
    from engine.compute.data.preview import preview
    from engine.contract.bundled import DATASETS, locate

    asked = PreviewParams.model_validate(order.params)
    source = DataSource.model_validate(asked.model_dump(exclude={"rows"}))
    path = locate(source)
    if path is None:
        raise UserError("data.not_here", path=source.path, choices=", ".join(DATASETS))
    return preview(path, source.format, asked.rows)


def preview_row(order: QueryOrder) -> dict[str, Any]:
    """A dataset's first rows as the model will see them, with what is learned of each."""
    from engine.compute.data.row_view import first_examples, view
    from engine.compute.data.templates import choose_template
    from engine.compute.data.unpaired import all_unpaired
    from engine.compute.inference.base import load_tokenizer, model_folder
    from engine.compute.training.stages import STAGES
    from engine.compute.worker.head_queries import known_labels
    from engine.contract.bundled import DATASETS, locate

    asked = RowParams.model_validate(order.params)
    path = locate(asked.source)
    if path is None:
        raise UserError("data.not_here", path=asked.source.path, choices=", ".join(DATASETS))
    examples = first_examples(path, asked.source.format)
    stage = STAGES.get(asked.stage, STAGES["sft"])
    stage.check(examples)
    examples = all_unpaired(examples) if stage.declared.unpairs else examples
    tokenizer = load_tokenizer(model_folder(asked.model))
    template = choose_template(tokenizer, asked.model.template, thinking=asked.model.thinking)
    labels = known_labels(asked.head, asked.against) if "labels" in stage.declared.head else None
    tokeniser = stage.tokeniser(
        template, asked.max_length, asked.assistant_only_loss, asked.objective, asked.head, labels, asked.rollouts
    )
    seen = view(examples, tokeniser, asked.rows, asked.model.system)
    return {
        **seen,
        "template": {"choice": template.choice, "reason": {"code": template.note, "params": dict(template.params)}},
    }


def push_result(order: QueryOrder) -> dict[str, Any]:
    """Put the result of an attempt on a hub."""
    from engine.compute.hubs.pushing import push
    from engine.contract.push import PushConfig

    wanted = PushConfig.model_validate(order.params["push"])
    return push(Path(order.params["folder"]), wanted, order.access, order.secrets).model_dump()


QUERIES: dict[str, Callable[[QueryOrder], dict[str, Any]]] = {
    "inspect_model": inspect_model,
    "inspect_data": inspect_data,
    "preview_data": preview_data,
    "preview_row": preview_row,
    "xray": data_queries.xray,
    "data_statistics": data_queries.data_statistics,
    "render_template": data_queries.render_template,
    "row_texts": row_queries.row_texts,
    "token_losses": row_queries.token_losses,
    "preview_rewards": reward_queries.preview_rewards,
    "reproduction_facts": row_queries.reproduction_facts,
    "push_result": push_result,
    "inspect_adapter": adapter_queries.inspect_adapter,
    "write_adapter": adapter_queries.write_adapter,
    "merge_adapters": adapter_queries.merge_adapters,
    "compare_adapters": adapter_queries.compare_adapters,
    "write_gguf": adapter_queries.write_gguf,
}


def answer(text: str) -> QueryAnswer:
    """The answer to a query; whatever goes wrong is an error with a code."""
    try:
        request = QueryOrder.model_validate_json(text)
        query = QUERIES.get(request.kind)
        if query is None:
            raise UserError("query.unknown", kind=request.kind, known=", ".join(QUERIES))
        return QueryAnswer(result=query(request))
    except UserError as error:
        return QueryAnswer(error=error.body(), status=error.status)
    except (ValidationError, KeyError) as error:
        detail = f"'{error.args[0]}' is missing." if isinstance(error, KeyError) else str(error)
        return QueryAnswer(error=UserError("query.invalid", detail=detail[:500]).body())
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return QueryAnswer(
            error=UserError("query.disk_full" if full else "query.unreadable", detail=str(error)[:500]).body()
        )
    except Exception as error:  # noqa: BLE001 - the border: a helper never ends without an answer
        traceback.print_exc()  # for the controller's log
        return QueryAnswer(error=UserError("worker.bug", detail=f"{type(error).__name__}: {error}"[:500]).body())


def main() -> int:
    """Read, answer, end."""
    out: TextIO = sys.stdout
    sys.stdout = sys.stderr  # only the answer may stand on stdout
    found = answer(sys.stdin.read())
    out.write(found.model_dump_json() + "\n")
    out.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
