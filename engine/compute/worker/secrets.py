"""What this worker was told in confidence: read once, and gone from the disk before anything else happens."""

from __future__ import annotations

import logging

from pydantic import ValidationError

from engine.contract import logs
from engine.contract.paths import AttemptFolder
from engine.contract.secrets import GivenSecrets

log = logging.getLogger("worker")
MAX_BYTES = 65_536


def take_secrets(folder: AttemptFolder) -> GivenSecrets:
    """The secrets beside the order; none where there are none. The file is removed first, used then."""
    try:
        data = folder.secrets.read_bytes()
        folder.secrets.unlink()
        secrets = GivenSecrets.model_validate_json(data[:MAX_BYTES])
    except FileNotFoundError:
        return GivenSecrets()
    except (OSError, ValidationError) as error:
        log.error("What the controller told in confidence cannot be read (%s)", type(error).__name__)
        return GivenSecrets()
    for name in type(secrets).model_fields:
        value = secrets.plain(name)
        logs.hide(value, value.partition(":")[2] if name == "proxy" else "")
    return secrets
