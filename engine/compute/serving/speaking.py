"""The engine's words in OpenAI's form: whole answers and streams, of conversations and of texts."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from engine.compute.data.token_texts import token_bytes
from engine.compute.inference.engine.requests import Over, Said
from engine.compute.serving.bodies import ChatBody, CompletionBody
from engine.compute.serving.door import ClientGone
from engine.compute.serving.errors import body_of
from engine.compute.serving.hearing import Hearing, Word
from engine.compute.serving.preparing import Prepared
from engine.compute.serving.tools import Call, CallStream, forced_call
from engine.contract.errors import UserError
from engine.contract.ids import new_id

DONE = "[DONE]"


@dataclass
class Choice:
    """One answer as it grows."""

    prepared: Prepared
    tokenizer: Any
    text: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    finish: str = ""
    _stream: CallStream | None = None
    _shaped: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.prepared.known:
            self._stream = CallStream(self.prepared.known)

    def add(self, one: Said | Over) -> tuple[str, list[Call]]:
        """One more word; the text and the calls that are sure by now."""
        if isinstance(one, Said):
            self.said.append(one)
        if self.prepared.forced:
            self._shaped.append(one.text)
            call = forced_call("".join(self._shaped), self.prepared.forced) if isinstance(one, Over) else None
            found: tuple[str, list[Call]] = "", [] if call is None else [call]
        elif self._stream is not None:
            found = self._stream.add(one.text)
            if isinstance(one, Over):
                rest, more = self._stream.rest()
                found = found[0] + rest, found[1] + more
        else:
            found = one.text, []
        self.text.append(found[0])
        self.calls += found[1]
        if isinstance(one, Over):
            self.finish = self._finish(one)
        return found

    def _finish(self, over: Over) -> str:
        if over.reason == "length":
            return "length"
        return "tool_calls" if self.calls else "stop"

    @property
    def message(self) -> dict[str, Any]:
        """The whole answer of a conversation."""
        text = "".join(self.text)
        message: dict[str, Any] = {
            "role": "assistant",
            "content": text or (None if self.calls else ""),
            "refusal": None,
        }
        if self.calls:
            message["tool_calls"] = [call.told() for call in self.calls]
        return message

    def likely(self, said: list[Said]) -> dict[str, Any] | None:
        """Log-probabilities of these tokens, as conversations tell them."""
        if self.prepared.asked[0].sampling.logprobs is None:
            return None
        return {"content": [self._token(one.token, one.logprob or 0.0) | {
            "top_logprobs": [self._token(other.token, other.logprob) for other in one.others]} for one in said],
            "refusal": None}  # fmt: skip

    def likely_texts(self, said: list[Said], begin: int = 0) -> dict[str, Any] | None:
        """The same as texts tell them; `begin`: characters before them."""
        if self.prepared.asked[0].sampling.logprobs is None:
            return None
        tokens, offsets = [self._text(one.token) for one in said], list[int]()
        for one in said:
            offsets.append(begin)
            begin += len(one.text)
        return {
            "tokens": tokens, "token_logprobs": [one.logprob for one in said], "text_offset": offsets,
            "top_logprobs": [{self._text(other.token): other.logprob for other in one.others} for one in said],
        }  # fmt: skip

    def _text(self, token: int) -> str:
        return token_bytes(self.tokenizer, token).decode(errors="replace")

    def _token(self, token: int, logprob: float) -> dict[str, Any]:
        raw = token_bytes(self.tokenizer, token)
        return {"token": raw.decode(errors="replace"), "logprob": max(logprob, -9999.0), "bytes": list(raw)}


@dataclass
class Speaking:
    """One request's answers."""

    hearing: Hearing
    prepared: Prepared
    body: ChatBody | CompletionBody
    tokenizer: Any
    id: str = ""
    created: int = field(default_factory=lambda: int(time.time()))
    choices: list[Choice] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.id = ("chatcmpl-" if self.chat else "cmpl-") + new_id()
        self.choices = [Choice(self.prepared, self.tokenizer) for _ in self.prepared.asked]

    @property
    def chat(self) -> bool:
        """Of a conversation."""
        return isinstance(self.body, ChatBody)

    async def whole(self) -> dict[str, Any]:
        """All of it at once."""
        async for number, one in self.hearing.words():
            self.choices[number].add(one)
        choices = [self._choice(number, choice) for number, choice in enumerate(self.choices)]
        kind = "chat.completion" if self.chat else "text_completion"
        return {**self._head(kind), "choices": choices, "usage": self.hearing.usage, "forge": self.hearing.forge}

    async def lines(self, words: AsyncIterator[Word], first: Word) -> AsyncIterator[str]:
        """A stream, line by line; what goes wrong on the way is its last line but one."""
        try:
            if self.chat:
                for number in range(len(self.choices)):
                    yield self._chunk(number, {"role": "assistant", "content": ""}, None)
            for line in self._said(*first):
                yield line
            async for number, one in words:
                for line in self._said(number, one):
                    yield line
            if self.body.with_usage:
                last = {"choices": [], "usage": self.hearing.usage, "forge": self.hearing.forge}
                yield json.dumps(self._head(self._kind) | last, ensure_ascii=False)
        except ClientGone:
            raise
        except UserError as error:
            self.hearing.asking.code = error.code
            yield json.dumps(body_of(error, self.hearing.asking.trace), ensure_ascii=False)
        finally:
            await self.hearing.close()
        yield DONE

    def _said(self, number: int, one: Said | Over) -> list[str]:
        """The lines a word makes; none while nothing is sure."""
        choice = self.choices[number]
        begin = sum(map(len, choice.text))
        text, calls = choice.add(one)
        said = [one] if isinstance(one, Said) else []
        likely = None
        if said:
            likely = choice.likely(said) if self.chat else choice.likely_texts(said, begin)
        lines = list[str]()
        if calls:
            at = len(choice.calls) - len(calls)
            told = [call.told(at + index) for index, call in enumerate(calls)]
            lines.append(self._chunk(number, {"tool_calls": told}, None))
        if text or likely is not None:
            delta = {"content": text} if self.chat else {"text": text}
            lines.append(self._chunk(number, delta, None, likely))
        if choice.finish:
            last = all(each.finish for each in self.choices) and not self.body.with_usage
            forge = {"forge": self.hearing.forge} if last else {}
            lines.append(self._chunk(number, {} if self.chat else {"text": ""}, choice.finish, None, forge))
        return lines

    @property
    def _kind(self) -> str:
        return "chat.completion.chunk" if self.chat else "text_completion"

    def _chunk(
        self, number: int, delta: dict[str, Any], finish: str | None, likely: Any = None,
        more: dict[str, Any] | None = None,
    ) -> str:  # fmt: skip
        said: dict[str, Any] = {"delta": delta} if self.chat else delta
        choice = {"index": number, **said, "logprobs": likely, "finish_reason": finish}
        usage = {"usage": None} if self.body.with_usage else {}
        return json.dumps({**self._head(self._kind), "choices": [choice], **usage, **(more or {})}, ensure_ascii=False)

    def _choice(self, number: int, choice: Choice) -> dict[str, Any]:
        if self.chat:
            told: dict[str, Any] = {"message": choice.message, "logprobs": choice.likely(choice.said)}
        else:
            told = {"text": "".join(choice.text), "logprobs": choice.likely_texts(choice.said)}
        return {"index": number, **told, "finish_reason": choice.finish}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.hearing.label}
