"""The warm process for helper queries: it answers like a cold one, breaks alone, and does not stay for ever."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager, suppress

import psutil
import pytest

from engine.contract.api import QueryAnswer, QueryRequest
from engine.contract.paths import Home, code_root
from engine.control.api import queries
from engine.control.executors.memory import Memory
from engine.control.executors.query_spare import QuerySpare

PYTHON = os.environ.get("FORGE_WORKER_PYTHON", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="needs a worker's environment"),
    pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="forks only on Linux"),
]
LOOP = "{% for n in range(90000) %}{% for m in range(90000) %}{% endfor %}{% endfor %}"
"""Takes the second and a half of processor time a template may take."""


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """The machine may be busy: what is tried here is not how quick it is."""
    monkeypatch.setattr(queries, "LIMIT_S", 120.0)


def order(template: str = "{{ messages[0].content }}!") -> QueryRequest:
    params = {"template": template, "messages": [{"role": "user", "content": "hello"}]}
    return QueryRequest(kind="render_template", params=params)


async def stays():
    await asyncio.Event().wait()
    return {}


async def ask(home: Home, query: QueryRequest, spare: QuerySpare | None, receive=stays) -> QueryAnswer:
    return await queries.ask(PYTHON, home, query, receive, None, spare)


async def until(condition):
    """What the condition says, as soon as that is true."""
    async with asyncio.timeout(60):
        while not (said := condition()):
            await asyncio.sleep(0.02)
    return said


@asynccontextmanager
async def kept(memory=lambda: Memory(8 << 30), **options):
    """A spare that is closed however the test ends."""
    spare = QuerySpare(memory, **options)
    try:
        yield spare
    finally:
        await spare.close()


async def idle(spare: QuerySpare) -> None:
    """Wait until nothing is left of what answered: it goes a moment after its answer."""
    assert spare.pid is not None
    warm = psutil.Process(spare.pid)
    await until(lambda: warm.children() == [])


def stopped(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False


async def caught(home: Home, spare: QuerySpare, number: signal.Signals, receive=stays):
    """A query whose process got that signal before it had answered, and the process."""
    while True:
        await idle(spare)
        asked = asyncio.create_task(ask(home, order(LOOP), spare, receive))
        (process,) = await until(psutil.Process(spare.pid).children)
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
        if number == signal.SIGSTOP:
            await until(lambda asked=asked, process=process: asked.done() or stopped(process))
            if not asked.done():
                return asked, process
        elif (await asked).error.code == "query.failed":
            return asked, process


def test_that_a_warm_answer_is_a_cold_one_and_that_it_ends(tmp_path):
    async def go() -> None:
        home = Home(tmp_path)
        async with kept() as spare:
            row = {"model": {"path": "demo", "hub": "bundled"}, "source": {"path": "demo", "hub": "bundled"}, "rows": 2}
            seen = QueryRequest(kind="preview_row", params=row)
            for query in (order(), order("{% broken"), seen, QueryRequest(kind="xray", params={})):
                assert await ask(home, query, spare) == await ask(home, query, None)
            pid = spare.pid
            assert pid is not None
            assert (await ask(home, order(), spare)).result["text"] == "hello!"
            assert spare.pid == pid  # the same one all the time
            await idle(spare)
            await spare.close()
            assert not psutil.pid_exists(pid)
            assert (await ask(home, order(), spare)).result["text"] == "hello!"  # cold
            assert spare.pid is None

    asyncio.run(go())


def test_that_one_that_breaks_or_hangs_touches_no_other(tmp_path):
    async def go() -> None:
        home = Home(tmp_path)
        async with kept() as spare:
            await ask(home, order(), spare)
            gone = asyncio.Event()

            async def leaves():
                await gone.wait()
                return {"type": "http.disconnect"}

            hung, process = await caught(home, spare, signal.SIGSTOP, leaves)  # it hangs for good
            assert (await ask(home, order(), spare)).result["text"] == "hello!"
            assert process.is_running()
            gone.set()
            await hung
            await idle(spare)
            assert not process.is_running()
            await caught(home, spare, signal.SIGKILL)
            assert (await ask(home, order(), spare)).result["text"] == "hello!"

    asyncio.run(go())


def test_that_a_query_outlives_a_warm_process_that_is_killed(tmp_path):
    async def go() -> None:
        home = Home(tmp_path)
        async with kept() as spare:
            await ask(home, order(), spare)
            await idle(spare)
            pid = spare.pid
            asked = asyncio.create_task(ask(home, order(LOOP + "x"), spare))
            await until(psutil.Process(pid).children)
            os.kill(pid, signal.SIGKILL)
            cold = await asked  # the sandbox ends the loop, as it does in a cold process
            assert cold.error is not None
            assert cold.error.code == "template.endless"
            await until(lambda: spare.pid is None)
            assert (await ask(home, order(), spare)).result["text"] == "hello!"
            assert spare.pid not in (None, pid)

    asyncio.run(go())


def test_that_nothing_is_kept_for_long_or_where_memory_is_short(tmp_path):
    async def go() -> None:
        available = [8 << 30]
        home = Home(tmp_path)
        async with kept(lambda: Memory(available[0]), idle_s=0.3) as spare:
            await ask(home, order(), spare)
            pid = spare.pid
            await until(lambda: spare.pid is None)
            await until(lambda: not psutil.pid_exists(pid))
            available[0] = 1 << 20
            assert (await ask(home, order(), spare)).result["text"] == "hello!"
            assert spare.pid is None

    asyncio.run(go())


def test_that_it_ends_with_the_controller(tmp_path):
    script = tmp_path / "controller.py"
    script.write_text(
        "import asyncio, json, sys\nfrom pathlib import Path\n"
        "from engine.contract.api import QueryRequest\nfrom engine.contract.paths import Home\n"
        "from engine.control.api import queries\nfrom engine.control.executors.query_spare import QuerySpare\n"
        "queries.LIMIT_S = 120\n"
        "async def stays():\n    await asyncio.Event().wait()\n"
        "async def main():\n    spare = QuerySpare()\n"
        f"    q = QueryRequest(kind='render_template', params={json.loads(order().model_dump_json())['params']!r})\n"
        f"    await queries.ask({PYTHON!r}, Home(Path({str(tmp_path)!r})), q, stays, None, spare)\n"
        "    print(spare.pid, flush=True)\n    await asyncio.Event().wait()\nasyncio.run(main())\n"
    )

    async def go() -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(script),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(code_root())},
        )
        assert process.stdout is not None
        pid = int(await process.stdout.readline())
        assert psutil.pid_exists(pid)
        process.kill()
        await process.wait()
        await until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)

    asyncio.run(go())
