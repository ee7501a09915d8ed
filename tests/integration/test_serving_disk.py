"""A disk that is full under an instance and under the library of adapters: answers go on, nothing is half there."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.contract.adapter_library import ImportAdapter
from engine.contract.errors import UserError
from engine.contract.paths import resources_folder
from engine.contract.serving import LoadAdapter, ServeJob
from tests.helpers.controller import ControllerProcess
from tests.helpers.disks import full, needs_root, small_disk
from tests.helpers.real_worker import WORKER, needs_worker
from tests.helpers.waiting import wait_until

pytestmark = [needs_worker, needs_root]
MAKE = """
import sys
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=64, target_modules="all-linear")).save_pretrained(sys.argv[2])
"""
ASKED = {
    "model": "demo", "messages": [{"role": "user", "content": "Convert to an ISO date: 3 May 2021"}],
    "temperature": 0, "max_tokens": 8,
}  # fmt: skip


@pytest.fixture
def folder_of_peft(tmp_path: Path) -> Path:
    """An adapter as peft leaves it."""
    made = tmp_path / "of peft"
    subprocess.run([WORKER, "-c", MAKE, resources_folder() / "demo" / "model", made], check=True, capture_output=True)
    return made


def at_rest(path: Path) -> Callable[[], bool]:
    """Whether the file, which grows each second where it can, has not grown for three."""
    seen = (-1, 0.0)

    def look() -> bool:
        nonlocal seen
        size = path.stat().st_size
        if size != seen[0]:
            seen = (size, time.monotonic())
        return time.monotonic() - seen[1] > 3

    return look


def test_that_an_instance_goes_on_while_its_disk_is_full(tmp_path: Path, folder_of_peft: Path) -> None:
    real = ControllerProcess(tmp_path, WORKER)
    with small_disk(real.home.root, "48m") as disk:
        real.start()
        try:
            run = real.client.serve(
                ServeJob.model_validate({"model": {"path": "demo", "hub": "bundled"}, "context": 128})
            )
            wait_until(lambda: real.client.instance(run.uid).ready, 180, "the instance answers")
            before = real.client.complete(run.uid, ASKED).text
            with full(disk):
                for _ in range(20):
                    assert real.client.complete(run.uid, ASKED).text == before
                real.client.load_adapter(run.uid, LoadAdapter(name="mine", path=str(folder_of_peft)))
                assert real.client.complete(run.uid, {**ASKED, "model": "mine"}).text
                wait_until(at_rest(real.home.attempt(run.uid, 1).journal), 60, "the journal has no room left")
                assert real.client.complete(run.uid, ASKED).text == before
                with pytest.raises(UserError) as caught:
                    real.client.import_adapter(ImportAdapter(path=str(folder_of_peft), name="kept"))
                assert caught.value.code == "query.disk_full"
                assert not list(real.home.adapters.glob("**/*.arrow"))
                assert real.client.adapters().adapters == []
            assert real.client.import_adapter(ImportAdapter(path=str(folder_of_peft), name="kept")).name == "kept"
            assert real.client.complete(run.uid, ASKED).text == before
            wait_until(lambda: "mine" in real.client.instance(run.uid).models, 30, "what waited for room is told")
            assert len(real.client.run(run.uid).attempts) == 1
            assert real.client.run(run.uid).run.state == "running"
            (audit,) = real.home.root.rglob("audit.jsonl")
            lines = [json.loads(line) for line in audit.read_text().splitlines()]
            assert {line["status"] for line in lines} == {200}
            real.client.stop(run.uid)
            assert real.until(run.uid, "stopped").run.reason == "stopped_by_person"
        finally:
            real.close()
