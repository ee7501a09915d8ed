"""All rules in their order: what the worker itself made sure of, then the special before the general.

The order matters only where several rules find something in one log; each such pair is named by `over`, and a test
holds the order to it.
"""

from __future__ import annotations

from engine.control.jobs.diagnosis.adapters import ADAPTERS
from engine.control.jobs.diagnosis.cuda import CUDA
from engine.control.jobs.diagnosis.data_rules import DATA
from engine.control.jobs.diagnosis.files import FILES
from engine.control.jobs.diagnosis.hubs import HUBS
from engine.control.jobs.diagnosis.memory import MEMORY
from engine.control.jobs.diagnosis.models import MODELS
from engine.control.jobs.diagnosis.nodes import NODES
from engine.control.jobs.diagnosis.packages import PACKAGES
from engine.control.jobs.diagnosis.rule import Rule
from engine.control.jobs.diagnosis.several import SEVERAL
from engine.control.jobs.diagnosis.torch_rules import TORCH

RULES: tuple[Rule, ...] = (
    *DATA,
    *TORCH,
    *ADAPTERS,
    *MODELS,
    *SEVERAL,
    *NODES,
    *CUDA,
    *MEMORY,
    *HUBS,
    *PACKAGES,
    *FILES,
)
