"""Virtual tokens and single tokens: trained as peft does it, at the right places, and gone on with bit for bit."""

import pytest
import tiny
import torch
from helpers import Attempt
from test_resume import again, losses
from test_training import make_loader, our_losses
from test_tuners import FP32

from engine.compute.inference.generate import Generator
from engine.compute.training.loss import keeps_selected_logits, next_token_targets, summed_loss, trained_logits
from engine.compute.training.prompts import check_length, virtual_tokens
from engine.compute.training.reference import Reference
from engine.compute.training.tuners import apply_tuner
from engine.contract.config_file import check_document
from engine.contract.errors import UserError
from engine.contract.training import TrainingConfig
from engine.contract.tuner import TunerConfig

TRAINING = TrainingConfig(micro_batch_size=4, max_steps=5, learning_rate=1e-2, warmup_share=0.0)
CASES = [
    {"kind": "prompt_tuning"}, {"kind": "prompt_tuning", "prompt_init": "vocabulary"},
    {"kind": "prompt_tuning", "prompt_init": "text", "prompt_text": "say it"},
    {"kind": "prefix_tuning"}, {"kind": "prefix_tuning", "prefix_projection": True, "encoder_size": 12},
    {"kind": "p_tuning"}, {"kind": "p_tuning", "encoder": "lstm", "encoder_size": 12, "encoder_dropout": 0.2},
]  # fmt: skip


def config_of(**settings) -> TunerConfig:
    return TunerConfig.model_validate({"virtual_tokens": 6, **settings})


def by_peft_alone(tokenizer, tmp_path, case):
    """The same method by peft's own config, its own labels and its own loss."""
    import peft

    tokenizer.save_pretrained(tmp_path / "tokenizer")
    texts = {"prompt_tuning_init": "TEXT", "prompt_tuning_init_text": "say it",
             "tokenizer_name_or_path": str(tmp_path / "tokenizer")}  # fmt: skip
    start = {"text": texts, "vocabulary": {"prompt_tuning_init": "SAMPLE_VOCAB"}}.get(case.get("prompt_init"), {})
    common = {"task_type": "CAUSAL_LM", "num_virtual_tokens": 6}
    size = case.get("encoder_size", 32)
    forms = {
        "prompt_tuning": lambda: peft.PromptTuningConfig(**common, **start),
        "prefix_tuning": lambda: peft.PrefixTuningConfig(
            **common, encoder_hidden_size=size, prefix_projection=case.get("prefix_projection", False)
        ),
        "p_tuning": lambda: peft.PromptEncoderConfig(
            **common, encoder_hidden_size=size, encoder_reparameterization_type=case.get("encoder", "mlp").upper(),
            encoder_dropout=case.get("encoder_dropout", 0.0),
        ),
    }  # fmt: skip
    torch.manual_seed(7)
    return peft.get_peft_model(tiny.make_model(), forms[case["kind"]]())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_that_it_begins_and_counts_its_loss_as_peft_alone(tokenizer, tmp_path, case):
    torch.manual_seed(7)
    ours = apply_tuner(tiny.make_model(), config_of(**case), tokenizer=tokenizer).eval()
    theirs = by_peft_alone(tokenizer, tmp_path, case).eval()
    for name, tensor in theirs.prompt_encoder.state_dict().items():
        assert torch.equal(ours.prompt_encoder.state_dict()[name], tensor), name
    batch = next(iter(make_loader(tokenizer, TRAINING)))
    count = int((batch["labels"][:, 1:] != -100).sum())
    assert keeps_selected_logits(ours)
    for selective in (True, False):
        found = summed_loss(ours, batch, selective) / count
        assert float(found) == pytest.approx(float(theirs(**batch_of(batch)).loss), rel=1e-5)
    mask, _ = next_token_targets(batch["labels"])
    with torch.no_grad():
        chosen, full = (trained_logits(ours, batch["input_ids"], mask, selective) for selective in (True, False))
    assert torch.allclose(chosen, full, atol=1e-5)
    plain = tiny.make_model().eval()
    before = Reference(ours, False)(ours, lambda model: trained_logits(model, batch["input_ids"], mask, True))
    with torch.no_grad():
        assert torch.allclose(before, plain(input_ids=batch["input_ids"]).logits[mask], atol=1e-5)
    assert virtual_tokens(ours) == (0 if case["kind"] == "prefix_tuning" else 6)


def batch_of(batch):
    return {name: batch[name] for name in ("input_ids", "labels")}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_that_what_is_saved_says_what_was_learned(tokenizer, tmp_path, case):
    from peft import PeftModel

    torch.manual_seed(7)
    model = apply_tuner(tiny.make_model(), config_of(**case), tokenizer=tokenizer)
    ids = torch.arange(40).reshape(2, 20)
    before = model.eval()(input_ids=ids).logits.detach()
    points = our_losses(model, make_loader(tokenizer, TRAINING), TRAINING, FP32, tmp_path)
    assert len(points) == 5
    assert {name.split(".")[0] for name, one in model.named_parameters() if one.requires_grad} == {"prompt_encoder"}
    after = model.eval()(input_ids=ids).logits.detach()
    assert not torch.allclose(before, after, atol=1e-4)
    model.save_pretrained(str(tmp_path / "adapter"), save_embedding_layers=False)
    again = PeftModel.from_pretrained(tiny.make_model(), str(tmp_path / "adapter")).eval()
    with torch.no_grad():
        assert torch.allclose(again(input_ids=ids).logits, after, atol=1e-5)


RESUMED = [*CASES, {"kind": "trainable_tokens", "tokens": ["<|im_start|>", "e"]}]


@pytest.mark.parametrize("case", RESUMED, ids=str)
def test_that_it_goes_on_bit_for_bit(attempt, tmp_path, case):
    rows = tiny.write_jsonl(tmp_path / "rows.jsonl", tiny.make_rows(24))
    whole: Attempt = attempt(
        data={"train": [{"path": str(rows)}], "validation_share": 0.1},
        tuner={"virtual_tokens": 6, **case},
        training={"max_steps": 4, "micro_batch_size": 4, "learning_rate": 1e-2, "validate_every": 2},
        checkpoints={"every_minutes": None, "every_steps": 2, "keep_last": 100},
    )
    assert whole.run() == 0, whole.end
    assert not [line for line in whole.of("note") if line.code == "training.full_logits"]
    resumed = again(whole, 2)
    assert resumed.run() == 0, resumed.end
    assert losses(resumed) == {step: pair for step, pair in losses(whole).items() if step > 2}
    file = "adapter_model.safetensors"
    assert (resumed.outputs / "adapter" / file).read_bytes() == (whole.outputs / "adapter" / file).read_bytes()


@pytest.mark.parametrize("kind", ["prompt_tuning", "prefix_tuning", "p_tuning"])
def test_that_answers_are_the_likeliest_tokens_one_by_one(tokenizer, kind):
    torch.manual_seed(7)
    model = apply_tuner(tiny.make_model("llama"), config_of(kind=kind), tokenizer=tokenizer).eval()
    prompts = ["say one please", "say", "say two please"]
    found = Generator(model, tokenizer).answers(prompts, 8, lambda _done: None, lambda: None)
    for prompt, answer in zip(prompts, found, strict=True):
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        begin = len(ids)
        while len(ids) < begin + 8:
            with torch.no_grad():
                ids.append(int(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
            if ids[-1] == tokenizer.eos_token_id:
                ids.pop()
                break
        assert answer == tokenizer.decode(ids[begin:], skip_special_tokens=True)


@pytest.mark.parametrize("kind", ["prompt_tuning", "prefix_tuning", "p_tuning"])
def test_that_what_is_said_before_training_is_said_by_the_base_model(attempt, tmp_path, kind):
    asked = tiny.write_jsonl(tmp_path / "asked.jsonl", tiny.make_rows(6, begin=90))
    job = {"evaluation": {"data": [{"path": str(asked)}], "max_new_tokens": 6}}
    said = {}
    for name, tuner in (("lora", {"rank": 2}), ("virtual", {"kind": kind, "virtual_tokens": 6})):
        made: Attempt = attempt(name=name, tuner=tuner, **job)
        assert made.run() == 0, made.end
        said[name] = [(made.outputs / f"answers_{when}.jsonl").read_text() for when in ("before", "after")]
    assert said["virtual"][0] == said["lora"][0]
    assert said["virtual"][1] != said["virtual"][0]


def test_that_single_tokens_learn_and_no_others(tokenizer, tmp_path):
    from peft import PeftModel, TrainableTokensConfig, get_peft_model

    config = TunerConfig(kind="trainable_tokens", tokens=["<|im_start|>", "e"])
    model = apply_tuner(tiny.make_model(), config, tokenizer=tokenizer)
    numbers = sorted(tokenizer.convert_tokens_to_ids(["<|im_start|>", "e"]))
    theirs = get_peft_model(tiny.make_model(), TrainableTokensConfig(task_type="CAUSAL_LM", token_indices=numbers))
    found = {name: tuple(one.shape) for name, one in model.named_parameters() if one.requires_grad}
    assert found == {name: tuple(one.shape) for name, one in theirs.named_parameters() if one.requires_grad}
    ids = torch.arange(40).reshape(2, 20)
    before = model.eval()(input_ids=ids).logits.detach()
    assert torch.equal(before, tiny.make_model().eval()(input_ids=ids).logits.detach())
    our_losses(model, make_loader(tokenizer, TRAINING), TRAINING, FP32, tmp_path)
    table = model.eval().get_input_embeddings()(torch.arange(tiny.VOCABULARY))
    moved = (table != tiny.make_model().get_input_embeddings().weight).any(dim=1).nonzero().view(-1).tolist()
    assert moved == numbers
    after = model(input_ids=torch.tensor([numbers])).logits.detach()
    model.save_pretrained(str(tmp_path / "adapter"), save_embedding_layers=False)
    again = PeftModel.from_pretrained(tiny.make_model(), str(tmp_path / "adapter")).eval()
    assert torch.allclose(again(input_ids=torch.tensor([numbers])).logits, after, atol=1e-6)


def test_that_what_is_no_single_token_is_refused_with_its_pieces(tokenizer):
    with pytest.raises(UserError) as refused:
        apply_tuner(tiny.make_model(), TunerConfig(kind="trainable_tokens", tokens=["abc"]), tokenizer=tokenizer)
    assert refused.value.code == "config.token_not_single"
    assert refused.value.params["pieces"] == "a · b · c"
    tokenizer.add_tokens(["<new>", "<newer>"])
    with pytest.raises(UserError) as refused:
        apply_tuner(tiny.make_model(), TunerConfig(kind="trainable_tokens", tokens=["<newer>"]), tokenizer=tokenizer)
    assert refused.value.code == "config.token_no_row"


def test_that_virtual_tokens_must_fit_into_the_context():
    model = tiny.make_model()
    check_length(model, config_of(kind="prompt_tuning"), 506)
    with pytest.raises(UserError) as refused:
        check_length(model, config_of(kind="prompt_tuning"), 507)
    assert refused.value.params["rest"] == 506


@pytest.mark.parametrize(("tuner", "more", "code"), [
    ({"kind": "prompt_tuning", "prompt_init": "text"}, {}, "config.prompt_text"),
    ({"kind": "trainable_tokens"}, {}, "config.tokens_needed"),
    ({"kind": "prefix_tuning"}, {"training": {"gradient_checkpointing": True}}, "config.prefix_checkpointing"),
    ({"kind": "p_tuning"}, {"stage": "reward"}, "config.tuner_for_stage"),
    ({"kind": "p_tuning"}, {"stage": "grpo"}, "config.tuner_for_stage"),
    ({"kind": "p_tuning", "virtual_tokens": 0}, {}, "config.too_small"),
    ({"kind": "p_tuning"}, {"training": {"gradient_checkpointing": True}}, ""),
    ({"kind": "prefix_tuning"}, {"stage": "dpo"}, ""),
])  # fmt: skip
def test_that_what_does_not_go_together_is_refused_before_the_start(tuner, more, code):
    document = {"name": "a", "model": {"path": "demo"}, "data": {"train": [{"path": "x"}]}, "tuner": tuner, **more}
    found = {problem.code for problem in check_document(document)[1]}
    assert code in found if code else found == set()


def test_that_gradient_checkpointing_changes_nothing(tokenizer, tmp_path):
    def trained(checkpointing: bool) -> list[float]:
        torch.manual_seed(7)
        model = apply_tuner(tiny.make_model(), config_of(kind="prompt_tuning"), tokenizer=tokenizer)
        training = TRAINING.model_copy(update={"gradient_checkpointing": checkpointing})
        points = our_losses(model, make_loader(tokenizer, training), training, FP32, tmp_path)
        return [point["loss"] for point in points]

    assert trained(True) == pytest.approx(trained(False), rel=1e-5)
