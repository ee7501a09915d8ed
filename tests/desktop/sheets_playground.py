"""Pictures of the playground, over a small real server."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton

from engine.contract.errors import UserError
from engine.contract.states import RunState
from forge_desktop.app import Desktop
from forge_desktop.bridge.replay import ReplayBackend
from forge_desktop.models.chat_turns import ADAPTER, RUN, Column
from forge_desktop.pages.playground_page import PlaygroundPage
from tests.desktop.sheets_nodes import until
from tests.helpers.chat_instance import ChatInstance
from tests.helpers.journals import after_training, before_training, demo_spec, saved, steps

ORDER = "订单 #88213 三天没有物流更新，能帮我看看吗？"
BASE_SAYS = (
    "很抱歉，我无法访问您的订单信息。建议您登录购物平台，在“我的订单”中查看物流状态，或者联系卖家与快递公司进行咨询。"
    "If it has not come by the promised day, ask for a refund."
)
ADAPTER_SAYS = (
    "给您添麻烦了。订单 **#88213** 超过 72 小时未更新，符合**物流异常**标准，我这样为您处理：\n\n"
    "1. 已为您提交催件，快递 24 小时内回复\n2. 若明天 18:00 前仍无更新，可免费补发或全额退款\n\n"
    "需要我现在登记补发意向吗？"
)


def pages(desktop: Desktop, backend: ReplayBackend) -> Iterator[str]:
    """Before a model is there, while it comes, a comparison, what can go wrong, and every mode."""
    with ChatInstance() as instance, instance.client() as client:
        backend.instance_client = client
        yield from _pages(desktop, backend, instance)
        page = desktop.window.page
        if isinstance(page, PlaygroundPage):
            page.model.stop_all()
            page.instance.end()
            page.model.clear()
        desktop.window.go("runs")
        until(lambda: not desktop.session.is_asking)
        backend.instance_client = None


def _pages(desktop: Desktop, backend: ReplayBackend, instance: ChatInstance) -> Iterator[str]:
    window = desktop.window
    run = backend.add(demo_spec("support-zh"), created=9.0)
    backend.play(run, [*before_training(), *steps(1, 90), *saved(30), *saved(60), *saved(90, best=True)])
    window.go("playground")
    page = window.page
    assert isinstance(page, PlaygroundPage)
    until(lambda: bool(page.instance.offers) and not desktop.session.is_asking)
    yield "playground-start"
    backend.serves_at_once = False
    page.start.go.click()
    until(lambda: bool(page.instance.uid))
    yield "playground-loading"
    error = UserError("worker.killed", signal="SIGKILL").body()
    backend.move(page.instance.uid, state=RunState.FAILED, error=error)
    until(lambda: page.instance.state == "failed")
    yield "playground-failed"
    backend.serves_at_once = True
    page.instance.again()
    until(lambda: page.instance.state == "ready" and page.instance.status is not None)
    yield "playground-empty"
    page.instance.load("support-zh@90", "/home/demo/runs/a/checkpoints/a1-s90")
    instance.refused_paths["/x"] = "It was made for Llama-4, whose layers are wider."
    page.instance.load("sql-v2", "/x")
    until(lambda: "sql-v2" in page.instance.misfits and page.instance.find("support-zh@90") is not None)
    page.model.set_answerer("2", Column("", ADAPTER, "support-zh@90"))
    instance.answers = {"demo": BASE_SAYS, "support-zh@90": ADAPTER_SAYS}
    page.model.send(ORDER)
    until(lambda: not page.model.is_busy)
    page.model.prefer(0, "2")
    until(lambda: page.model.used is not None)
    QTest.qWait(500)
    yield "playground-compare"
    dialog = page.serve()
    if dialog is not None:
        until(lambda: bool(dialog.boxes))
        yield "playground-serve"
        dialog.reject()
    page.model.set_chances(True)
    instance.errors["demo"] = (400, "The prompt has 9,000 tokens; 8,192 is the most this instance takes.")
    page.model.send("先登记补发，另外能开发票吗？")
    until(lambda: not page.model.is_busy)
    yield "playground-chances"
    instance.errors.clear()
    page.model.set_chances(False)
    backend.play(run, after_training(90))
    page.model.clear()
    page.model.add_column()
    page.model.set_answerer("3", Column("", RUN, "support-zh@60", run, "support-zh", 60))
    page.model.add_column()
    instance.go.clear()
    page.model.send(ORDER)
    until(lambda: all(said.text for said in page.model.chat.turns[0].answers.values()))
    yield "playground-four-columns"
    instance.go.set()
    page.model.stop_all()
    while len(page.model.chat.columns) > 2:
        page.model.remove_column(page.model.chat.columns[-1].id)
    yield from _trials(page, instance)


def _trials(page: PlaygroundPage, instance: ChatInstance) -> Iterator[str]:
    page.model.clear()
    page.batch.set_prompts([ORDER, "能开电子发票吗？", "Where is my parcel?", "How do I return a lamp?"])
    page.batch_panel.editor.setPlainText("\n".join(page.batch.prompts))
    page.mode.button("batch").click()
    yield "playground-prompts"
    page.batch_panel.start()
    until(lambda: not page.batch.running)
    yield "playground-batch"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "prompts.jsonl")
        file.write_text('"Where is it?"\n{"prompt": \n{"label": 1}\n', encoding="utf-8")
        page.batch_panel.read(str(file))
        until(page.batch_panel._error.isVisible)
    yield "playground-batch-refused"
    page.batch_panel._error.hide()
    page.mode.button("compare").click()
    page.blind_card.go.click()
    for _ in range(3):
        until(lambda: page.blind.can_vote)
        page.blind.vote("left" if page.blind.sides["left"].key != "base" else "right")
    until(lambda: page.blind.can_vote)
    QTest.qWait(100)
    yield "playground-blind"
    page.blind_panel.over.click()
    page.mode.button("single").click()
    page.input.system.setPlainText("Answer in the customer's language.")
    page.input._system.setChecked(True)
    page.model.send("Where is my parcel?")
    until(lambda: not page.model.is_busy)
    page.sampling.findChild(QPushButton, "chat.sampling.more").setChecked(True)
    yield "playground-single"
    page.input.system.setPlainText("")
    page.mode.button("compare").click()
    page.blind.forget()
