"""Every text the engine can say, in English, by code: what happened, why, and what to do.

Each room has its file here. A code never changes its meaning: translations and diagnosis rules point at it.
"""

from engine.contract.messages.adapter_start import ADAPTER_START
from engine.contract.messages.alerts import ALERTS
from engine.contract.messages.artifacts import ARTIFACTS
from engine.contract.messages.bad_input import BAD_INPUT
from engine.contract.messages.base import Message
from engine.contract.messages.config import CONFIG
from engine.contract.messages.controller import CONTROLLER
from engine.contract.messages.datasets_checks import DATASETS_CHECKS
from engine.contract.messages.datasets_desk import DATASETS_DESK
from engine.contract.messages.datasets_formats import DATASETS_FORMATS
from engine.contract.messages.datasets_import import DATASETS_IMPORT
from engine.contract.messages.datasets_library import DATASETS_LIBRARY
from engine.contract.messages.datasets_mix import DATASETS_MIX
from engine.contract.messages.datasets_xray import DATASETS_XRAY
from engine.contract.messages.desktop import DESKTOP
from engine.contract.messages.diagnosis import DIAGNOSIS
from engine.contract.messages.diagnosis_devices import DIAGNOSIS_DEVICES
from engine.contract.messages.diagnosis_libraries import DIAGNOSIS_LIBRARIES
from engine.contract.messages.docker import DOCKER
from engine.contract.messages.doctor import DOCTOR
from engine.contract.messages.fleet import FLEET
from engine.contract.messages.forensics import FORENSICS
from engine.contract.messages.gguf import GGUF
from engine.contract.messages.guards import GUARDS
from engine.contract.messages.heads import HEADS
from engine.contract.messages.house import HOUSE
from engine.contract.messages.hubs import HUBS
from engine.contract.messages.images import IMAGES
from engine.contract.messages.inference import INFERENCE
from engine.contract.messages.listing import LISTING
from engine.contract.messages.lora import LORA
from engine.contract.messages.members import MEMBERS
from engine.contract.messages.memory import MEMORY
from engine.contract.messages.nodes import NODES
from engine.contract.messages.placement import PLACEMENT
from engine.contract.messages.recovery import RECOVERY
from engine.contract.messages.rewards import REWARDS
from engine.contract.messages.sampling import SAMPLING
from engine.contract.messages.scratch import SCRATCH
from engine.contract.messages.serving import SERVING
from engine.contract.messages.stages import STAGES
from engine.contract.messages.teacher import TEACHER
from engine.contract.messages.tuners import TUNERS
from engine.contract.messages.unusual import UNUSUAL
from engine.contract.messages.worker import WORKER

MESSAGES: dict[str, Message] = {
    **ARTIFACTS,
    **CONFIG,
    **CONTROLLER,
    **WORKER,
    **RECOVERY,
    **DIAGNOSIS,
    **DIAGNOSIS_DEVICES,
    **DIAGNOSIS_LIBRARIES,
    **DESKTOP,
    **BAD_INPUT,
    **LISTING,
    **HOUSE,
    **HUBS,
    **PLACEMENT,
    **DOCKER,
    **MEMORY,
    **MEMBERS,
    **FORENSICS,
    **NODES,
    **DOCTOR,
    **IMAGES,
    **FLEET,
    **ALERTS,
    **DATASETS_LIBRARY,
    **DATASETS_IMPORT,
    **DATASETS_FORMATS,
    **DATASETS_CHECKS,
    **DATASETS_MIX,
    **DATASETS_DESK,
    **DATASETS_XRAY,
    **STAGES,
    **HEADS,
    **REWARDS,
    **INFERENCE,
    **ADAPTER_START,
    **SAMPLING,
    **SERVING,
    **GGUF,
    **UNUSUAL,
    **TEACHER,
    **SCRATCH,
    **TUNERS,
    **GUARDS,
    **LORA,
}

__all__ = ["MESSAGES", "Message"]
