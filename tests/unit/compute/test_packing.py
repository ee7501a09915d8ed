"""Rows that share sequences: the same losses and gradients as apart, a fixed order, the wizard's figures, a resume."""

import json
import math
from array import array

import numpy as np
import pytest
import tiny
import torch
from helpers import Attempt, assert_goes_on

from engine.compute.data import pool
from engine.compute.data.packing import packed_share
from engine.compute.data.tokenise import Encoded
from engine.compute.training import packs
from engine.compute.training.batches import collate, parts_of, rows_between, rows_of
from engine.compute.training.loss import next_token_targets, summed_loss
from engine.compute.training.order import Plan, epoch_order
from engine.compute.training.row_losses import RowLosses, keeping
from engine.compute.worker.row_record import _row
from engine.contract import row_losses

ROOM = 24
LENGTHS = np.random.default_rng(3).integers(2, ROOM + 1, size=200)


def make_rows(count: int = 9, seed: int = 2) -> list[Encoded]:
    chance = np.random.default_rng(seed)
    rows = []
    for place, length in enumerate(sorted(chance.integers(3, ROOM, size=count), reverse=True)):
        ids = array("i", chance.integers(0, 256, size=length).tolist())
        learned = array("b", (chance.random(length) < 0.6).astype(int).tolist())
        rows.append(Encoded(ids, learned, place))
    return rows


def made(rows, kind: str, multiple: int = 1):
    places = {"places": torch.tensor([row.place for row in rows])}
    return packs.lay_out(rows, ROOM if kind == "packed" else None, 0, multiple) | places


def loss_and_gradient(model, batches):
    model.zero_grad()
    total = sum(summed_loss(model, batch, selective=True) for batch in batches)
    total.backward()
    return total.detach(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("multiple", [1, 8])
@pytest.mark.parametrize(
    ("architecture", "attention"),
    [("qwen3", "sdpa"), ("qwen3", "eager"), ("llama", "sdpa"), ("gemma2", "eager"), ("gpt2", "sdpa")],
)
@pytest.mark.parametrize("kind", ["packed", "padding_free"])
def test_that_loss_and_gradients_are_those_of_rows_apart(kind, architecture, attention, multiple):
    model, rows = tiny.make_model(architecture), make_rows()
    model.set_attn_implementation(attention)
    model.eval()
    assert packs.keeps_rows_apart(model)
    assert packs.keeps_rows_apart(model, 2)
    apart = loss_and_gradient(model, [collate([row], 0, 1) for row in rows])
    together = loss_and_gradient(model, [made(rows, kind, multiple)])
    assert torch.allclose(apart[0], together[0], rtol=1e-5)
    assert torch.allclose(apart[1], together[1], rtol=1e-4, atol=1e-5)


def test_that_a_model_in_which_rows_see_each_other_is_found_out():
    model = tiny.make_model()
    forward = model.forward
    model.forward = lambda *given, position_ids=None, **more: forward(*given, **more)
    assert not packs.keeps_rows_apart(model)


@pytest.mark.parametrize("kind", ["packed", "padding_free"])
def test_that_parts_are_whole_rows_and_add_up(kind):
    rows = make_rows()
    batch = made(rows, kind)
    parts = [rows_between(batch, at, at + 2) for at in range(0, parts_of(batch), 2)]
    assert len(parts) > 1
    assert sum(map(rows_of, parts)) == rows_of(batch) == len(rows)
    assert [place for part in parts for place in part["places"].tolist()] == list(range(len(rows)))
    model = tiny.make_model().eval()
    whole, pieces = loss_and_gradient(model, [batch]), loss_and_gradient(model, parts)
    assert torch.allclose(whole[0], pieces[0], rtol=1e-5)
    assert torch.allclose(whole[1], pieces[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["packed", "padding_free"])
def test_that_each_row_has_its_own_loss_and_its_own_words(kind):
    rows, model = make_rows(), tiny.make_model().eval()
    found = []
    for batch in (collate(rows, 0, 1) | {"places": torch.arange(len(rows))}, made(rows, kind, 8)):
        losses = RowLosses()
        with keeping(losses, batch) as content:
            assert not set(content) & set(packs.BESIDE)
            summed_loss(model, content, True, losses.taking)
        losses.stepped(1)
        found.append(losses.collect())
    apart, together = found
    assert apart["place"].tolist() == together["place"].tolist()
    assert apart["tokens"].tolist() == together["tokens"].tolist()
    assert together["loss"] == pytest.approx(apart["loss"], rel=1e-4)
    batch, plain = made(rows, kind, 8), collate(rows, 0, 1)
    for at, row in enumerate(rows):
        (ids, labels), (_, alone) = _row(batch, at), _row(plain, at)
        assert ids.tolist() == list(row.ids)
        assert labels.tolist() == alone[: len(row)].tolist()
    assert next_token_targets(batch["labels"])[1].numel() == sum(row.trained_tokens for row in rows)


def batches(seed: int = 1, epoch: int = 0, size: int = 3, kept: bool = False) -> list[list[int]]:
    plan = Plan(size, seed, by_length=True, kept=kept, room=ROOM)
    return list(epoch_order([(100, 1.0), (50, 2.0)], LENGTHS, plan, epoch))


@pytest.mark.parametrize("kept", [False, True])
def test_that_the_order_is_made_of_seed_and_epoch_and_has_every_row(kept):
    first, again, later = batches(kept=kept), batches(kept=kept), batches(epoch=1, kept=kept)
    assert first == again
    assert (first == later) == kept
    assert len(first) == len(later)  # every epoch has as many steps
    taken = sorted(row for batch in first for row in batch)
    assert taken == sorted([*range(100), *[row for row in range(100, 150) for _ in range(2)]])


def test_that_rows_come_together_as_the_wizard_reckons():
    plan = Plan(4, 1, room=ROOM)
    order = list(epoch_order([(len(LENGTHS), 1.0)], LENGTHS, plan, 0))
    rows = {at: Encoded(array("i", [1] * length), array("b", [1] * length), at) for at, length in enumerate(LENGTHS)}
    sequences = [packs.sequences_of([rows[at] for at in batch], ROOM) for batch in order]
    count = sum(map(len, sequences))
    assert max(map(len, sequences)) == 4
    assert len(order) == math.ceil(count / 4)
    assert packed_share(LENGTHS.tolist(), ROOM) == pytest.approx(LENGTHS.sum() / (ROOM * count))
    filled = [max(sum(LENGTHS[batch[at]] for at in one) for one in found)
              for batch, found in zip(order, sequences, strict=True)]  # fmt: skip
    assert filled[1] == max(filled)


def training(packing: str, **more) -> dict:
    usual = {"max_steps": 10, "micro_batch_size": 2, "accumulation": 2, "learning_rate": 1e-2, "packing": packing}
    return usual | more


def run(attempt, packing: str, name: str, length: int = 128, **more) -> Attempt:
    made = attempt(name=name, tuner={"kind": "lora", "rank": 4, "dropout": 0.2}, training=training(packing, **more),
                   checkpoints={"every_minutes": None, "every_steps": 3, "keep_last": 100})  # fmt: skip
    order = json.loads((made.folder / "order.json").read_text())
    order["spec"]["job"]["data"]["max_length"] = length
    (made.folder / "order.json").write_text(json.dumps(order))
    assert made.run() == 0, made.end
    return made


@pytest.mark.slow
@pytest.mark.parametrize("packing", ["packed", "padding_free"])
def test_that_a_run_goes_on_bit_for_bit_and_keeps_losses_by_row(attempt, packing):
    made = run(attempt, packing, packing)
    rows, losses = row_losses.read(made.outputs / row_losses.FOLDER)
    assert sorted(rows["line"].tolist()) == list(range(1, 41))
    for line in made.of("step"):
        mine = losses[losses["step"] == line.step]
        assert mine["loss"].sum() / mine["tokens"].sum() == pytest.approx(line.values["loss"], rel=1e-4)
    assert_goes_on(made, 3, ("loss", "grad_norm"))


@pytest.mark.slow
def test_that_a_padding_free_run_has_the_curve_of_one_with_filling(attempt):
    curves = []
    for packing in ("none", "padding_free"):
        made = attempt(name=packing, training=training(packing))
        assert made.run() == 0, made.end
        curves.append([line.values["loss"] for line in made.of("step")])
    assert curves[0] == pytest.approx(curves[1], rel=1e-4)


@pytest.mark.slow
def test_that_packed_rows_take_as_many_steps_as_their_sequences(attempt):
    made = attempt(name="epochs", training=training("packed", max_steps=None, epochs=2, accumulation=1))
    assert made.run() == 0, made.end
    rows, _ = row_losses.read(made.outputs / row_losses.FOLDER)
    assert len(rows) == 40
    plan = made.of("planned")[0]
    assert plan.total_steps < 2 * 20  # sequences hold several rows: fewer batches than with two rows in each
    assert plan.epochs == 2


@pytest.mark.slow
def test_that_rows_too_many_to_hold_are_packed_by_their_tokens(attempt, monkeypatch):
    monkeypatch.setattr(pool, "EAGER_ROWS", 10)
    monkeypatch.setattr(pool, "KEPT_TOKENS", 200)
    made = run(attempt, "packed", "lazy", micro_batch_parts=2)
    rows, _ = row_losses.read(made.outputs / row_losses.FOLDER)
    assert sorted(rows["line"].tolist()) == list(range(1, 41))
    assert_goes_on(made, 3, ("loss", "grad_norm"))
