"""The loss: computed at trained positions only, and the same as the whole one."""

import pytest
import tiny
import torch
from torch.nn.functional import pad

from engine.compute.training.batches import IGNORED
from engine.compute.training.loss import keeps_selected_logits, next_token_targets, summed_loss

KINDS = ["qwen3", "llama", "gemma2", "gpt2"]


def make_batch(seed: int = 0, rows: int = 3, width: int = 24) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 256, (rows, width), generator=generator)
    labels = torch.where(torch.rand(rows, width, generator=generator) < 0.3, ids, IGNORED)
    labels[0] = IGNORED  # a row in which nothing is learned
    labels[1, -5:] = IGNORED
    return {"input_ids": ids, "labels": labels}


@pytest.mark.parametrize("kind", KINDS)
def test_that_selected_logits_give_the_loss_and_gradient_of_all_logits(kind):
    batch = make_batch()
    results = []
    for selective in (True, False):
        model = tiny.make_model(kind)
        assert keeps_selected_logits(model)
        loss = summed_loss(model, batch, selective)
        loss.backward()
        gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        results.append((loss.detach(), gradient))
    torch.testing.assert_close(results[0][0], results[1][0], rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_that_the_loss_is_the_one_transformers_computes(kind):
    model, batch = tiny.make_model(kind).eval(), make_batch(1)
    mask, targets = next_token_targets(batch["labels"])
    ours = summed_loss(model, batch, selective=True) / targets.numel()
    theirs = model(**batch).loss
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    assert mask.sum() == targets.numel()


@pytest.mark.parametrize("kind", KINDS)
def test_that_filling_at_the_right_changes_nothing(kind):
    model, batch = tiny.make_model(kind).eval(), make_batch(2)
    wider = {
        "input_ids": pad(batch["input_ids"], (0, 8), value=7),
        "labels": pad(batch["labels"], (0, 8), value=-100),
    }
    torch.testing.assert_close(summed_loss(model, wider, True), summed_loss(model, batch, True), rtol=1e-5, atol=1e-4)


def test_that_a_model_without_logits_to_keep_falls_back():
    inner = tiny.make_model("qwen3")

    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.config = inner, inner.config

        def forward(self, input_ids, use_cache=None):
            return self.inner(input_ids=input_ids, use_cache=use_cache)

    plain, batch = Plain(), make_batch(3)
    assert not keeps_selected_logits(plain)
    torch.testing.assert_close(summed_loss(plain, batch, False), summed_loss(inner, batch, True))


def test_that_a_model_that_ignores_the_choice_is_found_out():
    inner = tiny.make_model("qwen3")

    class Deaf(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.config = inner, inner.config

        def forward(self, input_ids, logits_to_keep=0, use_cache=None):
            return self.inner(input_ids=input_ids, use_cache=use_cache)

    assert not keeps_selected_logits(Deaf())


def test_that_a_batch_in_which_nothing_is_learned_has_no_loss_but_a_gradient():
    model, batch = tiny.make_model(), make_batch()
    batch["labels"][:] = IGNORED
    loss = summed_loss(model, batch, True)
    loss.backward()
    assert loss.item() == 0.0
    assert all(p.grad is not None and not p.grad.any() for p in model.parameters())
