"""Containers and processes that exist nowhere, on the pretended nodes: of each kind, strangers and lost ones too."""

from __future__ import annotations

from engine.contract.nodes import LOCAL, Instance

GB, HOUR, DAY = 10**9, 3600.0, 86_400.0
IMAGE = "loraforge-worker:0.1.0"


def instances(at: float) -> list[Instance]:
    """All of them, as they are at a moment."""
    stranger = Instance(
        id="l40s-b2/7be1c04d52aa", node="l40s-b2", run="0c1d6f8be2", run_name="", attempt=2, owner="grace", image=IMAGE,
        devices=["3"], created=at - 5 * HOUR, started=at - 5 * HOUR, known=False, cpu_percent=88.0, memory=21 * GB,
    )  # fmt: skip
    return [
        _train("h200-a1", "gemma3-27b-notes", at - 6.2 * HOUR, ["0", "1"], cpu=212.0, memory=61),
        _train("h200-a1", "qwen3-sql", at - 1.4 * HOUR, ["2"], cpu=97.0, memory=34, attempt=3),
        Instance(id="h200-a1/5f20ab91c3de", node="h200-a1", kind="serve", run="fake-support-bot",
                 run_name="support-bot", attempt=1, owner="lin", image=IMAGE, devices=["3"], created=at - 3 * DAY,
                 started=at - 3 * DAY, cpu_percent=12.0, memory=19 * GB, endpoint="http://127.0.0.1:8411"),
        Instance(id="h200-a1/c9d02e77f1b0", node="h200-a1", kind="probe", image=IMAGE, created=at - 20, started=at - 19,
                 cpu_percent=4.0, memory=38_000_000, owner="ada"),
        _train("rtx4090-c1", "gemma3-12b-med-qa", at - 2.5 * HOUR, ["0"], cpu=91.0, memory=17),
        _train("l40s-b2", "llama-legal", at - 0.4 * HOUR, ["0"], cpu=104.0, memory=23),
        stranger,
        Instance(id="l40s-b2/e1f6aa02bd34", node="l40s-b2", kind="evaluate", run="fake-llama-notes",
                 run_name="llama-notes", attempt=1, owner="ada", image=IMAGE, created=at - 2 * DAY,
                 started=at - 2 * DAY, ended=at - 1.9 * DAY, expires=at + 5.1 * DAY, exit_code=0, state="exited"),
        _train("a100-d1", "tickets-zh", at - 7.7 * HOUR, ["0"], cpu=99.0, memory=31),
        Instance(id="rtx4090-c2/90aa17bd55ef", node="rtx4090-c2", run="fake-night-run", run_name="night-run", attempt=1,
                 owner="lin", image=IMAGE, devices=["0"], created=at - 11 * HOUR, started=at - 11 * HOUR,
                 state="unreachable"),
        Instance(id=f"{LOCAL}/4121", node=LOCAL, kind="spare", created=at - 900, started=at - 900, cpu_percent=0.0,
                 memory=620_000_000, owner="ada"),
        Instance(id=f"{LOCAL}/3977", node=LOCAL, run="fake-legal-notes", run_name="legal-notes", attempt=1, owner="ada",
                 created=at - 3.1 * DAY, started=at - 3.1 * DAY, ended=at - 3 * DAY, expires=at + 4 * DAY,
                 exit_code=137, state="exited"),
    ]  # fmt: skip


def _train(
    node: str, name: str, since: float, devices: list[str], cpu: float, memory: int, attempt: int = 1
) -> Instance:
    handle = f"{sum(map(ord, name)) * 7919:012x}"
    return Instance(
        id=f"{node}/{handle}", node=node, run=f"fake-{name}", run_name=name, attempt=attempt, owner="ada", image=IMAGE,
        devices=devices, created=since, started=since, cpu_percent=cpu, memory=memory * GB,
    )  # fmt: skip
