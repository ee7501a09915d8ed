"""Packages that only some choices need: which, what is imported, and what pip installs it by."""

from __future__ import annotations

from collections.abc import Mapping

from engine.contract.acceleration import ATTENTION, LIGER
from engine.contract.members import DEEPSPEED, ZERO_STAGES
from engine.contract.optimizers import OPTIMIZERS
from engine.contract.push import PUSHERS
from engine.contract.tuners import QUANTISERS

Package = tuple[str, str]
"""What is imported, and what pip is given."""
NEEDS: Mapping[str, Mapping[str, Package]] = {
    "training.optimizer": {name: (one.package, one.install) for name, one in OPTIMIZERS.items() if one.package},
    "training.liger": {"true": LIGER},
    "model.attention": ATTENTION,
    "model.quantisation": {name: (package, package) for name, package in QUANTISERS.items()},
    "compute.strategy": dict.fromkeys(ZERO_STAGES, DEEPSPEED),
    "outputs.push.hub": {name: (package, package.replace("_", "-")) for name, package in PUSHERS.items()},
    "backend": {"llama_cpp": ("llama_cpp", "llama-cpp-python")},
}
"""By setting, of a run config or of an instance, and value."""
MODULES = frozenset(package for values in NEEDS.values() for package, _ in values.values())
