"""Pictures of the Nodes page: its three views, states in which it has little to show, its dialogs, the doctor."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from engine.contract.errors import UserError
from engine.contract.node_alerts import DEFAULT_RULES, Alert
from engine.contract.nodes import NodeProfile
from engine.contract.states import Mark
from forge_desktop.app import Desktop
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.models.draft_store import ADDRESS
from forge_desktop.pages.nodes_page import NodesPage
from forge_desktop.panels.alert_rules_dialog import AlertRulesDialog
from forge_desktop.panels.doctor_dialog import DoctorDialog
from forge_desktop.panels.node_dialog import NodeDialog
from forge_desktop.wizard.step_compute import ComputeStep
from forge_desktop.wizard.wizard_page import WizardPage
from tests.helpers.journals import before_training, demo_spec, steps

LIMIT_S = 10.0


def until(holds: Callable[[], bool]) -> None:
    """Let the window work until something holds."""
    deadline = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < deadline, "it does not come"
        QTest.qWait(5)


def page_of(desktop: Desktop) -> NodesPage:
    """The open page."""
    assert isinstance(desktop.window.page, NodesPage)
    return desktop.window.page


def pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Bring the window to each state."""
    window = desktop.window
    desktop.preferences.set("nodes.view", "cards")
    window.go("nodes")
    yield "nodes-lone"
    backend.use_fleet()
    until(lambda: len(window.nodes.nodes) == 6)
    window.nodes.fetch()
    page = page_of(desktop)
    until(lambda: len(page.history.lines()) == 4)
    for name, node in list(backend.fleet.items()):
        for turn in range(3):
            if node.values and node.reach == "reachable":
                backend.read_node(name, cpu_utilisation=20.0 + turn)
    backend.use_fleet_alerts()
    until(lambda: len(window.nodes.alerts.raised) == 2)
    page.select("rtx4090-c1")
    yield "nodes-cards"
    yield from alert_rules(desktop, backend)
    page.show_view("table")
    yield "nodes-table"
    page.show_view("heat")
    yield "nodes-heat"
    yield from more_states(desktop, backend)
    yield from dialogs(desktop, backend)
    yield from elsewhere(desktop, backend)
    for number in (901, 902):
        backend.end_alert(number)
    backend.fleet = {"local": backend.fleet["local"]}
    window.nodes.fetch()
    until(lambda: len(window.nodes.nodes) == 1)


def alert_rules(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """More alerts than are shown, and the rules of one node."""
    window, page = desktop.window, page_of(desktop)
    for number, kind in enumerate(("disk_full", "gpu_lost"), 910):
        values = {"kind": kind, "node": "h200-a1", "device": "2", "value": 93.0, "threshold": 90.0, "minutes": 1.0}
        backend.tell_alert(Alert(id=number, began=time.time() - 90, **values))
    until(lambda: len(page.alert_texts()) == 4)
    yield "nodes-alerts"
    for number in (910, 911):
        backend.end_alert(number)
    mine = DEFAULT_RULES[0].model_copy(update={"node": "rtx4090-c1", "threshold": 82.0, "recover": 75.0})
    backend.set_alert_rules([*DEFAULT_RULES, mine])
    until(lambda: window.nodes.alerts.heat_rule("rtx4090-c1") == mine)
    page.deeds.open_rules("rtx4090-c1")
    dialog = page.findChildren(AlertRulesDialog)[-1]
    until(lambda: bool(dialog.rows))
    yield "nodes-rules"
    dialog.reject()
    settle()
    page.scroll_to_end()
    yield "nodes-limits"
    page.scroll_to_start()
    backend.set_alert_rules(DEFAULT_RULES)


def more_states(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Its lower half, an error, nobody there."""
    window, page = desktop.window, page_of(desktop)
    page.show_view("cards")
    backend.budget = 900.0
    page.costs_model.show(by="node", days=7)
    until(lambda: page.costs_model.costs is not None and page.costs_model.costs.by == "node")
    page.scroll_to_end()
    yield "nodes-costs"
    page.costs_model.show(by="day", days=7)
    until(lambda: page.costs_model.costs is not None and page.costs_model.costs.by == "day")
    page.scroll_to_end()
    yield "nodes-costs-days"
    page.deeds.failed.emit(UserError("nodes.has_runs", node="h200-a1", count=2).body())
    page.scroll_to_start()
    yield "nodes-refused"
    page.deeds.failed.emit(None)
    window.session.offline.emit(UserError("controller.unreachable", detail="", log="").body())
    yield "nodes-offline"
    window.session.online.emit()
    while window.overlays.toasts.close_one():
        pass
    backend.nodes_error = UserError("nodes.broken", node="a100-d1", detail="Its profile cannot be read.")
    window.nodes.is_loaded = False
    window.nodes.fetch()
    until(lambda: window.nodes.error is not None)
    window.go("nodes")
    yield "nodes-error"
    backend.nodes_error = None
    window.nodes.fetch()
    until(lambda: window.nodes.error is None)


def dialogs(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Adding, what is wrong, an unknown host key, editing, the doctor."""
    window = desktop.window
    window.go("nodes")
    page = page_of(desktop)
    page.deeds.add()
    dialog = page.findChildren(NodeDialog)[-1]
    yield "node-add"
    fill(dialog, name="gpu 1", address="ada@@gpu-1.lab")
    dialog._to_first()
    yield "node-problems"
    fill(dialog, name="gpu-1", address="ada@gpu-1.lab")
    dialog._start_test()
    until(lambda: not dialog.test.busy)
    yield "node-host-key"
    dialog._choose_kind("docker_tls")
    fill(dialog, address="gpu-1.lab:2376", ca="keyring:lab-ca", certificate="/home/ada/.docker/cert.pem",
         key="/home/ada/.docker/key.pem")  # fmt: skip
    dialog._start_test()
    until(lambda: not dialog.test.busy)
    yield "node-tested"
    dialog._toggle()
    yield "node-advanced"
    dialog.reject()
    settle()
    page.deeds.do("edit", "local")
    yield "node-local"
    page.findChildren(NodeDialog)[-1].reject()
    settle()
    for name in ("h200-a1", "rtx4090-c2", "local"):
        page.deeds.do("doctor", name)
        doctor = page.findChildren(DoctorDialog)[-1]
        until(lambda doctor=doctor: not doctor._busy)
        yield f"doctor-{name}"
        doctor.accept()
        settle()
    backend.change_node("a100-d1", profile=NodeProfile(name="a100-d1", kind="docker_ssh", address="ada@10.0.4.31"))
    page.deeds.do("remove", "a100-d1")
    yield "node-remove"
    box = QApplication.activeModalWidget()
    if box is not None:
        box.close()
    settle()


def elsewhere(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """The wizard's choice of a node, and a run whose node does not answer."""
    window = desktop.window
    window.go(f"new/{ADDRESS}nodes")
    wizard = window.page
    assert isinstance(wizard, WizardPage)
    wizard.draft.set_model("tiny-qwen3", "bundled")
    wizard.draft.set_data("iso-dates.jsonl", "bundled")
    wizard.go_to("compute.gpus")
    step = wizard.findChild(ComputeStep)
    until(lambda: step.nodes.is_needed)
    yield "wizard-nodes"
    run = backend.add(demo_spec("gemma3-12b-med-qa"), created=1.5)
    backend.play(run, [*before_training(), *steps(1, 60)])
    backend.move(run, mark=Mark.UNREACHABLE, mark_since=time.time() - 40, node="rtx4090-c2")
    window.go(f"run/{run}")
    yield "run-unreachable"
    window.go("runs")
    yield "runs-unreachable"
    backend.delete(run)


def fill(dialog: NodeDialog, **texts: str) -> None:
    """Type into fields."""
    for name, text in texts.items():
        dialog.fields[name].set_text(text)
        dialog.fields[name]._typed()


def settle() -> None:
    """Let a dialog go."""
    QTest.qWait(20)
