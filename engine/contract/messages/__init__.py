"""Every text the engine can say, in English, by code: what happened, why, and what to do.

Each room has its file here. A code never changes its meaning: translations and diagnosis rules point at it.
"""

from engine.contract.messages.alerts import ALERTS
from engine.contract.messages.bad_input import BAD_INPUT
from engine.contract.messages.base import Message
from engine.contract.messages.config import CONFIG
from engine.contract.messages.controller import CONTROLLER
from engine.contract.messages.desktop import DESKTOP
from engine.contract.messages.diagnosis import DIAGNOSIS
from engine.contract.messages.docker import DOCKER
from engine.contract.messages.doctor import DOCTOR
from engine.contract.messages.fleet import FLEET
from engine.contract.messages.house import HOUSE
from engine.contract.messages.hubs import HUBS
from engine.contract.messages.images import IMAGES
from engine.contract.messages.listing import LISTING
from engine.contract.messages.nodes import NODES
from engine.contract.messages.placement import PLACEMENT
from engine.contract.messages.recovery import RECOVERY
from engine.contract.messages.worker import WORKER

MESSAGES: dict[str, Message] = {
    **CONFIG,
    **CONTROLLER,
    **WORKER,
    **RECOVERY,
    **DIAGNOSIS,
    **DESKTOP,
    **BAD_INPUT,
    **LISTING,
    **HOUSE,
    **HUBS,
    **PLACEMENT,
    **DOCKER,
    **NODES,
    **DOCTOR,
    **IMAGES,
    **FLEET,
    **ALERTS,
}

__all__ = ["MESSAGES", "Message"]
