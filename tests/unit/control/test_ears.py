"""What live workers write is taken in when it is written, not when somebody looks at everything."""

import asyncio

import pytest

from engine.contract.stream import LogGrew
from engine.control.jobs import ears, ingest, watch
from engine.control.jobs.ears import Ears

NEVER_S = 3600.0


@pytest.fixture
def no_looks(monkeypatch):
    """After the first look at everything there is no other one."""
    monkeypatch.setattr(watch, "POLL_S", NEVER_S)


async def until(true):
    for _ in range(2000):
        if true():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come to it")


def run_in_loop(main, *files):
    async def whole():
        found = Ears(asyncio.get_running_loop())
        try:
            await main(found, found.listen(*files))
        finally:
            await asyncio.to_thread(found.close)

    asyncio.run(whole())


def test_that_a_file_that_comes_and_one_that_grows_are_heard(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"

    async def main(_ears, ear):
        for path in (first, second, first):
            ear.grew.clear()
            with path.open("a") as file:
                file.write("more")
            await until(ear.grew.is_set)

    run_in_loop(main, first, second)


def test_that_an_ear_is_rung_no_more_often_than_agreed(tmp_path, monkeypatch):
    monkeypatch.setattr(ears, "RING_S", NEVER_S)
    heard, other = tmp_path / "heard", tmp_path / "other"

    async def main(found, ear):
        ear.grew.clear()
        heard.write_text("1")
        await until(ear.grew.is_set)
        ear.grew.clear()
        heard.write_text("12")
        beside = found.listen(other)
        beside.grew.clear()
        other.write_text("1")
        await until(beside.grew.is_set)  # so there was a look meanwhile
        assert not ear.grew.is_set()

    run_in_loop(main, heard)


def test_that_nothing_is_looked_at_once_nobody_listens(tmp_path):
    path = tmp_path / "a"

    async def main(found, ear):
        ear.grew.clear()
        found.forget(ear)
        again = found.listen(tmp_path / "b")
        again.grew.clear()
        path.write_text("1")
        (tmp_path / "b").write_text("1")
        await until(again.grew.is_set)
        assert not ear.grew.is_set()

    run_in_loop(main, path)


def steps(first, last):
    """Lines as a worker writes them."""
    return [
        {"kind": "step", "step": step, "epoch": 0.1, "values": {"loss": 1 / step}} for step in range(first, last + 1)
    ]


def last_step(bench, uid):
    return bench.fetch("SELECT last_step FROM run WHERE uid = ?", uid)[0][0]


def test_that_a_step_is_stored_without_a_look_at_everything(bench, no_looks):
    async def main():
        async with bench.running():
            uid = await bench.create()
            worker = await bench.worker(uid)
            for step in (1, 2, 3):
                worker.play(*steps(step, step))
                await until(lambda step=step: last_step(bench, uid) == step)

    asyncio.run(main())


def test_that_a_journal_longer_than_one_reading_is_read_to_its_end(bench, no_looks, monkeypatch):
    monkeypatch.setattr(ingest, "CHUNK_BYTES", 2000)

    async def main():
        async with bench.running():
            uid = await bench.create()
            worker = await bench.worker(uid)
            worker.play(*steps(1, 200))
            await until(lambda: last_step(bench, uid) == 200)

    asyncio.run(main())


def test_that_listeners_hear_of_a_log_that_grew_without_a_look_at_everything(bench, no_looks):
    async def main():
        async with bench.running():
            listener = bench.controller.hub.subscribe()
            uid = await bench.create()
            worker = await bench.worker(uid)
            sizes = []
            for size in (3, 6):
                with worker.folder.log.open("ab") as log:
                    log.write(b"abc")

                def told(size=size):
                    sizes.extend(news.size for news in listener.take() if isinstance(news, LogGrew))
                    return sizes and sizes[-1] == size

                await until(told)

    asyncio.run(main())


def test_that_what_could_not_be_stored_is_stored_though_nothing_more_is_written(bench, monkeypatch, caplog):
    monkeypatch.setattr(watch, "RETRY_S", 0.01)

    async def main():
        async with bench.running():
            uid = await bench.create()
            worker = await bench.worker(uid)
            worker.play(*steps(1, 1))
            await until(lambda: last_step(bench, uid) == 1)
            full = "CREATE TRIGGER full BEFORE UPDATE ON run BEGIN SELECT RAISE(ABORT, 'no room'); END"
            await bench.database.write(lambda t: t.execute(full))
            worker.play(*steps(2, 5))
            await until(lambda: "watching it failed" in caplog.text)
            await bench.database.write(lambda t: t.execute("DROP TRIGGER full"))
            await until(lambda: last_step(bench, uid) == 5)

    asyncio.run(main())
