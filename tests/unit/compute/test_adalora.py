"""AdaLoRA: the phases fit into the run, ranks go as with peft alone, and a resumed run goes on bit for bit."""

import json

import pytest
import tiny
import torch
from helpers import Attempt
from safetensors.torch import load_file
from test_resume import again, losses
from test_training import CPU, make_loader
from test_tuners import FP32, logits

from engine.compute.training.allocation import FILE, Allocation, prune
from engine.compute.training.callbacks import Watch
from engine.compute.training.trainer import ForgeTrainer, arguments, train
from engine.compute.training.tuners import apply_tuner
from engine.contract.config_file import check_document
from engine.contract.errors import UserError
from engine.contract.training import TrainingConfig
from engine.contract.tuner import TunerConfig

STEPS = 10
TUNER = {"kind": "adalora", "rank": 6, "target_rank": 2, "alpha": 8, "tinit": 2, "tfinal": 3, "delta_t": 1}


def by_peft_alone(tokenizer, training: TrainingConfig):
    """peft's own loop: its forward adds the term, and it allocates after each step. Its losses, and the model."""
    from peft import AdaLoraConfig, get_peft_model

    torch.manual_seed(7)
    plain = tiny.make_model()
    names = {name.rpartition(".")[2] for name, one in plain.named_modules() if isinstance(one, torch.nn.Linear)}
    settings = AdaLoraConfig(
        task_type="CAUSAL_LM", init_r=6, target_r=2, lora_alpha=8, tinit=2, tfinal=3, deltaT=1, total_step=STEPS,
        target_modules=sorted(names - {"lm_head"}),
    )  # fmt: skip
    model = get_peft_model(plain, settings).train()
    learning = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-2, weight_decay=0.0)
    found, loader = [], make_loader(tokenizer, training)
    batches = [batch for epoch in range(2) for batch in (loader.set_epoch(epoch), list(loader))[1]]
    for step, batch in enumerate(batches[:STEPS], 1):
        loss = model(input_ids=batch["input_ids"], labels=batch["labels"], use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learning, training.max_grad_norm)
        optimizer.step()
        model.base_model.update_and_allocate(step)
        optimizer.zero_grad()
        found.append(float(loss.detach()))
    return found, model


def test_that_losses_and_ranks_are_those_of_peft_alone(tmp_path, tokenizer):
    from peft import PeftModel

    training = TrainingConfig(
        micro_batch_size=4, max_steps=STEPS, learning_rate=1e-2, warmup_share=0.0, schedule="constant"
    )
    torch.manual_seed(7)
    config = TunerConfig.model_validate(TUNER)
    model = apply_tuner(tiny.make_model(), config)
    points: list[float] = []
    watch = Watch(lambda _s, _e, values: points.append(values["loss"]), lambda *_a: None, lambda: False)
    args = arguments(training, STEPS, FP32, CPU, tmp_path, validates=False)
    loader = make_loader(tokenizer, training)
    ranks = Allocation(model, config, STEPS)
    train(ForgeTrainer(model=model, args=args, loader=loader, validation=[], watch=watch, ranks=ranks))
    expected, theirs = by_peft_alone(tokenizer, training)
    assert points == pytest.approx(expected, rel=1e-4)
    ours = {name: one for name, one in model.state_dict().items() if "lora_" in name}
    for name, tensor in ours.items():
        assert torch.allclose(tensor, theirs.state_dict()[name], atol=1e-4), name
    kept = [int((one != 0).sum()) for name, one in ours.items() if "lora_E" in name]
    assert sum(kept) == 2 * len(kept)
    assert len(set(kept)) > 1
    after = logits(model)
    prune(model)
    model.save_pretrained(str(tmp_path / "adapter"))
    saved = load_file(str(tmp_path / "adapter" / "adapter_model.safetensors"))
    assert sum(len(one) for name, one in saved.items() if "lora_E" in name) == sum(max(1, n) for n in kept)
    pattern = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())["rank_pattern"]
    assert sum(map(sum, pattern.values())) == sum(max(1, n) for n in kept)
    again = PeftModel.from_pretrained(tiny.make_model(), str(tmp_path / "adapter"))
    assert torch.allclose(logits(again), after, atol=1e-6)


@pytest.mark.parametrize("step", [1, 4, 8])
def test_that_it_goes_on_bit_for_bit_in_every_phase(attempt, tmp_path, step):
    rows = tiny.write_jsonl(tmp_path / "rows.jsonl", tiny.make_rows(24))
    whole: Attempt = attempt(
        data={"train": [{"path": str(rows)}]},
        tuner=TUNER,
        training={"max_steps": STEPS, "micro_batch_size": 4, "accumulation": 2, "learning_rate": 1e-2},
        checkpoints={"every_minutes": None, "every_steps": 1, "keep_last": 100},
    )
    assert whole.run() == 0, whole.end
    resumed = again(whole, step)
    assert resumed.run() == 0, resumed.end
    assert losses(resumed) == {at: pair for at, pair in losses(whole).items() if at > step}
    for file in ("adapter_model.safetensors", "adapter_config.json"):
        assert (resumed.outputs / "adapter" / file).read_bytes() == (whole.outputs / "adapter" / file).read_bytes()
    last = [made.folder.parent.parent / "checkpoints" / f"a{n}-s{STEPS}" for n, made in ((1, whole), (2, resumed))]
    assert load_file(str(last[0] / FILE)).keys() == load_file(str(last[1] / FILE)).keys()


def test_that_phases_that_leave_no_step_are_refused_before_the_start_and_when_steps_are_known():
    def codes(tuner, training):
        document = {
            "name": "a", "model": {"path": "demo"}, "data": {"train": [{"path": "x"}]}, "tuner": tuner,
            "training": training,
        }  # fmt: skip
        return {(problem.code, problem.field) for problem in check_document(document)[1]}

    kind = {"kind": "adalora"}
    assert codes({**kind, "tinit": 5, "tfinal": 5}, {"max_steps": 10}) == {("config.adalora_steps", "tuner.tfinal")}
    assert codes({**kind, "tinit": 7}, {"max_steps": 10}) == {("config.adalora_steps", "tuner.tinit")}
    assert codes({**kind, "tinit": 4, "tfinal": 5}, {"max_steps": 10}) == set()
    assert codes({**kind, "rank": 8, "target_rank": 8}, {}) == {("config.adalora_rank", "tuner.target_rank")}
    assert codes({**kind, "tinit": -1, "tfinal": 50}, {"max_steps": 10}) == {("config.too_small", "tuner.tinit")}
    assert codes({"kind": "lora", "tinit": 50}, {"max_steps": 10}) == set()
    config = TunerConfig(kind="adalora", rank=6, target_rank=2, tinit=5, tfinal=5)
    with pytest.raises(UserError) as refused:
        Allocation(apply_tuner(tiny.make_model(), config), config, 10)
    assert refused.value.code == "config.adalora_steps"
    flat = TunerConfig(kind="adalora", rank=2, target_rank=2)
    with pytest.raises(UserError) as refused:
        Allocation(apply_tuner(tiny.make_model(), flat), flat, 10)
    assert refused.value.code == "config.adalora_rank"
