"""Why runs fail, by GPU, by several processes, and by the node a container works on: the cause, and what to do."""

from engine.contract.messages.base import Message

_GPUS: dict[str, Message] = {
    "diagnosis.gpu_memory_broken": Message(
        "The GPU's memory is damaged.",
        "It met an error that it could not correct itself.",
        "Restart the computer; if it comes again, the GPU is broken. The run can be resumed on another one.",
    ),
    "diagnosis.gpu_lost": Message(
        "The computer has lost the GPU.",
        "It does not answer on the bus any more: power, heat or the slot are the usual causes.",
        "Restart the computer, look at power and cooling, then resume the run.",
    ),
    "diagnosis.gpu_driver_changed": Message(
        "The NVIDIA driver was updated while the old one is still loaded.",
        "Program and kernel speak of different versions.",
        "Restart the computer, then resume the run.",
    ),
    "diagnosis.gpu_driver_old": Message(
        "The NVIDIA driver is too old for the worker's torch.",
        "The driver speaks version {version} of CUDA.",
        "Update the driver, or install a worker environment for an older CUDA.",
    ),
    "diagnosis.gpu_unsupported": Message(
        "The worker's torch was not built for this GPU.",
        "The GPU is of the sort {capability}; torch holds no program for it.",
        "Install a worker environment whose torch knows this GPU: `forge worker install`.",
    ),
    "diagnosis.gpu_not_ready": Message(
        "The GPUs are not ready.",
        "They are joined by NVSwitch, and its fabric manager is not at work.",
        "Start `nvidia-fabricmanager` in the driver's own version, then start the run again.",
    ),
    "diagnosis.gpu_busy": Message(
        "The GPU is taken.",
        "Another program holds it for itself alone, or its compute mode allows one only.",
        "End that program (`nvidia-smi` names it), or choose another GPU.",
    ),
    "diagnosis.gpu_number": Message(
        "There is no GPU of that number.",
        "The worker sees fewer GPUs than were asked for: CUDA_VISIBLE_DEVICES or the container hides some.",
        "Ask for fewer GPUs, or let the worker see more.",
    ),
    "diagnosis.gpu_unknown": Message(
        "The GPU's driver does not answer.",
        "That happens after the computer slept, or when a part of the driver is not loaded.",
        "Load it again (`modprobe nvidia-uvm`) or restart the computer, then start the run again.",
    ),
    "diagnosis.gpu_absent": Message(
        "No GPU can be used here.",
        "The run asks for one, and the worker's torch has none.",
        "Train on the processor, or install a worker environment with CUDA.",
    ),
    "diagnosis.gpu_token_outside": Message(
        "A token lies beyond the model's vocabulary.",
        "The tokenizer gave a number for which the model has no row.",
        "Take the tokenizer that belongs to the model; tokens that were added need a model that was enlarged for them.",
    ),
    "diagnosis.gpu_cublas": Message(
        "The GPU's library for matrices could not start.",
        "It found no memory of its own: model and rows fill the GPU.",
        "Take fewer rows at once.",
    ),
    "diagnosis.gpu_illegal_access": Message(
        "A program on the GPU reached outside its memory.",
        "Most often it is one of attention that does not fit this GPU or these lengths.",
        "Choose another attention; if that does not help, update driver and worker environment.",
    ),
    "diagnosis.flash_attention_gpu": Message(
        "FlashAttention does not know this GPU.",
        "It needs one of the Ampere generation or newer.",
        "Take SDPA, which every GPU has.",
    ),
    "diagnosis.bf16_unsupported": Message(
        "The GPU does not compute bf16.",
        "Only those of the Ampere generation and newer do.",
        "Let the worker choose the precision.",
    ),
    "diagnosis.cuda_error": Message(
        "The GPU reported an error.",
        "CUDA says: {detail}",
        "Resume the run. If it fails again, update the driver and try another GPU: it may be the hardware.",
    ),
}

_SEVERAL: dict[str, Message] = {
    "diagnosis.nccl_same_gpu": Message(
        "Two processes use the same GPU.",
        "Processes {one} and {other} were given one GPU between them.",
        "Start as many processes as there are GPUs; here: train on one.",
    ),
    "diagnosis.nccl_shared_memory": Message(
        "The processes of the run found no room to talk in.",
        "NCCL exchanges data in /dev/shm, and that is full; containers get 64 MB of it by default.",
        "Give the container more (shm_gb in the settings of its node), or remove what others left there.",
    ),
    "diagnosis.nccl_timeout": Message(
        "The processes of the run lost each other.",
        "They waited for one that did not come to a common step ({operation}).",
        "Look at the log of the process that is missing: it failed first, or its rows took longer than the limit.",
    ),
    "diagnosis.port_taken": Message(
        "The port at which the processes of the run meet is taken.",
        "Another program, often what is left of an earlier run, listens at port {port}.",
        "End it, or train in one process.",
    ),
    "diagnosis.meeting_timeout": Message(
        "A process of the run did not find the others.",
        "Nobody answered at {address}.",
        "Look whether a firewall is between them and whether the first process has failed; or train in one process.",
    ),
    "diagnosis.unused_parameters": Message(
        "Weights took no part in the loss, and several processes wait for their gradient.",
        "Each process must use the same weights at each step.",
        "Train in one process, or give adapters only to layers that every row uses.",
    ),
}

_NODES: dict[str, Message] = {
    "diagnosis.docker_without_gpus": Message(
        "The node's Docker cannot give GPUs to containers.",
        "The NVIDIA container toolkit is not installed there, or Docker does not know of it.",
        "Install it and run `nvidia-ctk runtime configure --runtime=docker` on the node; or train on its processor.",
    ),
    "diagnosis.docker_driver_old": Message(
        "The worker image needs a newer driver than the node has.",
        "It asks for {condition}.",
        "Update the node's NVIDIA driver, or bring an image for an older CUDA there.",
    ),
    "diagnosis.docker_without_driver": Message(
        "The node has no NVIDIA driver.",
        "The container toolkit found no libnvidia-ml there.",
        "Install the driver on the node, or train on its processor.",
    ),
    "diagnosis.docker_gpu_taken": Message(
        "The container lost its GPUs while it worked.",
        "systemd took them when its units were loaded again on the node.",
        "Resume the run: a new container gets them. Docker with the cgroup driver `cgroupfs` does not lose them.",
    ),
    "diagnosis.docker_pull_limit": Message(
        "The registry gives no more images for now.",
        "It says: {detail}",
        "Log in to the registry on the node, wait some hours, or copy the image there: `forge image push-to NODE`.",
    ),
    "diagnosis.other_processor": Message(
        "A program was made for another kind of processor.",
        "An image or environment for x86 does not work on ARM, nor the other way round.",
        "Build the image on the node itself, or bring one for its processor.",
    ),
}

DIAGNOSIS_DEVICES: dict[str, Message] = {**_GPUS, **_SEVERAL, **_NODES}
