"""Failures of whole runs: a real controller, a real worker, the demo model, and something wrong."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine.contract.api import RunDetail
from engine.contract.paths import resources_folder
from engine.contract.run_spec import RunConfig
from tests.helpers.controller import ControllerProcess, make_stub_python
from tests.helpers.waiting import wait_until

BUNDLED = {"path": "demo", "hub": "bundled"}
GOOD = '{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}\n'
TWO_QUESTIONS = GOOD.replace('[{"role"', '[{"role": "user", "content": "q"}, {"role"', 1)
Change = dict[str, Any]


def _nothing(_service: ControllerProcess, _uid: str) -> None:
    return


def _rows(folder: Path, text: str, **more: Any) -> Change:
    rows = folder / "rows.jsonl"
    rows.write_text(text, encoding="utf-8")
    return {"data": {"train": [{"path": str(rows), **more}]}}


def bad_rows(folder: Path) -> Change:
    """Rows of which two cannot be used."""
    return _rows(folder, f'{GOOD}{{"messages": []}}\n{GOOD}{{half\n')


def wrong_format(folder: Path) -> Change:
    """Conversations read as Alpaca."""
    return _rows(folder, GOOD * 3, format="alpaca")


def nothing_trained(folder: Path) -> Change:
    """Questions that are longer than a row may be."""
    row = {"messages": [{"role": "user", "content": "word " * 200}, {"role": "assistant", "content": "a"}]}
    change = _rows(folder, (json.dumps(row) + "\n") * 4)
    change["data"]["max_length"] = 32
    return change


def text_needs_pretrain(folder: Path) -> Change:
    """Plain text in supervised fine-tuning."""
    return _rows(folder, '{"text": "once upon a time"}\n' * 4)


def template_unmaskable(folder: Path) -> Change:
    """A template that tells who spoke, and not what was said."""
    template = "{% for m in messages %}{{ m['role'] }} {% endfor %}{{ messages | length }}"
    return {"model": _model(folder, template), **_rows(folder, GOOD * 4)}


def template_refused_by_worker(folder: Path) -> Change:
    """A template that wants questions and answers in turn, and rows with two questions in a row."""
    template = (
        "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}"
        "{% endif %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    )
    return {"model": _model(folder, template), **_rows(folder, TWO_QUESTIONS * 4)}


def _model(folder: Path, template: str) -> Change:
    target = folder / "model"
    shutil.copytree(resources_folder() / "demo" / "model", target)
    (target / "chat_template.jinja").unlink(missing_ok=True)
    file = target / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"chat_template": template}))
    return {"path": str(target), "hub": "local"}


def loss_not_finite(_folder: Path) -> Change:
    """Steps that are far too large."""
    recipe = {"learning_rate": 10.0, "max_grad_norm": 0.0, "warmup_share": 0.0, "weight_decay": 10.0}
    return {"tuner": {"kind": "full"}, "training": recipe}


def killed(_folder: Path) -> Change:
    """Long enough to be killed."""
    return {"training": {"max_steps": 5000}}


def network_closed(_folder: Path) -> Change:
    """A model of a hub, and no network."""
    return {"model": {"path": "demo-owner/demo-model", "hub": "huggingface"},
            "compute": {"network": "none", "limits": {"retries": 0}}}  # fmt: skip


def fp16_on_processor(_folder: Path) -> Change:
    """fp16 where there is no GPU."""
    return {"training": {"precision": "fp16"}, "compute": {"gpus": 0, "limits": {"retries": 0}}}


def targets_unknown(_folder: Path) -> Change:
    """Names of another architecture's layers."""
    return {"tuner": {"targets": ["query_key_value"]}}


def no_gpu(_folder: Path) -> Change:
    """A GPU on a computer without one."""
    return {"compute": {"gpus": 1, "limits": {"retries": 0}}}


def _kill(service: ControllerProcess, uid: str) -> None:
    os.kill(_worker(service, uid), signal.SIGKILL)


def _worker(service: ControllerProcess, uid: str) -> int:
    wait_until(lambda: service.client.run(uid).run.step, 180, "the first step")
    return next(int(line["pid"]) for line in service.journal(uid) if line["kind"] == "started")


RUNS: dict[str, tuple[Callable[[Path], Change], Callable[[ControllerProcess, str], None], str]] = {
    "bad_rows": (bad_rows, _nothing, "bad_rows"),
    "wrong_format": (wrong_format, _nothing, "wrong_format"),
    "nothing_trained": (nothing_trained, _nothing, "nothing_trained"),
    "text_needs_pretrain": (text_needs_pretrain, _nothing, "text_needs_pretrain"),
    "template_unmaskable": (template_unmaskable, _nothing, "template_unmaskable"),
    "template_refused-by_worker": (template_refused_by_worker, _nothing, "template_refused"),
    "loss_not_finite": (loss_not_finite, _nothing, "loss_not_finite"),
    "killed": (killed, _kill, "killed"),
    "hung": (lambda _folder: {}, _nothing, "hung"),
    "network_closed": (network_closed, _nothing, "network_closed"),
    "half_unsupported-by_worker": (fp16_on_processor, _nothing, "half_unsupported"),
    "targets_absent-by_worker": (targets_unknown, _nothing, "targets_absent"),
    "gpu_absent-by_worker": (no_gpu, _nothing, "gpu_absent"),
}
"""Name of the log: the config's change, what is done to the run, and the rule."""


def provoke(name: str, worker: Path) -> tuple[str, dict[str, Any]]:
    """Let the run fail; its log, and reason, error and changed config."""
    if name == "hung":
        return _hung()
    change_of, deed, _rule = RUNS[name]
    with tempfile.TemporaryDirectory(prefix="failing-") as folder:
        root = Path(folder)
        change = change_of(root)
        with _service(root, worker) as service:
            detail, log = _ended(service, change, deed, "failed")
        assert detail.run.error is not None
        return log, {
            "reason": str(detail.run.reason),
            "error": detail.run.error.model_dump(mode="json"),
            "config": json.loads(json.dumps(change).replace(folder, "/tmp/work")),
        }


def _hung() -> tuple[str, dict[str, Any]]:
    """A worker, the double that ships for this, that goes silent in mid-training."""
    with tempfile.TemporaryDirectory(prefix="failing-") as folder:
        root = Path(folder)
        with _service(root, make_stub_python(root)) as service:
            spec = service.spec("steps=8 delay=0.02 hangat=5", limits={"hang_minutes": 0.05, "retries": 0})
            run = service.client.create(spec)
            detail = service.until(run.uid, "failed", timeout=240)
            log = service.home.attempt(run.uid, 1).log.read_text(errors="replace")
            assert detail.run.error is not None
            limits = {"compute": {"limits": {"hang_minutes": 0.05}}}
            error = detail.run.error.model_dump(mode="json")
            return log, {"reason": str(detail.run.reason), "error": error, "config": limits}


def healthy(worker: Path) -> str:
    """The log of a run with nothing wrong."""
    with tempfile.TemporaryDirectory(prefix="failing-") as folder, _service(Path(folder), worker) as service:
        return _ended(service, {}, _nothing, "completed")[1]


@contextlib.contextmanager
def _service(folder: Path, worker: Path) -> Iterator[ControllerProcess]:
    """A controller whose hubs may be asked, and lie where nobody answers."""
    os.environ["HF_HUB_OFFLINE"] = "0"
    service = ControllerProcess(folder / "home", worker)
    try:
        service.start()
        service.forge("settings", "--endpoint", "huggingface=http://127.0.0.1:9")
        yield service
    finally:
        service.close()


def _ended(
    service: ControllerProcess, change: Change, deed: Callable[[ControllerProcess, str], None], state: str
) -> tuple[RunDetail, str]:
    run = service.client.create(config(change))
    deed(service, run.uid)
    detail = service.until(run.uid, state, timeout=240)
    return detail, service.home.attempt(run.uid, detail.run.attempt).log.read_text(errors="replace")


def config(change: Change) -> Any:
    """A few steps of the demo, changed."""
    document: Change = {
        "name": "will fail",
        "model": BUNDLED,
        "data": {"train": [{**BUNDLED, "limit": 64}], "max_length": 128},
        "training": {"max_steps": 40, "micro_batch_size": 8, "threads": 1},
        "compute": {"limits": {"retries": 0}},
    }
    for group, values in change.items():
        document[group] = document.get(group, {}) | values
    return RunConfig.model_validate(document).to_spec()
