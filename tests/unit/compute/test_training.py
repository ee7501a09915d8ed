"""Training against plain transformers and peft: the same batches give the same losses."""

import pytest
import tiny
import torch
from transformers import AutoModelForCausalLM, PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from engine.compute.data.pool import RowPool
from engine.compute.data.rows import Example
from engine.compute.data.templates import choose_template
from engine.compute.data.tokenise import Tokeniser
from engine.compute.training.batches import BatchLoader
from engine.compute.training.callbacks import Watch
from engine.compute.training.precision import Precision
from engine.compute.training.trainer import ForgeTrainer, arguments, planned_steps, train
from engine.compute.training.tuners import apply_tuner, check_targets
from engine.contract.errors import UserError
from engine.contract.training import TrainingConfig
from engine.contract.tuner import TunerConfig

CPU = torch.device("cpu")


def make_pool(tokenizer, rows=36) -> RowPool:
    examples = [Example(turns=tuple(row["messages"])) for row in tiny.make_rows(rows)]
    pool = RowPool(Tokeniser(choose_template(tokenizer, "auto"), 200), [(examples, 1.0)], seed=1)
    pool.prepare(lambda done: None)
    return pool


def make_loader(tokenizer, config: TrainingConfig, rows=36) -> BatchLoader:
    return BatchLoader(
        make_pool(tokenizer, rows), pad=257, size=config.micro_batch_size, seed=config.seed, by_length=True
    )


def our_losses(model, loader, config, precision, folder, stop_at=None) -> list[dict[str, float]]:
    points: list[dict[str, float]] = []
    watch = Watch(
        lambda step, epoch, values: points.append({"step": step, "epoch": epoch, **values}),
        lambda step, values: None,
        lambda: stop_at is not None and len(points) + 1 >= stop_at,
    )
    steps = planned_steps(config, len(loader))
    args = arguments(config, steps, precision, CPU, folder, validates=False)
    train(ForgeTrainer(model=model, args=args, loader=loader, validation=[], watch=watch))
    return points


class Recorder(TrainerCallback):
    def __init__(self):
        self.points = []

    def on_log(self, args, state, control, logs=None, **rest):
        if "loss" in logs:
            self.points.append(dict(logs))


def plain_losses(model, loader, config, precision, folder) -> list[dict[str, float]]:
    """transformers' own Trainer, its own loss and dataloader, on the same rows in the same order."""
    batches = [batch for epoch in range(4) for batch in (loader.set_epoch(epoch), list(loader))[1]]
    flat = [{"rows": batch} for batch in batches]

    def collate(items):
        batch = items[0]["rows"]
        return {**batch, "attention_mask": (batch["input_ids"] != 257).long()}

    args = TrainingArguments(
        output_dir=str(folder),
        max_steps=planned_steps(config, len(loader)),
        per_device_train_batch_size=1,
        gradient_accumulation_steps=config.accumulation,
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=1,
        max_grad_norm=config.max_grad_norm,
        weight_decay=config.weight_decay,
        seed=config.seed,
        bf16=precision.arithmetic == "bf16",
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        remove_unused_columns=False,
        train_sampling_strategy="sequential",
    )
    recorder = Recorder()
    trainer = Trainer(model=model, args=args, train_dataset=flat, data_collator=collate, callbacks=[recorder])
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return recorder.points


def make_lora(model):
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(7)
    return get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules="all-linear"))


def ours(model, kind):
    torch.manual_seed(7)
    return apply_tuner(model, TunerConfig(kind=kind, rank=4, alpha=8))


@pytest.mark.parametrize(
    ("kind", "arithmetic", "tolerance"), [("lora", "fp32", 1e-4), ("full", "fp32", 1e-4), ("lora", "bf16", 3e-2)]
)
def test_that_losses_are_those_of_transformers_and_peft(tmp_path, tokenizer, kind, arithmetic, tolerance):
    config = TrainingConfig(
        micro_batch_size=4,
        accumulation=2,
        max_steps=8,
        learning_rate=5e-3,
        warmup_share=0.125,
        seed=3,
        weight_decay=0.1,
    )
    precision = Precision(arithmetic, "fp32", "training.precision_given")
    loader = make_loader(tokenizer, config, rows=32)
    theirs_model = make_lora(tiny.make_model()) if kind == "lora" else tiny.make_model()
    theirs = plain_losses(theirs_model, make_loader(tokenizer, config, rows=32), config, precision, tmp_path)
    found = our_losses(ours(tiny.make_model(), kind), loader, config, precision, tmp_path)
    assert [point["step"] for point in found] == list(range(1, 9))
    for mine, other in zip(found, theirs, strict=True):
        assert mine["loss"] == pytest.approx(other["loss"], rel=tolerance)
        assert mine["grad_norm"] == pytest.approx(other["grad_norm"], rel=10 * tolerance)
        assert mine["learning_rate"] == pytest.approx(other["learning_rate"])
    assert found[-1]["loss"] < found[0]["loss"]


def test_that_the_same_seed_gives_the_same_losses_with_dropout(tmp_path, tokenizer):
    config = TrainingConfig(micro_batch_size=4, max_steps=4, learning_rate=5e-3)
    precision = Precision("fp32", "fp32", "training.precision_given")

    def losses():
        torch.manual_seed(7)
        model = apply_tuner(tiny.make_model(), TunerConfig(rank=4, dropout=0.2))
        return [p["loss"] for p in our_losses(model, make_loader(tokenizer, config), config, precision, tmp_path)]

    assert losses() == losses()


def test_that_gradient_checkpointing_changes_no_loss(tmp_path, tokenizer):
    precision = Precision("fp32", "fp32", "training.precision_given")

    def losses(checkpointing):
        config = TrainingConfig(micro_batch_size=4, max_steps=3, gradient_checkpointing=checkpointing)
        model = ours(tiny.make_model(), "lora")
        return [p["loss"] for p in our_losses(model, make_loader(tokenizer, config), config, precision, tmp_path)]

    assert losses(True) == pytest.approx(losses(False), rel=1e-5)


def test_that_accumulation_equals_one_large_batch(tmp_path, tokenizer):
    precision = Precision("fp32", "fp32", "training.precision_given")

    def losses(size, accumulation):
        config = TrainingConfig(
            micro_batch_size=size, accumulation=accumulation, max_steps=3, group_by_length=False, learning_rate=5e-3
        )
        loader = BatchLoader(make_pool(tokenizer), pad=257, size=size, seed=1, by_length=False)
        return [p["loss"] for p in our_losses(ours(tiny.make_model(), "lora"), loader, config, precision, tmp_path)]

    assert losses(4, 3) == pytest.approx(losses(12, 1), rel=1e-4)


def test_that_points_are_means_over_log_every_steps_and_the_last_step_is_told(tmp_path, tokenizer):
    precision = Precision("fp32", "fp32", "training.precision_given")

    def points(every):
        config = TrainingConfig(micro_batch_size=4, max_steps=7, log_every=every)
        return our_losses(ours(tiny.make_model(), "lora"), make_loader(tokenizer, config), config, precision, tmp_path)

    single, means = points(1), points(3)
    assert [point["step"] for point in means] == [3, 6, 7]
    assert means[0]["loss"] == pytest.approx(sum(p["loss"] for p in single[:3]) / 3, rel=1e-5)
    assert means[-1]["tokens_seen"] == single[-1]["tokens_seen"]
    wanted = {"loss", "learning_rate", "grad_norm", "tokens_per_second", "samples_per_second", "step_seconds"}
    assert wanted | {"data_wait_seconds", "tokens_seen"} <= set(means[0])


def test_that_a_loss_that_is_not_finite_ends_training(tmp_path, tokenizer):
    config = TrainingConfig(micro_batch_size=4, max_steps=5)
    model = ours(tiny.make_model(), "lora")
    with torch.no_grad():
        model.get_input_embeddings().weight.fill_(float("nan"))
    precision = Precision("fp32", "fp32", "training.precision_given")
    with pytest.raises(UserError, match="nan at step 1"):
        our_losses(model, make_loader(tokenizer, config), config, precision, tmp_path)


def test_that_an_adapter_holds_what_was_trained(tmp_path, tokenizer):
    from peft import PeftModel

    config = TrainingConfig(micro_batch_size=4, max_steps=3, learning_rate=1e-2)
    precision = Precision("fp32", "fp32", "training.precision_given")
    model = ours(tiny.make_model(), "lora")
    our_losses(model, make_loader(tokenizer, config), config, precision, tmp_path)
    model.save_pretrained(str(tmp_path / "adapter"), save_embedding_layers=False)
    again = PeftModel.from_pretrained(tiny.make_model(), str(tmp_path / "adapter"))
    ids = torch.arange(20)[None]
    torch.testing.assert_close(again.eval()(input_ids=ids).logits, model.eval()(input_ids=ids).logits)
    assert not list((tmp_path / "adapter").glob("*.bin"))


def test_that_an_unknown_target_names_its_neighbours():
    with pytest.raises(UserError, match=r"'q_prj'.*Did you mean q_proj"):
        check_targets(["q_prj", "v_proj"], tiny.make_model())
    assert check_targets(["q_proj", "layers.0.mlp.up_proj"], tiny.make_model()) == ["q_proj", "layers.0.mlp.up_proj"]


@pytest.mark.parametrize("kind", ["llama", "gemma2", "gpt2"])
def test_that_lora_finds_all_linear_layers_of_other_architectures(kind):
    model = ours(tiny.make_model(kind), "lora")
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    assert not any("lm_head" in name for name in trained)


def test_that_full_training_trains_every_weight():
    model = apply_tuner(AutoModelForCausalLM.from_config(tiny.make_model().config), TunerConfig(kind="full"))
    assert all(p.requires_grad for p in model.parameters())


def test_that_rows_tokenised_while_training_give_the_same_batches(tokenizer, monkeypatch):
    from engine.compute.data import pool as module

    config = TrainingConfig(micro_batch_size=4)
    examples = [Example(turns=tuple(row["messages"])) for row in tiny.make_rows(50)]
    lazy_batches = []
    for limit in (10, 10_000):
        monkeypatch.setattr(module, "EAGER_ROWS", limit)
        monkeypatch.setattr(module, "PROBE_ROWS", 5)
        pool = RowPool(Tokeniser(choose_template(tokenizer, "auto"), 200), [(examples, 1.0)], seed=1)
        pool.prepare(lambda done: None)
        pool.lengths = pool.lengths * 0 + 1  # characters and tokens sort alike
        loader = BatchLoader(pool, pad=257, size=config.micro_batch_size, seed=1, by_length=True)
        assert pool.lazy == (limit == 10)
        lazy_batches.append([batch["input_ids"].tolist() for batch in loader])
    assert lazy_batches[0] == lazy_batches[1]
    assert len(lazy_batches[0]) == 13
