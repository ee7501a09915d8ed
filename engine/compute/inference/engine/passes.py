"""One pass of the model over some rows: their tokens go in, the logits of each row's last one come out."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from engine.compute.inference.engine.blocks import BlockPool
from engine.compute.inference.engine.paged import PagedCache, Row, Step, plan, sliding
from engine.contract.errors import UserError

if TYPE_CHECKING:  # it maps files by pyarrow, which starts a thread when it is imported
    from engine.compute.lora.manager import LoRAManager


Adapters = tuple[tuple[str, float], ...]
OLD = frozenset(("bloom", "gpt_neox_japanese", "openai-gpt"))
"""Models whose attention takes no mask of ours, or keeps nothing at all."""
REMEMBERED = 256
"""Sets of adapters of which it is known that they go one by one."""
TRIED = 5
"""Tokens of the pass that shows whether the head alone gives the model's own logits."""


def foreign(config: Any) -> set[str]:
    """What of a model's layers cannot be asked with rows of several lengths side by side."""
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"]) - {"full_attention", "sliding_attention"}
    if "local" in (getattr(config, "attention_layers", None) or ()):  # it counts from the longest row's end
        kinds.add("local attention")
    if getattr(config, "alibi", False) is True:  # it wants to see which tokens are filling
        kinds.add("alibi")
    return kinds | ({config.model_type} & OLD)


class Passes:
    """Of one model, with the cache of its keys and values."""

    def __init__(self, model: Any, pool: BlockPool, adapters: LoRAManager | None = None) -> None:
        self.model, self.pool, self.adapters = model.eval(), pool, adapters
        config = model.config.get_text_config()
        kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
        if unknown := foreign(config):
            raise UserError(
                "inference.architecture", architecture=type(model).__name__, kinds=", ".join(sorted(unknown))
            )
        self._by_kind = "sliding_attention" in kinds and "full_attention" in kinds
        window = getattr(config, "sliding_window", None)
        alike = kinds == {"sliding_attention"} or getattr(config, "layer_types", None) is None
        switched = getattr(config, "use_sliding_window", True)
        self._window: int | None = int(window) if window and switched and (self._by_kind or alike) else None
        self._adds = getattr(config, "_attn_implementation", "sdpa") == "eager"
        self._dtype: torch.dtype = model.get_input_embeddings().weight.dtype
        self.cache = PagedCache(pool, model.config)
        self.device = next(model.parameters()).device
        self._backbone, self._head = model.get_decoder(), model.get_output_embeddings()
        self._apart = self._head_alone()
        self._unmixed = set[frozenset[Adapters]]()
        """Sets of adapters that go one by one."""

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def logits(
        self, rows: Sequence[Row], tokens: Sequence[Sequence[int]], adapters: Sequence[Adapters]
    ) -> torch.Tensor:
        """[rows, words] of each row's last token.

        Where a module is given all rows' tokens in one line, as some mixtures of experts do, adapters cannot be told
        apart in it: these rows go adapter by adapter.
        """
        wanted = frozenset(adapters)
        if len(wanted) > 1 and wanted not in self._unmixed:
            try:
                return self._together(rows, tokens, adapters)
            except UserError as error:
                if error.code != "lora.rows":
                    raise
            if len(self._unmixed) >= REMEMBERED:
                self._unmixed.clear()
            self._unmixed.add(wanted)
        if len(wanted) <= 1:
            return self._together(rows, tokens, adapters)
        places = {one: [at for at, own in enumerate(adapters) if own == one] for one in dict.fromkeys(adapters)}
        parts = [
            self._together([rows[at] for at in mine], [tokens[at] for at in mine], [one] * len(mine))
            for one, mine in places.items()
        ]
        order = torch.tensor([at for mine in places.values() for at in mine], device=self.device)
        return torch.cat(parts)[order.argsort()]

    def _together(
        self, rows: Sequence[Row], tokens: Sequence[Sequence[int]], adapters: Sequence[Adapters]
    ) -> torch.Tensor:
        """In one pass."""
        step = plan(rows, self.pool.size, self.device)
        ids = torch.zeros((len(rows), step.width), dtype=torch.long)
        for number, mine in enumerate(tokens):
            ids[number, : len(mine)] = torch.tensor(mine)
        last = torch.tensor([row.count - 1 for row in rows], device=self.device)
        with self._at_work(adapters):
            return self._pass(ids.to(self.device), step, last, mixed=len(set(adapters)) > 1)

    def close(self) -> None:
        """Nothing is held beside the model."""

    def _pass(self, ids: torch.Tensor, step: Step, last: torch.Tensor, mixed: bool) -> torch.Tensor:
        self.cache.step = step
        given: dict[str, Any] = {
            "input_ids": ids, "attention_mask": self._mask(step), "position_ids": step.positions,
            "past_key_values": self.cache, "use_cache": True,
        }  # fmt: skip
        rows = torch.arange(len(ids), device=self.device)
        try:
            if not self._apart:
                whole: torch.Tensor = self.model(**given).logits
                return whole[rows, last]
            hidden = self._backbone(**given).last_hidden_state
            # 2-D and contiguous: of a view into three dimensions torch copies the head's weight at each step in bf16
            ends = hidden[rows, last].contiguous()
            if not mixed:
                found: torch.Tensor = self._head(ends)
                return found
            each: torch.Tensor = self._head(ends.unsqueeze(1))  # the rows' own adapters want [rows, tokens, numbers]
            return each.squeeze(1)
        finally:
            self.cache.step = None

    def _mask(self, step: Step) -> Any:
        mask = step.mask
        if self._adds and mask is None:  # nobody fills in there what was left out
            seen = torch.arange(step.length, device=self.device)
            mask = (seen <= step.positions.unsqueeze(2)).unsqueeze(1)
        if self._window is None or step.length <= self._window:
            near = mask
        else:
            near = sliding(mask, step, self._window)
        if not self._by_kind:
            return self._as_added(near)
        return {"full_attention": self._as_added(mask), "sliding_attention": self._as_added(near)}

    def _as_added(self, mask: torch.Tensor | None) -> torch.Tensor | None:
        """What plain attention adds to its scores, where that is the model's; else which tokens are seen."""
        if mask is None or not self._adds:
            return mask
        return torch.zeros_like(mask, dtype=self._dtype).masked_fill_(~mask, torch.finfo(self._dtype).min)

    def _at_work(self, adapters: Sequence[Adapters]) -> Any:
        """Each row its own adapter; blends only where all rows have the same."""
        if self.adapters is None:
            return contextlib.nullcontext()
        if len(set(adapters)) == 1:
            return self.adapters.request(dict(adapters[0]))
        return self.adapters.request(rows=[one[0][0] if one else None for one in adapters])

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def _head_alone(self) -> bool:
        """Whether the head over the last hidden state is all the model does at its end."""
        if self._head is None or self._backbone is self.model:
            return False
        ids = torch.arange(1, 1 + TRIED, device=self.device).unsqueeze(0) % self._head.weight.shape[0]
        with self._at_work([()]):
            whole = self.model(input_ids=ids, use_cache=False).logits[0, -1]
            found = self._head(self._backbone(input_ids=ids, use_cache=False).last_hidden_state[0, -1])
        return bool(torch.allclose(whole.float(), found.float(), rtol=1e-3, atol=1e-3))
