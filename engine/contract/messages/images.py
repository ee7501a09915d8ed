"""What is to be said of worker images: missing, of another protocol, not built, not copied."""

from engine.contract.messages.base import Message

IMAGES: dict[str, Message] = {
    "image.missing": Message(
        "The worker image '{name}' is not there.",
        "The engine of the node '{node}' has no image of this name.",
        "Copy it there with `forge image push-to`, or build it with `forge image build`.",
    ),
    "image.missing_here": Message(
        "The worker image '{name}' is not on this computer.",
        "Its engine has no image of this name, so there is nothing to copy.",
        "Build it with `forge image build`; `forge image list` names those that are there.",
    ),
    "image.not_worker": Message(
        "'{name}' is no worker image.",
        "It has no label that says which workers it holds. Node: '{node}'.",
        "Name an image made by `forge image build`, in the node's profile or in the settings.",
    ),
    "image.other_protocol": Message(
        "The worker image '{name}' does not fit this controller.",
        "Its workers speak version {theirs}, the controller speaks version {ours}. Node: '{node}'.",
        "Build the image anew with `forge image build` and copy it with `forge image push-to`.",
    ),
    "image.build_failed": Message(
        "The worker image '{name}' could not be built.",
        "{detail}",
        "If packages could not be fetched, gather them first: `forge image build --gather-wheels`.",
    ),
    "image.no_recipe": Message(
        "The recipe of the worker image is missing.",
        "There is no Dockerfile in '{path}'.",
        "Install the program again.",
    ),
    "image.command_failed": Message(
        "The command that asks Docker about images broke down (exit code {code}).",
        "It said nothing that could be read.",
        "What it printed stands above; please report it.",
    ),
    "image.no_engine": Message(
        "No Docker engine answers on this computer.",
        "{detail}",
        "Start Docker, or set DOCKER_HOST to the engine that is to be used.",
    ),
    "image.bad_host": Message(
        "DOCKER_HOST names no engine.",
        "'{host}' is no address of one.",
        "Write it as unix:///path, tcp://host:port or ssh://user@host, or leave it empty.",
    ),
    "image.open_host": Message(
        "The engine that DOCKER_HOST names was not asked.",
        "{host} is another computer, and without TLS anybody between could read along and take its place.",
        "Set DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, or use ssh://user@host.",
    ),
    "image.no_room": Message(
        "The disk of the node '{node}' is full.",
        "The image '{name}' did not fit; {bytes} bytes of it were sent.",
        "Free some space there (`docker image prune`), then copy it again.",
    ),
    "image.load_failed": Message(
        "The node '{node}' did not take the image '{name}'.", "Its engine said: {detail}", "Copy it again."
    ),
    "image.copy_differs": Message(
        "The image '{name}' is not the same on the node '{node}' after copying.",
        "Somebody may have built or named it anew meanwhile.",
        "Copy it again.",
    ),
}  # fmt: skip
