"""What the doctor of a node says."""

from engine.contract.messages.base import Message

DOCTOR: dict[str, Message] = {
    "node.check_broke": Message(
        "The check '{check}' of node '{node}' could not be made.",
        "{detail}",
        "Examine the node again. If this stays, report it with the diagnostics.",
    ),
    "node.vanished": Message(
        "Something disappeared from node '{node}' during its examination.",
        "Docker says: {detail}",
        "Examine it again while nobody cleans up there.",
    ),
    "node.probe_failed": Message(
        "The container that looks around on node '{node}' failed.",
        "It ended with code {code}: {detail}",
        "Check that the worker image is whole: `forge image push-to {node}` brings it anew.",
    ),
    "node.image_first": Message(
        "This needs the worker image on node '{node}'.",
        "'{image}' is not there, so nothing can be started.",
        "Bring it first: `forge image push-to {node}`.",
    ),
    "node.open_to_all": Message(
        "Node '{node}' lets in everybody.",
        "Its Docker wants to see no certificate: whoever reaches the port is its master.",
        "Start dockerd there with --tlsverify and --tlscacert, then set 'certificate' and 'key'.",
    ),
    "node.not_linux": Message(
        "Docker on node '{node}' runs containers of {system}.",
        "Workers need containers of Linux.",
        "Switch Docker there to Linux containers.",
    ),
    "node.no_live_restore": Message(
        "Containers on node '{node}' end whenever Docker is restarted.",
        "live-restore is off, so an update of Docker interrupts every run.",
        'Write "live-restore": true into /etc/docker/daemon.json there, then `sudo systemctl reload docker`.',
    ),
    "node.no_gpu": Message(
        "Node '{node}' has no GPU.", "Runs there use the processor.", "That is fine for small models."
    ),
    "node.no_runtime": Message(
        "Docker on node '{node}' cannot give GPUs to containers.",
        "There are NVIDIA GPUs ({count}), but Docker does not know NVIDIA's runtime.",
        "Install nvidia-container-toolkit there, then `sudo nvidia-ctk runtime configure --runtime=docker` and "
        "`sudo systemctl restart docker`.",
    ),
    "node.gpu_start": Message(
        "No container with a GPU starts on node '{node}'.",
        "{detail}",
        "Try `nvidia-smi` there; if it works, install nvidia-container-toolkit anew, else NVIDIA's driver.",
    ),
    "node.driver_broken": Message(
        "NVIDIA's driver on node '{node}' does not work.",
        "It says: {detail}",
        "Try `nvidia-smi` there. After an update of the driver the computer must be restarted.",
    ),
    "node.driver_old": Message(
        "NVIDIA's driver on node '{node}' is old.",
        "It is {version}; images with CUDA 12 need {oldest} or newer.",
        "Update the driver there, or build the worker image for an older CUDA.",
    ),
    "node.gpu_ecc": Message(
        "Memory of GPUs on node '{node}' has errors.",
        "Errors that could not be mended: {gpus}.",
        "Restart the computer. If they come back, have the GPU replaced; until then do not use it.",
    ),
    "node.gpu_missing": Message(
        "GPUs of node '{node}' are lost.",
        "It has {devices}, but its driver shows {count}.",
        "Look for 'Xid' in `dmesg` there, and restart the computer.",
    ),
    "node.disk_low": Message(
        "The disk of node '{node}' has little room.",
        "{free} are free at '{folder}'; a model with its checkpoints may need more.",
        "Free some room there: `docker system df` shows what takes it.",
    ),
    "node.disk_very_low": Message(
        "The disk of node '{node}' has no room for a run.",
        "{free} are free at '{folder}'.",
        "Free some room there: `docker system df` shows what takes it.",
    ),
    "node.volume_closed": Message(
        "A worker cannot write into its volume on node '{node}'.",
        "User {uid} may not write into a new volume at /job.",
        "Use the worker image (it gives /job to its user), and a volume driver that keeps owners.",
    ),
    "node.slow": Message(
        "The way to node '{node}' is slow.",
        "It carries {speed}: a model of 16 GB takes about {hours} h.",
        "Connect it faster, or put models and data there yourself and name their folder in 'mounts'.",
    ),
    "node.copy_damaged": Message(
        "Files are damaged on the way to node '{node}' and back.",
        "What came back is not what was sent.",
        "Check the disk and the memory of the node, and any proxy in between.",
    ),
    "node.clock_ahead": Message(
        "The clock of node '{node}' is ahead by {amount}.",
        "Curves over time and expiry dates are wrong by that.",
        "Set both clocks by the network: `sudo timedatectl set-ntp true`.",
    ),
    "node.clock_behind": Message(
        "The clock of node '{node}' is behind by {amount}.",
        "Curves over time and expiry dates are wrong by that.",
        "Set both clocks by the network: `sudo timedatectl set-ntp true`.",
    ),
    "node.clock_unset": Message(
        "The clock of this computer was never set.",
        "It shows a time before this program was made.",
        "Set it by the network: `sudo timedatectl set-ntp true`.",
    ),
    "node.image_unset": Message(
        "It is not said which worker image node '{node}' uses.",
        "Neither the node nor the settings name one.",
        "Set 'worker_image' in the settings, or 'image' of the node.",
    ),
    "node.no_seccomp": Message(
        "Docker on node '{node}' does not filter system calls.",
        "seccomp is off, so containers are kept apart less well.",
        "Remove seccomp-profile from /etc/docker/daemon.json there, or use a kernel with seccomp.",
    ),
    "node.no_limits": Message(
        "Docker on node '{node}' cannot limit what containers use.",
        "Without limits: {limits}. One run can take everything from the others.",
        "Enable these cgroup controllers in the kernel there (cgroup v2 has them).",
    ),
    "node.two_controllers": Message(
        "Another controller uses node '{node}' as well.",
        "{count} containers ({running} running) belong to {controllers}; this one is {controller}.",
        "Let one controller have the node, or share its GPUs out by 'max_runs'. Those containers are not touched.",
    ),
    "node.no_python": Message(
        "There is no worker environment on this computer.",
        "No interpreter with torch was found or chosen.",
        "Create one: `forge worker install`.",
    ),
    "node.torch_without_gpu": Message(
        "The worker environment does not use this computer's GPU.",
        "torch in '{python}' is built for the processor, or finds no driver.",
        "Create one with CUDA: `forge worker install` without --cpu.",
    ),
}
