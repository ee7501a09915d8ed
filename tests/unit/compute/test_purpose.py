"""What an adapter is for: a run's card has the prompts it was trained on as the base model sees them."""

import json

import pytest
import tiny
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.compute.lora.format import LoRAFormat
from engine.compute.worker import purpose
from engine.compute.worker.purpose import PROMPTS


def card(made):
    return LoRAFormat.load(made.outputs / "adapter.lora.arrow").card


def seen(model, texts):
    """By hand."""
    base, tokenizer = AutoModelForCausalLM.from_pretrained(model).eval(), AutoTokenizer.from_pretrained(model)
    with torch.no_grad():
        found = [base.model(tokenizer(text, return_tensors="pt")["input_ids"]).last_hidden_state[0] for text in texts]
    return torch.stack([states.mean(0) for states in found]).mean(0).tolist()


@pytest.mark.parametrize("more", [{}, {"tuner": {"kind": "dora"}}, {"training": {"max_steps": 2, "precision": "fp32"}}])
def test_that_a_runs_card_knows_the_prompts_it_was_trained_on(attempt, model, more):
    rows = tiny.make_rows(3)
    made = attempt(rows=rows, **more)
    assert made.run() == 0, made.end
    wanted = seen(model, [row["messages"][0]["content"] for row in rows])
    assert list(card(made).embedding) == pytest.approx(wanted, rel=1e-2, abs=1e-3)
    told = next(line for line in made.of("artifact") if line.artifact == "adapter_file")
    assert "embedding" not in told.card  # a line of the journal is short


def test_that_texts_and_many_rows_are_known_by_some(attempt, model, tmp_path):
    texts = [{"text": f"Row {number} of a book about the sea."} for number in range(200)]
    source = tiny.write_jsonl(tmp_path / "texts.jsonl", texts)
    made = attempt(stage="pretrain", data={"train": [{"path": str(source)}]})
    assert made.run() == 0, made.end
    places = sorted({int(at) for at in torch.linspace(0, 199, PROMPTS, dtype=torch.float64)})
    wanted = seen(model, [texts[place]["text"] for place in places])
    assert list(card(made).embedding) == pytest.approx(wanted, rel=5e-2, abs=5e-3)


def test_that_nothing_is_said_where_the_adapter_has_taken_a_part_of_the_base(attempt):
    made = attempt(tuner={"kind": "lora", "init": "pissa"})
    assert made.run() == 0, made.end
    assert card(made).embedding == ()


def test_that_json_has_few_digits(attempt):
    made = attempt(rows=tiny.make_rows(2))
    assert made.run() == 0, made.end
    assert max(len(one) for one in json.dumps(card(made).embedding).split(",")) < 16


def test_that_a_base_that_cannot_be_asked_costs_no_run(attempt, monkeypatch):
    def broken(_materials):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(purpose, "_prompts", broken)
    made = attempt(rows=tiny.make_rows(2))
    assert made.run() == 0, made.end
    assert card(made).embedding == ()
