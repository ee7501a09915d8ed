"""Texts about workers in containers: making, following, copying and removing them."""

from engine.contract.messages.base import Message

DOCKER: dict[str, Message] = {
    "docker.image_missing": Message(
        "Node '{node}' has no worker image '{image}'.",
        "{detail}",
        "Bring it there: `forge image push-to {node}`, or name another in the node's settings.",
    ),
    "docker.image_not_worker": Message(
        "'{image}' on node '{node}' is no worker image.",
        "It does not carry the label that worker images have.",
        "Build one with `make worker-image`, or name another in the node's settings.",
    ),
    "docker.image_protocol": Message(
        "The worker image '{image}' on node '{node}' is of another version.",
        "It speaks version {theirs} of the agreement between controller and worker; this controller speaks {ours}.",
        "Bring the image of this version there: `forge image push-to {node}`.",
    ),
    "docker.not_created": Message(
        "Node '{node}' could not make the worker's container.",
        "{detail}",
        "Look at the node's mounts, limits and image; its doctor says more.",
    ),
    "docker.not_started": Message(
        "Node '{node}' could not start the worker's container.",
        "{detail}",
        "Look at the node's mounts, GPUs and image; its doctor says more.",
    ),
    "docker.volume_owner": Message(
        "The run's volume on node '{node}' belongs to another user.",
        "Volume '{volume}' belongs to user {user}; workers run as user {wanted} and could not write there.",
        "On the node: `docker run --rm -v {volume}:/job IMAGE` as root with `chown {wanted}:{wanted} /job`; or remove "
        "the volume, if nothing in it is needed.",
    ),
    "docker.not_whole": Message(
        "The results on node '{node}' could not be copied whole.",
        "{detail}",
        "They stay on the node; it is tried again.",
    ),
    "docker.bad_archive": Message(
        "What node '{node}' sent is refused.",
        "Its archive holds '{name}', which would lie outside its folder or is no plain file.",
        "Look at what the worker wrote on the node.",
    ),
    "docker.disk_full_here": Message(
        "The disk of the controller's computer is full.",
        "'{path}' cannot take what comes from node '{node}'.",
        "Free some space. The run goes on; everything is fetched again.",
    ),
    "docker.fill_failed": Message(
        "'{what}' could not be put into the cache of node '{node}'.",
        "{detail}",
        "Free space on the node, or look at its doctor. What is there already is not sent again.",
    ),
    "docker.cache_busy": Message(
        "'{what}' is being copied to node '{node}' by another controller.",
        "",
        "It is tried again.",
    ),
    "docker.refused": Message(
        "Node '{node}' refused what was asked of container '{container}'.", "{detail}", "It is tried again."
    ),
}
