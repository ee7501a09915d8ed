"""Losses of rows: training does not notice, they add up to the curve, and what is torn or full harms nobody."""

import math

import numpy as np
import pytest
import tiny
import torch
from torch.nn import functional as F  # noqa: N812 - torch's own usual name

from engine.compute.training.batches import IGNORED
from engine.compute.training.loss import next_token_targets, summed_loss
from engine.compute.training.row_losses import RowLosses, keeping
from engine.compute.worker.row_record import RowRecord
from engine.contract import row_losses
from engine.contract.forensics import ForensicsConfig


def make_batch(rows: int = 4, width: int = 24) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, 256, (rows, width), generator=generator)
    labels = torch.where(torch.rand(rows, width, generator=generator) < 0.4, ids, IGNORED)
    return {"input_ids": ids, "labels": labels, "places": torch.arange(rows) + 10}


def kept(attempt) -> tuple[np.ndarray, np.ndarray]:
    return row_losses.read(attempt.outputs / row_losses.FOLDER)


@pytest.mark.parametrize("selective", [True, False])
def test_that_taking_the_losses_of_rows_changes_no_bit_of_loss_and_gradient(selective):
    batch, results = make_batch(), []
    for take in (False, True):
        model, rows = tiny.make_model("qwen3"), RowLosses()
        rows.begin(batch)
        loss = summed_loss(model, batch, selective, rows.taking if take else None)
        loss.backward()
        gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        results.append((loss.detach(), gradient))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_that_each_row_gets_its_own_loss():
    model, batch, rows = tiny.make_model().eval(), make_batch(), RowLosses()
    with keeping(rows, batch) as content:
        assert "places" not in content
        summed_loss(model, content, True, rows.taking)
    rows.stepped(7)
    found = rows.collect()
    assert found["step"].tolist() == [7] * 4
    assert found["place"].tolist() == [10, 11, 12, 13]
    with torch.no_grad():
        logits = model(batch["input_ids"]).logits.float()
    for at, record in enumerate(found):
        mask, targets = next_token_targets(batch["labels"][at : at + 1])
        assert record["tokens"] == targets.numel()
        assert record["loss"] == pytest.approx(
            F.cross_entropy(logits[at : at + 1][mask], targets, reduction="sum").item(), rel=1e-4
        )


def test_that_a_run_keeps_them_and_is_the_same_run_as_without(attempt):
    job = {"training": {"max_steps": 10, "micro_batch_size": 4, "accumulation": 2, "learning_rate": 1e-2}}
    with_rows, without = (
        attempt(name=name, **job, forensics={"row_losses": on}) for name, on in (("with", True), ("without", False))
    )
    assert (with_rows.run(), without.run()) == (0, 0)
    curves = [[(line.step, line.values["loss"], line.values["grad_norm"]) for line in one.of("step")] for one in
              (with_rows, without)]  # fmt: skip
    assert curves[0] == curves[1]  # bit for bit
    assert not (without.outputs / row_losses.FOLDER).exists()
    rows, losses = kept(with_rows)
    assert sorted(rows["line"].tolist()) == list(range(1, 41))  # two epochs of 40 rows
    for step, loss, _norm in curves[0]:
        mine = losses[losses["step"] == step]
        assert len(mine) == 8
        assert mine["loss"].sum() / mine["tokens"].sum() == pytest.approx(loss, rel=1e-5)
    told = with_rows.of("rows")
    assert [(line.first_step, line.last_step, line.records) for line in told] == [(1, 10, 80)]
    size = sum(path.stat().st_size for path in row_losses.parts(with_rows.outputs / row_losses.FOLDER))
    assert size == told[0].bytes
    assert size <= 80 * 16 + 40 * 52 + 20 * row_losses.HEAD.size  # as the setting says


def test_that_a_resumed_attempt_goes_on_where_the_checkpoint_is(attempt, tmp_path):
    training = {"max_steps": 6, "micro_batch_size": 8, "learning_rate": 1e-2}
    whole = attempt(name="whole", training=training, checkpoints={"every_steps": 3})
    assert whole.run() == 0
    again = attempt(name="whole/x", training=training)
    folder = whole.folder.parent / "2"
    again.folder.rename(folder)
    import json

    order = json.loads((folder / "order.json").read_text())
    order |= {"attempt": 2, "resume": [{"attempt": 1, "step": 3, "path": "checkpoints/a1-s3"}]}
    (folder / "order.json").write_text(json.dumps(order))
    again.folder = folder
    assert again.run() == 0
    (_, first), (_, second) = kept(whole), kept(again)
    assert sorted(set(second["step"].tolist())) == [4, 5, 6]
    assert first[first["step"] >= 4].tobytes() == second.tobytes()  # the same rows with the same losses


def test_that_fewer_steps_are_kept_when_asked_and_when_room_gets_short(attempt, tmp_path):
    thin = attempt(forensics={"every_steps": 2})
    assert thin.run() == 0
    assert sorted(set(kept(thin)[1]["step"].tolist())) == [2, 4]

    class Pool:
        def origin(self, place):
            raise AssertionError("no batch was told")

    record = RowRecord(ForensicsConfig(most_megabytes=1), Pool(), tmp_path / "outputs", lambda **_: None, steps=2000)
    one = torch.ones(500)
    for step in range(1, 2001):
        if record.losses.wanted:
            record.losses._step.append(type("P", (), {"places": torch.arange(500), "losses": one, "tokens": one})())
        record.stepped(step)
    record.close()
    _, losses = row_losses.read(tmp_path / "outputs" / row_losses.FOLDER)
    steps = np.unique(losses["step"])
    assert steps[0] == 1
    assert steps[-1] > 1000  # seldom, to the end, not all at the beginning
    assert sum(path.stat().st_size for path in row_losses.parts(tmp_path / "outputs" / row_losses.FOLDER)) <= 1_000_000


def test_that_a_torn_end_and_a_wrong_bit_are_passed_over(attempt):
    made = attempt()
    assert made.run() == 0
    path = row_losses.parts(made.outputs / row_losses.FOLDER)[0]
    content = path.read_bytes()
    _, whole = kept(made)
    more = row_losses.block(row_losses.LOSSES, whole)
    for end in (more[:-1], more[:5], more[:-1] + bytes([more[-1] ^ 1])):
        path.write_bytes(content + end)
        assert len(kept(made)[1]) == len(whole)
    path.write_bytes(content + more)
    assert len(kept(made)[1]) == 2 * len(whole)


def test_that_a_disk_without_room_ends_the_record_and_not_the_run(attempt):
    made = attempt()
    (made.outputs).mkdir(parents=True)
    (made.outputs / row_losses.FOLDER).write_text("in the way")  # as good as no room: the folder cannot be made
    assert made.run() == 0
    assert made.of("rows") == []
    assert "not kept any more" in made.log if (made.folder / "worker.log").exists() else True


def test_that_the_same_question_with_two_answers_can_be_told_from_the_fingerprints(attempt):
    def row(question: str, answer: str) -> dict:
        return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}

    made = attempt(rows=[row("a", "x"), row("a", "y"), row("b", "x"), row("b", "x")])
    assert made.run() == 0
    rows = {int(one["line"]): one for one in kept(made)[0]}
    assert rows[1]["prompt"] == rows[2]["prompt"] != rows[3]["prompt"]
    assert rows[1]["answer"] != rows[2]["answer"]
    assert rows[3]["answer"] == rows[4]["answer"] == rows[1]["answer"]
    assert math.isfinite(kept(made)[1]["loss"].sum())


def test_that_the_manifest_tells_what_the_losses_depend_on(attempt):
    made = attempt()
    assert made.run() == 0
    (line,) = made.of("manifest")
    found = line.manifest
    assert found["threads"] == torch.get_num_threads()
    assert found["packages"]["torch"] == torch.__version__
    assert [one["rows"] for one in found["data"]] == [40]
    assert all(found[name] for name in ("config", "model", "rows", "order", "code", "processor", "precision"))
    other = attempt(name="other", training={"max_steps": 4, "micro_batch_size": 8, "seed": 3})
    assert other.run() == 0
    theirs = other.of("manifest")[0].manifest
    assert theirs["order"] != found["order"]
    assert theirs["data"] == found["data"]
