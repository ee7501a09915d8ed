"""Putting adapters on a model and taking them off: classes of its modules are swapped, no weight is copied or moved."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from engine.compute.lora.adapter import Adapter, Factors
from engine.compute.lora.digests import digest_of
from engine.compute.lora.linear import Switch, adapted
from engine.compute.lora.plans import BASE, Part, Selection, Site, select
from engine.contract.errors import Problem, Refused, UserError


class Host:
    """A base model whose modules may carry adapters."""

    def __init__(self, model: torch.nn.Module, base_hash: str = "") -> None:
        self.model, self.base_hash = model, base_hash
        self.switch = Switch()
        self.sites = dict[str, Site]()
        self._modules = dict(model.named_modules())
        self._hooks = list[Any]()

    def inject(self, adapter: Adapter) -> None:
        """Take over the modules it changes; refused whole if it does not fit. Again is the same as once."""
        wanted = [path for path in (*adapter.modules, *adapter.whole) if path not in self.sites]
        self.check(adapter)
        if not self._hooks:
            self._pin_whole_passes()
        for path in wanted:
            if path in self.sites:
                continue
            module = self._modules[path]
            site = Site(len(self.sites), path, module, type(module))
            module.__dict__["_lora_switch"], module.__dict__["_lora_place"] = self.switch, site.place
            module.__class__ = adapted(site.kind)
            self.sites[path] = site

    def check(self, adapter: Adapter) -> None:
        """Refuse an adapter of another base, with every module that does not fit."""
        card = adapter.card
        if card.base_hash and self.base_hash and card.base_hash != self.base_hash:
            name = card.base_model or card.base_hash[:12]
            raise UserError("lora.foreign_base", name=card.name, wanted=name, found=self.base_hash[:12])
        problems = [problem for path, one in adapter.modules.items() for problem in self._problems(path, one)]
        for path, parameters in adapter.whole.items():
            problems += self._problems_of_whole(path, parameters)
        if problems:
            raise Refused("lora.unfit", name=card.name, count=len(problems), problems=problems)

    def remove(self) -> None:
        """The model as it was."""
        self.switch.default = BASE
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        for site in self.sites.values():
            site.module.__class__ = site.kind
            own = site.module.__dict__
            del own["_lora_switch"], own["_lora_place"]
        self.sites.clear()

    def select(self, parts: Sequence[Part], rows: Sequence[int] | None = None) -> Selection:
        """What these adapters do together; they are injected already."""
        with torch.no_grad():
            return select(self.sites, parts, rows)

    def gains(self, adapter: Adapter) -> dict[str, torch.Tensor]:
        """DoRA's factors by module: magnitude / norm of each output's weights with the change in them."""
        return {path: self._gain(path, one) for path, one in adapter.modules.items() if one.magnitude is not None}

    def _gain(self, path: str, one: Factors) -> torch.Tensor:
        weight: Any = self._modules[path].weight
        assert one.magnitude is not None
        changed = one.delta().to(weight.device)
        changed += weight.detach()  # in fp32: a norm of half-precision numbers has their few digits
        norm = torch.linalg.norm(changed.T if one.embedding else changed, dim=1)
        return one.magnitude.to(norm.device) / norm.to(one.magnitude.dtype)

    def _pin_whole_passes(self) -> None:
        """A pass that has begun ends with the adapters it began with, whoever switches meanwhile."""
        switch, state, depth = self.switch, self.switch.state, "_passes"

        def begin(*_: Any) -> None:
            if state.pinned is None:
                state.pinned = switch.default
                state.__dict__[depth] = True

        def end(*_: Any) -> None:
            state.forget()
            if state.__dict__.pop(depth, False):
                state.pinned = None

        self._hooks.append(self.model.register_forward_pre_hook(begin))
        self._hooks.append(self.model.register_forward_hook(end, always_call=True))

    def _problems(self, path: str, one: Factors) -> Iterator[Problem]:
        module: Any = self._modules.get(path)
        if module is None:
            yield self._missing(path)
            return
        kind = torch.nn.Embedding if one.embedding else torch.nn.Linear
        weight: Any = getattr(module, "weight", None)
        if not isinstance(module, kind) or (one.magnitude is not None and not weight.is_floating_point()):
            params = {"module": path, "kind": type(module).__name__}
            yield Problem(code="lora.module_kind", field=path, params=params)
            return
        have = (module.embedding_dim, module.num_embeddings) if one.embedding else _sides(module)
        wanted = (one.b.shape[0], one.a.shape[1])
        vectors = [len(vector) for vector in (one.magnitude, one.bias) if vector is not None]
        if have != wanted or any(length != have[0] for length in vectors):
            params = {"module": path, "have": str(list(have)), "wanted": str(list(wanted))}
            yield Problem(code="lora.module_shape", field=path, params=params)

    def _problems_of_whole(self, path: str, parameters: dict[str, torch.Tensor]) -> Iterator[Problem]:
        module = self._modules.get(path)
        if module is None:
            yield self._missing(path)
            return
        for name, tensor in parameters.items():
            before = module._parameters.get(name, module._buffers.get(name))
            if before is not None and before.shape != tensor.shape:
                params = {
                    "module": f"{path}.{name}",
                    "have": str(list(before.shape)),
                    "wanted": str(list(tensor.shape)),
                }
                yield Problem(code="lora.module_shape", field=path, params=params)
            elif name not in module._parameters and name not in module._buffers:
                yield self._missing(f"{path}.{name}")

    def _missing(self, path: str) -> Problem:
        near = difflib.get_close_matches(path, self._modules, n=1)
        params = {"module": path, "near": near[0] if near else ""}
        return Problem(code="lora.module_missing", field=path, params=params)


def _sides(module: Any) -> tuple[int, int]:
    return int(module.out_features), int(module.in_features)


def base_hash(folder: Path) -> str:
    """The hash of a base model's weights, as a card names it."""
    whole = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        whole.update(f"{path.name} {digest_of(path)}\n".encode())
    return whole.hexdigest()
