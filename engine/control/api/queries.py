"""Helper queries: what needs a tokeniser or torch but is no run, asked of a short-lived process.

Of one that is forked from a warm process, where a query needs what is slow to import.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engine.contract.api import SLOW_QUERIES, QueryAnswer, QueryRequest
from engine.contract.errors import UserError
from engine.contract.paths import Home
from engine.control.executors.code import worker_path
from engine.control.executors.query_spare import WARM_KINDS, QuerySpare

log = logging.getLogger(__name__)
LIMIT_S = 10.0
MAX_ANSWER_BYTES = 8 << 20
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


async def ask(
    python: str,
    home: Home,
    query: QueryRequest,
    receive: Receive,
    confidential: dict[str, Any] | None = None,
    spare: QuerySpare | None = None,
    limit: float | None = None,
) -> QueryAnswer:
    """The answer, or why there is none; the process is ended when time is up or nobody waits any more."""
    limit = limit or SLOW_QUERIES.get(query.kind, LIMIT_S)
    folder = home.root / "queries"  # empty: nothing in it can be imported by accident
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    code = await asyncio.to_thread(worker_path, home)
    order = json.dumps(query.model_dump(mode="json") | (confidential or {})).encode()
    environment = {**os.environ, "PYTHONPATH": str(code), "PYTHONSAFEPATH": "1", "FORGE_HOME": str(home.root)}
    talk = asyncio.create_task(_talk(python, folder, environment, order, spare if query.kind in WARM_KINDS else None))
    left = asyncio.create_task(gone(receive))
    try:
        await asyncio.wait({talk, left}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        if not talk.done():
            return QueryAnswer(error=UserError("query.too_slow", kind=query.kind, seconds=round(limit)).body())
        code_of_end, output, errors = talk.result()
    finally:
        for task in (left, talk):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await task
    return _answer(query, code_of_end, output, errors)


async def _talk(
    python: str, folder: Path, environment: dict[str, str], order: bytes, spare: QuerySpare | None
) -> tuple[int | None, bytes, bytes]:
    """Exit code and what was said; a process that answers never outlives this."""
    forked = await spare.fork(python, folder, environment, order) if spare is not None else None
    if forked is not None:
        lived = True
        try:
            output, errors = await forked.answer()
        finally:
            lived = forked.end()
        if output or lived:
            return None, output, errors
        log.warning("the warm helper ended before it answered; asking a cold one")
    process = await asyncio.create_subprocess_exec(
        *(python, "-m", "engine.compute.worker.queries"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
        env=environment,
        start_new_session=True,
        limit=MAX_ANSWER_BYTES,
    )
    try:
        output, errors = await process.communicate(order)
    finally:
        await _end(process)
    return process.returncode, output, errors


def _answer(query: QueryRequest, code: int | None, output: bytes, errors: bytes) -> QueryAnswer:
    try:
        return QueryAnswer.model_validate_json(output.strip().rpartition(b"\n")[2])
    except ValidationError:
        text = errors.decode(errors="replace").strip()
        log.error("query %s ended with code %s:\n%s", query.kind, code, text[-4000:])
        last = text.rpartition("\n")[2] or f"exit code {code}"
        return QueryAnswer(error=UserError("query.failed", kind=query.kind, detail=last[:500]).body())


async def gone(receive: Receive) -> None:
    """Returns when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
