"""The worker: from an order to its last word, whatever happens on the way."""

import json
import signal
from pathlib import Path

import pytest
import tiny
from safetensors.torch import load_file

from engine.compute.worker.artifacts import fingerprint_of
from engine.compute.worker.commands import StopFlag
from engine.contract import PROTOCOL_VERSION
from engine.contract.errors import UserError
from engine.contract.faults import POINTS
from engine.contract.messages import MESSAGES


def held_out(tmp_path: Path, count: int = 4) -> dict:
    path = tiny.write_jsonl(tmp_path / "held_out.jsonl", tiny.make_rows(count, 100))
    return {"data": [{"path": str(path)}], "max_new_tokens": 4, "samples": 2}


def test_that_a_run_goes_through_to_its_end_as_a_process(tmp_path, attempt):
    made = attempt(evaluation=held_out(tmp_path), training={"max_steps": 6, "learning_rate": 1e-2, "validate_every": 4})
    order = json.loads((made.folder / "order.json").read_text())
    order["spec"]["job"]["data"]["validation_share"] = 0.1
    (made.folder / "order.json").write_text(json.dumps(order))
    assert made.start().wait(150) == 0, made.log
    lines = made.journal
    assert [line.seq for line in lines] == list(range(1, len(lines) + 1))
    phases = list(dict.fromkeys(line.phase.value for line in made.of("phase")))
    assert phases == [
        *("starting", "loading", "tokenising", "evaluating_before", "training", "saving", "evaluating_after")
    ]
    kinds = [line.kind for line in lines if line.kind not in ("device", "note")]
    assert kinds[0] == "started"
    assert kinds[-1] == "ended"
    assert [line.step for line in made.of("step")] == [1, 2, 3, 4, 5, 6]
    assert [line.step for line in made.of("validation")] == [4, 6]
    assert [line.when for line in made.of("score")] == ["before", "after"]
    assert [(line.when, line.index) for line in made.of("sample")] == [
        (w, i) for w in ("before", "after") for i in (0, 1)
    ]
    losses = [line.values["loss"] for line in made.of("step")]
    assert losses[-1] < losses[0]
    assert (made.end.state, made.end.reason, made.end.step) == ("completed", "finished", 6)
    device = made.of("device")[0]
    assert {"cpu.utilisation", "cpu.process", "ram.used", "ram.total", "ram.process"} <= set(device.values)
    for artifact in made.of("artifact"):
        assert fingerprint_of(made.folder / artifact.path).sha256 == artifact.sha256
    assert "Step 6  loss" in made.log
    assert "%|" not in made.log  # no progress bars
    assert "Warning" not in made.log
    assert {path.name for path in made.folder.iterdir()} == {"order.json", "journal.jsonl", "worker.log", "outputs"}


def test_that_sigterm_saves_and_stops(attempt):
    made = attempt(training={"max_steps": 100_000, "log_every": 1})
    process = made.start()
    made.wait_for("step", process, count=3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 77, made.log
    assert (made.end.state, made.end.reason) == ("stopped", "interrupted")  # by nobody who gave a command
    artifact, beside = made.of("artifact")
    assert artifact.step == beside.step == made.end.step == made.of("step")[-1].step
    (checkpoint,) = made.of("checkpoint")
    assert (checkpoint.step, checkpoint.cause) == (artifact.step, "stop")
    assert load_file(made.outputs / "adapter" / "adapter_model.safetensors")
    lines = made.journal
    assert [line.seq for line in lines] == list(range(1, len(lines) + 1))


def test_that_sigterm_during_the_start_stops_without_a_result(attempt):
    made = attempt()
    process = made.start()
    made.wait_for("started", process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 77, made.log
    assert (made.end.state, made.end.reason) == ("stopped", "interrupted")  # by nobody who gave a command
    assert not made.of("artifact")


@pytest.mark.parametrize(("verb", "saves"), [("stop", True), ("stop_without_saving", False)])
def test_that_a_command_stops_the_run_and_is_acknowledged_once(attempt, verb, saves):
    made = attempt(training={"max_steps": 3000})
    control = made.folder / "control"
    control.mkdir()

    class StopLater(StopFlag):
        """Writes the command once training is on its way."""

        def __bool__(self):
            path = made.folder / "journal.jsonl"
            if path.exists() and path.read_text().count('"kind":"step"') > 2:
                (control / "c1.json").write_text(json.dumps({"id": "c1", "verb": verb}))
            return super().__bool__()

    assert made.run(StopLater()) == 77
    assert [(ack.command, ack.error) for ack in made.of("ack")] == [("c1", None)]
    assert bool(made.of("artifact")) == saves
    assert (made.outputs / "adapter").exists() == saves
    assert made.end.state == "stopped"


def test_that_a_command_nobody_understands_is_refused_and_harmless(attempt):
    made = attempt()
    (made.folder / "control").mkdir()
    (made.folder / "control" / "x.json").write_text("{half")
    assert made.run() == 0
    (ack,) = made.of("ack")
    assert (ack.command, ack.error.code) == ("x", "worker.bad_command")


def test_that_every_bad_row_is_named_and_the_dataset_refused_whole(tmp_path, attempt):
    good = [json.dumps(row) for row in tiny.make_rows(3)]
    bad = ['{"messages": [', '{"messages": []}', '["a"]', '{"messages": [{"role": "user", "content": "q"}]}']
    made = attempt()
    (tmp_path / "train.jsonl").write_text("\n".join([good[0], bad[0], good[1], *bad[1:], good[2]]))
    assert made.run() == 1
    assert (made.end.state, made.end.reason, made.end.error.code) == ("failed", "bad_data", "data.refused")
    assert made.end.error.params["count"] == 4
    found = [(problem.line, problem.code) for problem in made.end.error.problems]
    assert found == [
        (2, "data.bad_json"),
        (4, "data.no_turns"),
        (5, "data.not_an_object"),
        (6, "data.no_answer"),
    ]
    assert not made.of("step")


def test_that_full_training_leaves_a_model_that_loads(attempt):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    made = attempt(tuner={"kind": "full"}, training={"max_steps": 2, "learning_rate": 1e-3})
    assert made.run() == 0
    (artifact,) = made.of("artifact")
    assert (artifact.artifact, artifact.path) == ("model", "outputs/model")
    model = AutoModelForCausalLM.from_pretrained(made.outputs / "model")
    assert model.config.use_cache
    assert AutoTokenizer.from_pretrained(made.outputs / "model").chat_template
    assert made.of("planned")[0].trainable_parameters == made.of("planned")[0].parameters


def test_that_plain_text_is_pretrained(tmp_path, attempt):
    path = tmp_path / "text.txt"
    path.write_text("A first paragraph\nof two lines.\n\nA second one.\n\n" * 4)
    made = attempt(stage="pretrain", data={"train": [{"path": str(path)}]})
    assert made.run() == 0
    assert made.of("planned")[0].rows == 8
    refused = attempt(data={"train": [{"path": str(path)}]}, name="sft")
    assert refused.run() == 1
    assert refused.end.error.code == "data.text_needs_pretrain"


def test_that_cut_and_dropped_rows_are_counted(attempt):
    long = [{"messages": [{"role": "user", "content": "x" * 90}, {"role": "assistant", "content": "y"}]}] * 3
    made = attempt([*tiny.make_rows(8), *long])
    order = json.loads((made.folder / "order.json").read_text())
    order["spec"]["job"]["data"]["max_length"] = 80
    (made.folder / "order.json").write_text(json.dumps(order))
    assert made.run() == 0
    notes = {note.code: note.params for note in made.of("note")}
    assert notes["data.rows_cut"]["cut"] >= 3
    assert notes["data.rows_dropped"]["dropped"] == 3
    assert made.of("planned")[0].rows == 8


def test_that_data_in_which_nothing_is_learned_is_refused(attempt):
    rows = [{"messages": [{"role": "user", "content": "x" * 90}, {"role": "assistant", "content": "y"}]}] * 3
    made = attempt(rows)
    order = json.loads((made.folder / "order.json").read_text())
    order["spec"]["job"]["data"]["max_length"] = 40
    (made.folder / "order.json").write_text(json.dumps(order))
    assert made.run() == 1
    assert made.end.error.code == "data.nothing_trained"


def test_that_the_time_limit_saves_and_completes(attempt):
    made = attempt(training={"max_steps": 100_000}, spec={"limits": {"max_hours": 1e-6}})
    assert made.run() == 0
    assert made.of("note")[-1].code == "training.time_limit"
    assert made.end.state == "completed"
    assert made.of("artifact")


def test_that_another_protocol_is_refused(attempt):
    made = attempt()
    order = json.loads((made.folder / "order.json").read_text())
    (made.folder / "order.json").write_text(json.dumps({**order, "protocol": PROTOCOL_VERSION + 1}))
    assert made.run() == 1
    assert (made.end.reason, made.end.error.code) == ("worker_environment", "worker.other_protocol")


def test_that_a_folder_without_an_order_fails_in_plain_words(tmp_path):
    from helpers import Attempt

    made = Attempt(tmp_path)
    assert made.run() == 1
    assert made.end.error.code == "worker.no_order"


@pytest.mark.parametrize(
    ("error", "reason", "code"),
    [
        (MemoryError(), "out_of_memory", "memory.exhausted"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out_of_memory", "memory.exhausted"),
        (OSError(28, "No space left on device"), "disk_full", "worker.disk_full"),
        (ModuleNotFoundError("No module named 'peft'"), "worker_environment", "environment.import"),
        (ZeroDivisionError("oops"), "worker_error", "worker.bug"),
        (UserError("model.missing", path="/x"), "bad_model", "model.missing"),
    ],
)
def test_that_a_failure_in_training_has_a_reason_and_an_error(attempt, monkeypatch, error, reason, code):
    from engine.compute.worker import train_job

    def fail(*rest):
        raise error

    monkeypatch.setattr(train_job, "train", fail)
    made = attempt()
    assert made.run() == 1
    assert (made.end.state, made.end.reason, made.end.error.code) == ("failed", reason, code)
    assert "{" not in made.end.error.what + made.end.error.why + made.end.error.fix


def test_that_a_model_with_missing_weights_is_refused(tmp_path, attempt):
    from safetensors.torch import save_file

    folder = tiny.save_model(tmp_path / "broken")
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    made = attempt(model={"path": str(folder)})
    assert made.run() == 1
    assert (made.end.reason, made.end.error.code) == ("bad_model", "model.weights_incomplete")
    assert "up_proj" in made.end.error.why


def test_that_every_code_the_worker_uses_has_a_text():
    import re

    root = Path(__file__).resolve().parents[3] / "engine" / "compute"
    rooms = "worker|data|model|training|memory|environment|config|query|inspect|checkpoint"
    pattern = re.compile(rf'"((?:{rooms})\.[a-z_]+)"')
    used = {code for path in root.rglob("*.py") for code in pattern.findall(path.read_text())} - {
        "config.json",
        "model.attention",
        "model.path",
        "model.quantisation",
        "model.safetensors",
        "training.liger",
        "training.optimizer",
        "worker.log",
        *POINTS,  # places for faults
    }
    assert len(used) > 50
    assert used <= set(MESSAGES)


def test_that_the_log_is_json_and_as_loud_as_was_asked_for(attempt):
    made = attempt(model={"path": "/nowhere"})
    assert made.start(FORGE_LOG_JSON="1", FORGE_LOG_LEVEL="error").wait(60) == 1
    lines = [json.loads(line) for line in made.log.splitlines()]
    assert lines
    assert {line["level"] for line in lines} == {"error"}
    assert lines[0]["error"]["code"] == made.end.error.code
    assert lines[0]["error"]["fix"]
