"""Six nodes that exist nowhere, for pictures, demos and tests: busy, hot, draining, lost, and this computer."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from engine.contract.errors import UserError
from engine.contract.node_alerts import Alert
from engine.contract.nodes import (
    CheckName,
    CostRow,
    DoctorCheck,
    GpuFacts,
    NodeFacts,
    NodeHistory,
    NodeProfile,
    NodeRun,
    NodeView,
)

GB = 10**9
HOURS = 3600.0
POINTS = 240
Series = list[tuple[float, float]]


def local_node(at: float) -> NodeView:
    """The controller's own computer, idle."""
    return NodeView(
        profile=NodeProfile(name="local", kind="process"),
        reach="reachable",
        last_seen=at,
        facts=NodeFacts(system="Linux · 6.8 · x86_64", cpus=16, memory=64 * GB),
        values={
            "cpu.utilisation": 22.0, "ram.used": 9.8 * GB, "ram.total": 64.0 * GB,
            "disk.used": 310.0 * GB, "disk.total": 1000.0 * GB, "disk.free": 690.0 * GB,
        },
        read_at=at,
    )  # fmt: skip


def fleet(at: float) -> list[NodeView]:
    """All six, as they are at a moment."""
    lost = UserError("node.no_answer", node="rtx4090-c2", address="ada@10.0.4.22", detail="timed out", seconds=5).body()
    hot = _node("rtx4090-c1", "docker_ssh", "ada@10.0.4.21", 1, "NVIDIA RTX 4090", 24, at)
    draining = _node("a100-d1", "docker_ssh", "ada@10.0.4.31", 1, "NVIDIA A100", 80, at)
    away = _node("rtx4090-c2", "docker_ssh", "ada@10.0.4.22", 1, "NVIDIA RTX 4090", 24, at - 3 * HOURS)
    return [
        _with(_node("h200-a1", "docker_tls", "h200-a1.lab:2376", 4, "NVIDIA H200", 141, at),
              _values(4, 94, 79.5, 141, 61, 575, 700), runs=[_run("gemma3-27b-notes", 8200), _run("qwen3-sql", 1900)],
              price=3.2),
        _with(hot, _values(1, 41, 19.2, 24, 87, 318, 450), runs=[_run("gemma3-12b-med-qa", 2400)], alerts=1, price=0.4),
        _with(_node("l40s-b2", "docker_tls", "l40s-b2.lab:2376", 4, "NVIDIA L40S", 48, at),
              _values(4, 88, 30.25, 48, 72, 275, 350), runs=[_run("llama-legal", 5400)], price=1.1),
        _with(draining, _values(1, 76, 44, 80, 64, 301, 400), runs=[_run("tickets-zh", 720)], price=1.6,
              state="draining"),
        _with(away, {}, reach="unreachable", error=lost, alerts=1, price=0.4, read_at=None),
        local_node(at),
    ]  # fmt: skip


def alerts(at: float) -> list[Alert]:
    """What is the matter with them, by the usual rules."""
    return [
        Alert(id=901, kind="gpu_temperature", node="rtx4090-c1", device="0", began=at - 540, value=87.0, worst=88.0,
              threshold=85.0, minutes=2.0),
        Alert(id=902, kind="unreachable", node="rtx4090-c2", began=at - 3 * HOURS, value=1.0, worst=1.0,
              threshold=1.0, minutes=1.0),
    ]  # fmt: skip


def _node(name: str, kind: str, address: str, gpus: int, gpu: str, memory: int, seen: float) -> NodeView:
    facts = NodeFacts(
        engine="29.0.2", system="Ubuntu 24.04 · 6.8.0 · x86_64", cpus=64, memory=512 * GB, live_restore=True,
        gives_gpus=True, gpus=[GpuFacts(index=str(n), name=gpu, memory=memory * GB, ecc=True) for n in range(gpus)],
        engine_id=f"engine-{name}",
    )  # fmt: skip
    profile = NodeProfile.model_validate({"name": name, "kind": kind, "address": address})
    return NodeView(
        profile=profile, reach="reachable", last_seen=seen, facts=facts, slots=gpus, read_at=seen,
        names={f"gpu{n}": gpu for n in range(gpus)},
    )  # fmt: skip


def _with(node: NodeView, values: dict[str, float], price: float, **changes: object) -> NodeView:
    profile = node.profile.model_copy(update={"price": price})
    return node.model_copy(update={"values": values, "profile": profile, **changes})


def _values(
    gpus: int, busy: float, used: float, total: float, warm: float, power: float, limit: float
) -> dict[str, float]:
    found: dict[str, float] = {
        "cpu.utilisation": busy / 3, "ram.used": 96.0 * GB, "ram.total": 512.0 * GB,
        "disk.used": 1.2e12, "disk.total": 3.8e12, "disk.free": 2.6e12,
    }  # fmt: skip
    for n in range(gpus):
        apart = (n % 2) * 2 - (1 if gpus > 1 else 0)  # no two cards are quite alike
        found |= {
            f"gpu{n}.utilisation": busy + apart, f"gpu{n}.memory_used": used * GB, f"gpu{n}.memory_total": total * GB,
            f"gpu{n}.temperature": warm - n, f"gpu{n}.power": power + apart, f"gpu{n}.power_limit": limit,
        }  # fmt: skip
    return found


def _run(name: str, eta: float) -> NodeRun:
    return NodeRun(uid=f"fake-{name}", name=name, state="running", devices=["0"], eta_seconds=eta)


def history(node: NodeView, since: float, until: float, names: Sequence[str]) -> NodeHistory:
    """Waves around what a node shows now; a hot one has become so lately."""
    if node.reach == "unreachable":
        until = min(until, node.last_seen or until)
    if until <= since:
        return NodeHistory(node=node.profile.name)
    step = (until - since) / POINTS
    wanted = [name for name in (names or node.values) if name in node.values]
    hot = any(value > 80 for name, value in node.values.items() if name.endswith(".temperature"))
    moments = [since + step * place for place in range(POINTS + 1)]
    series: dict[str, Series] = {
        name: [(t, _wave(node.values[name], place, name, hot)) for place, t in enumerate(moments)] for name in wanted
    }
    return NodeHistory(node=node.profile.name, seconds=step, series=series)


def _wave(level: float, place: int, name: str, hot: bool) -> float:
    if name.endswith(("_total", "_limit", ".total")):
        return level
    phase = sum(map(ord, name)) % 7 + level % 5
    swing = 0.05 * level * math.sin(place / 9 + phase) + 0.03 * level * math.sin(place / 2.3 + 2 * phase)
    if name.endswith("utilisation"):
        swing = 2 * swing - 0.1 * level
    late = max(0.0, (place - 0.8 * POINTS) / (0.2 * POINTS))
    cooler = 0.2 * level * (1 - late) if hot and name.endswith(".temperature") else 0.0
    faded = swing * min(1.0, (POINTS - place) / 8)  # it ends at what is shown now
    most = 100.0 if name.endswith("utilisation") else math.inf
    return min(most, max(0.0, level + faded - cooler))


def checks(node: NodeProfile, found: NodeView | None) -> list[DoctorCheck]:
    """What a doctor would say; one who does not answer, or whose key nobody knows, is bad at the beginning."""
    if found is not None and found.reach == "unreachable":
        error = found.error or UserError("node.no_answer", node=node.name, address=node.address, seconds=5).body()
        first = DoctorCheck(name="reach", state="bad", error=error, facts={"address": node.address})
        return [first, *_skipped("reach", "authentication", "version", "gpus", "disk", "bandwidth", "clock", "image")]
    if node.kind == "process":
        return [DoctorCheck(name="reach", state="ok", facts={"system": "Linux · 6.8 · x86_64"}),
                DoctorCheck(name="gpus", state="skipped", error=UserError("node.no_gpu", node=node.name).body()),
                DoctorCheck(name="disk", state="ok", facts={"free": 690 * GB, "total": 1000 * GB, "folder": "/home"})
                ]  # fmt: skip
    if node.kind == "docker_ssh" and not node.host_key and found is None:
        shown = "SHA256:4fXkQ1u0mWz7d9sV2bQyJt5cT8nLr6hPaE3oGiKxNvM"
        error = UserError("node.host_unknown", node=node.name, address=node.address, fingerprint=shown).body()
        return [DoctorCheck(name="reach", state="ok", facts={"address": node.address}),
                DoctorCheck(name="authentication", state="bad", error=error),
                *_skipped("authentication", "version", "gpus", "disk", "bandwidth", "clock", "image")]  # fmt: skip
    return _good(node, found)


def _good(node: NodeProfile, found: NodeView | None) -> list[DoctorCheck]:
    gpus = [gpu.model_dump() for gpu in found.facts.gpus] if found is not None else []
    slow = UserError("node.no_live_restore", node=node.name).body()
    way = node.kind.removeprefix("docker_").replace("local", "socket")
    return [
        DoctorCheck(name="reach", state="ok", facts={"milliseconds": 0.84, "opening": 143.0}, seconds=0.2),
        DoctorCheck(name="authentication", state="ok", facts={"way": way, "pinned": bool(node.host_key)}),
        DoctorCheck(name="version", state="ok",
                    facts={"version": "29.0.2", "api": "1.52", "system": "Ubuntu 24.04 · 6.8.0 · x86_64"}),
        DoctorCheck(name="live_restore", state="warning", facts={"on": False}, error=slow),
        DoctorCheck(name="runtime", state="ok", facts={"runtime": "nvidia", "default": False}),
        DoctorCheck(name="driver", state="ok", facts={"version": "570.86.15"}),
        DoctorCheck(name="gpus", state="ok", facts={"gpus": gpus, "count": len(gpus), "devices": len(gpus)}),
        DoctorCheck(name="disk", state="ok",
                    facts={"free": 2600 * GB, "total": 3800 * GB, "folder": "/var/lib/docker"}),
        DoctorCheck(name="bandwidth", state="ok", facts={"bytes": 32_000_000, "up": 112e6, "down": 109e6}, seconds=1.1),
        DoctorCheck(name="clock", state="ok", facts={"skew": 0.012, "uncertain": 0.004}),
        DoctorCheck(name="image", state="ok",
                    facts={"image": "loraforge-worker:0.1.0", "id": "sha256:9f2c", "bytes": 1_640_000_000,
                           "version": "0.1.0", "protocol": "1"}),
        DoctorCheck(name="isolation", state="ok", facts={"seccomp": True, "apparmor": True}),
        DoctorCheck(name="owner", state="ok", facts={"ours": 1, "others": 0, "running": 0}),
    ]  # fmt: skip


def _skipped(because: CheckName, *names: CheckName) -> list[DoctorCheck]:
    return [DoctorCheck(name=name, state="skipped", facts={"because": because}) for name in names]


def cost_rows(by: str, days: int, until: float) -> list[CostRow]:
    """Spending that looks like work: less at weekends, most on the largest node."""
    if by == "node":
        shares = {"h200-a1": 0.55, "l40s-b2": 0.27, "a100-d1": 0.11, "rtx4090-c1": 0.07}
    elif by == "owner":
        shares = {"ada": 0.46, "lin": 0.33, "grace": 0.21}
    else:
        return [_cost(_day(until - back * 86400.0), 96 * (0.35 if back % 7 in (1, 2) else 1.0) * (1 + 0.2 * (back % 3)))
                for back in reversed(range(days))]  # fmt: skip
    return [_cost(name, 104.0 * days * share) for name, share in shares.items()]


def _cost(key: str, cost: float) -> CostRow:
    return CostRow(key=key, gpu_hours=cost / 2.3, cost=cost, runs=max(1, round(cost / 14)), failed=round(cost / 150))


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(moment))
