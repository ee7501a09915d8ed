"""What is to be said of the place where what runs made lies a second time."""

from engine.contract.messages.base import Message

ARTIFACTS: dict[str, Message] = {
    "settings.artifact_place": Message(
        "", "'{value}' is no place for artefacts.", "Write a folder's whole path, or s3://bucket/prefix."
    ),
    "settings.artifact_endpoint": Message(
        "", "'{value}' is no address of an S3 service.", "Write it as https://host:port."
    ),
    "secret.artifacts_form": Message(
        "The keys were not kept.", "They have another form.", "Write them as ACCESS_KEY:SECRET_KEY."
    ),
    "artifacts.no_place": Message(
        "There is no place for artefacts.",
        "The settings name none.",
        "Name one: `forge settings --artifact-place s3://bucket/prefix`, or a folder.",
    ),
    "artifacts.no_keys": Message(
        "'{place}' cannot be used.",
        "Its keys are not known.",
        "Give them: `forge secret set artifacts`, as ACCESS_KEY:SECRET_KEY.",
    ),
    "artifacts.refused": Message(
        "'{place}' refuses the keys.",
        "{detail}",
        "Check the keys and what they may do: `forge secret set artifacts`, then `forge artifacts --check`.",
    ),
    "artifacts.no_bucket": Message(
        "'{place}' is not there.",
        "The service has no such bucket. {detail}",
        "Make the bucket, or name another with `forge settings --artifact-place`.",
    ),
    "artifacts.unreachable": Message(
        "'{place}' cannot be used now.",
        "{detail}",
        "Nothing is lost: everything is on this computer, and it is tried again by itself.",
    ),
    "artifacts.damaged": Message(
        "What came back from '{place}' is not what was put there.",
        "{detail}",
        "It was not used. Look after the place; what this computer has is copied there anew.",
    ),
    "artifacts.waiting": Message(
        "What this run made is not at '{place}' yet.",
        "{detail}",
        "Nothing is lost: it is on this computer, and it is tried again by itself.",
    ),
    "artifacts.brought_back": Message("'{name}' was brought back from '{place}'.", "It was not on this computer.", ""),
}
