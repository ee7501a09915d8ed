"""From what was asked to what the engine is asked: tokens, sampling, adapters, and what the answer must look like."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from engine.compute.inference.engine.requests import Asked, Handle, Patience, Sampling
from engine.compute.inference.engine.shaped import Shape
from engine.compute.serving import tools
from engine.compute.serving.adapters import Lease
from engine.compute.serving.bodies import (
    AssistantMessage,
    ChatBody,
    Choosing,
    CompletionBody,
    Message,
    Tool,
    ToolMessage,
    inputs_of,
)
from engine.compute.serving.desk import Asking
from engine.compute.serving.errors import invalid
from engine.compute.serving.served import Served
from engine.contract.errors import Problem, UserError

USUAL_ANSWER = 1024
"""Tokens of an answer whose length was not asked, where the context has room for them."""
SEEDS = 1 << 63


@dataclass
class Prepared:
    """A request, ready for the engine."""

    label: str
    lease: Lease
    prompts: list[tuple[int, ...]]
    asked: list[Asked]
    """`n` for each prompt."""
    known: tuple[str, ...] = ()
    """Tools whose calls are looked for."""
    forced: list[Tool] = field(default_factory=list)

    @property
    def tokens(self) -> int:
        """Of the prompts."""
        return sum(map(len, self.prompts))

    def submit(self, served: Served) -> list[Handle]:
        """Ask the engine, all or none."""
        handles = list[Handle]()
        try:
            for one in self.asked:
                handles.append(served.engine.submit(one))
        except BaseException as error:
            for handle in handles:
                handle.cancel()
            if isinstance(error, UserError) and error.code == "inference.shape":
                error.params["param"] = "tools" if self.forced else "response_format"
            raise
        return handles


def prepare_chat(served: Served, body: ChatBody, asking: Asking) -> Prepared:
    """A conversation."""
    checked(served, body)
    turns = turns_of(body.messages, served.job.model.system)
    given = [one.model_dump(exclude={"function": {"strict"}}) for one in body.tools] if body.callable else []
    if given and not served.takes_tools:
        params = {"name": "tools", "detail": "the model's chat template has no place for them",
                  "advice": "Choose model.template with one that takes tools, such as qwen3."}  # fmt: skip
        raise invalid([Problem(code="serve.unsupported", field="tools", params=params)])
    prompt = served.of_turns(turns, given)
    sampling = replace(sampling_of(body), logprobs=body.likely)
    if body.forced:
        sampling = replace(sampling, shape=Shape("json", tools.forced_schema(body.forced)))
    elif body.callable and not body.parallel_tool_calls:
        sampling = replace(sampling, stop=(*sampling.stop, tools.END))
    label, lease = served.lease(body.model, body.adapters, spoken(turns))
    known = tuple(one.function.name for one in body.tools) if body.callable and not body.forced else ()
    return _prepared(served, body, asking, label, lease, [prompt], sampling, body.most, known, body.forced)


def prepare_completion(served: Served, body: CompletionBody, asking: Asking) -> Prepared:
    """Texts that are continued."""
    checked(served, body)
    texts = inputs_of(body.prompt)
    prompts = [served.of_text(one) if isinstance(one, str) else tuple(one) for one in texts]
    sampling = replace(sampling_of(body), logprobs=body.logprobs)
    first = texts[0] if isinstance(texts[0], str) else served.tokenizer.decode(texts[0])
    label, lease = served.lease(body.model, body.adapters, str(first))
    most = body.max_tokens if body.max_tokens is not None else 16  # as OpenAI has it
    return _prepared(served, body, asking, label, lease, prompts, sampling, most, (), [])


def _prepared(
    served: Served, body: Choosing, asking: Asking, label: str, lease: Lease, prompts: list[tuple[int, ...]],
    sampling: Sampling, most: int | None, known: tuple[str, ...], forced: list[Tool],
) -> Prepared:  # fmt: skip
    asking.model, asking.user = label, body.user or ""
    try:
        asked = list[Asked]()
        for prompt in prompts:
            room = most if most is not None else max(1, min(USUAL_ANSWER, served.context - len(prompt)))
            served.fits(len(prompt), room)
            for number in range(body.n):
                seed = None if body.seed is None else (body.seed + len(asked)) % SEEDS
                chosen = replace(sampling, max_tokens=room, seed=seed)
                tier, tenant, name = asking.key.tier, asking.key.tenant, f"{asking.trace}-{number}"
                asked.append(Asked(prompt, chosen, lease.adapters, tier, Patience(), tenant, name))
        return Prepared(label, lease, prompts, asked, known, forced)
    except BaseException:
        lease.release()
        raise


def checked(served: Served, body: Choosing) -> None:
    """Refuse contradictions, all of them at once."""
    problems = list(body.problems(served.engine.words))
    if problems:
        raise invalid(problems)


def sampling_of(body: Choosing) -> Sampling:
    """How tokens are chosen, in the engine's words."""
    form, shape = body.response_format, None
    if form is not None and form.type == "json_object":
        shape = Shape.of_schema()
    elif form is not None and form.json_schema is not None:
        shape = Shape("json", json.dumps(form.json_schema.schema_))  # not sorted: properties come in this order
    return Sampling(
        temperature=body.temperature, top_k=body.top_k, top_p=body.top_p, min_p=body.min_p,
        repetition=body.repetition_penalty, presence=body.presence_penalty, frequency=body.frequency_penalty,
        bias=tuple((int(token), value) for token, value in body.logit_bias.items()), stop=body.stops,
        ignore_end=body.ignore_eos, shape=shape,
    )  # fmt: skip


def turns_of(messages: Sequence[Message], system: str | None = None) -> list[dict[str, Any]]:
    """Messages as chat templates read them; a developer's is the system's, arguments of calls are objects."""
    turns = list[dict[str, Any]]()
    for number, message in enumerate(messages):
        role = "system" if message.role == "developer" else message.role
        turn: dict[str, Any] = {"role": role, "content": message.content or ""}
        if isinstance(message, ToolMessage):
            turn["tool_call_id"] = message.tool_call_id
        elif message.name is not None:
            turn["name"] = message.name
        if isinstance(message, AssistantMessage):
            if message.reasoning_content is not None:
                turn["reasoning_content"] = message.reasoning_content
            if message.tool_calls:
                turn["tool_calls"] = _calls(message, number)
        turns.append(turn)
    if system and not any(turn["role"] == "system" for turn in turns):
        turns.insert(0, {"role": "system", "content": system})
    return turns


def _calls(message: AssistantMessage, number: int) -> list[dict[str, Any]]:
    made = list[dict[str, Any]]()
    for place, call in enumerate(message.tool_calls):
        try:
            arguments = json.loads(call.function.arguments or "{}")
        except (ValueError, RecursionError):
            field_ = f"messages.{number}.tool_calls.{place}.function.arguments"
            raise invalid([Problem(code="serve.field", field=field_, params={"detail": "it is no JSON"})]) from None
        made.append({"id": call.id, "type": "function",
                     "function": {"name": call.function.name, "arguments": arguments}})  # fmt: skip
    return made


def spoken(turns: Sequence[dict[str, Any]]) -> str:
    """What a router looks at: the last thing a person said."""
    return next((str(turn["content"]) for turn in reversed(turns) if turn["role"] == "user"), "")


def too_many(count: int, most: int) -> UserError:
    """Tokens of embeddings in one request."""
    return UserError("inference.too_long", prompt=count, answer=0, whole=count, most=most)
