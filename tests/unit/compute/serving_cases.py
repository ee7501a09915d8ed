"""Instances of the bundled model, keys and adapters for tests of the server."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import openai
import torch
from lora_cases import DEMO, save_peft

from engine.compute.lora.format import LoRAFormat
from engine.compute.lora.peft_folder import read_folder
from engine.compute.serving.runner import Server
from engine.contract.serving import SCOPES, MadeKey, NewKey, ServeJob, make_key

OWN = "the-controllers-own-key"
QUESTION = "What is 16 August 2044 as an ISO date?"
ASKED = [{"role": "user", "content": QUESTION}]
LONG = {"max_tokens": 400, "temperature": 0, "extra_body": {"ignore_eos": True}}


def job_of(**more: Any) -> ServeJob:
    model = {"path": str(DEMO), "dtype": "fp32", **more.pop("model", {})}
    return ServeJob.model_validate({"model": model, "served_name": "demo", "context": 512, "parallel": 4, **more})


def key(number: int = 1, at: float | None = None, **more: Any) -> MadeKey:
    return make_key(NewKey.model_validate({"scopes": SCOPES, **more}), f"k{number}", time.time() if at is None else at)


@contextmanager
def opened(keys: Sequence[MadeKey] = (), folder: Path | None = None, **more: Any) -> Iterator[Server]:
    server = Server.open(DEMO, job_of(**more), [one.about for one in keys], OWN, folder, torch.device("cpu"))
    try:
        server.start()
        yield server
    finally:
        server.stop(0)


def client(server: Server, secret: str = OWN) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{address(server)}/v1", api_key=secret, max_retries=0, timeout=60)


def plain(server: Server, secret: str | None = OWN, **more: Any) -> httpx2.Client:
    headers = {"authorization": f"Bearer {secret}"} if secret is not None else {}
    return httpx2.Client(base_url=address(server), headers=headers, timeout=60, **more)


def address(server: Server) -> str:
    return f"http://{server.host}:{server.port}"


def adapter(folder: Path, name: str, seed: int, kind: str = "all_linear", **card: Any) -> Path:
    """A file of ours with weights from a seed that change what is said."""
    torch.manual_seed(seed)
    made = read_folder(save_peft(folder / f"{name}.peft", kind, seed, lora_alpha=64))
    made.card = made.card.model_copy(update={"name": name, **card})
    path = folder / f"{name}.lora.arrow"
    LoRAFormat.save(made, path)
    return path


def said(server: Server, model: str = "demo", text: str = QUESTION, count: int = 12, **more: Any) -> str:
    """What is answered greedily."""
    extra = {"ignore_eos": True, **more.pop("extra_body", {})}
    found = client(server).chat.completions.create(
        model=model, messages=[{"role": "user", "content": text}], temperature=0, max_tokens=count,
        extra_body=extra, **more,
    )  # fmt: skip
    return found.choices[0].message.content or ""


def wait_for(reached: Any, seconds: float = 30.0) -> None:
    """Until it is so; fails where it does not become so."""
    until = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < until, "it did not become so"
        time.sleep(0.005)
