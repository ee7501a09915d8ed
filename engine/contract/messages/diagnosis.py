"""Why runs fail, rule by rule: the cause, and what to do about it."""

from engine.contract.messages.base import Message

DIAGNOSIS: dict[str, Message] = {
    "diagnosis.out_of_memory": Message(
        "Memory ran out.",
        "{size} row(s) of up to {length} tokens at once were too much for {device}.",
        "Take fewer rows at once and gather more of them into a step: the result is the same, only slower.",
    ),
    "diagnosis.out_of_memory_smallest": Message(
        "Memory ran out with one row at a time.",
        "A row of up to {length} tokens was too much for {device}.",
        "Recompute activations (gradient checkpointing), or cut rows at a shorter length.",
    ),
    "diagnosis.loss_not_finite": Message(
        "The loss became {loss} at step {step}.",
        "Steps were too large at a learning rate of {rate}: the weights left the range of numbers.",
        "Lower the learning rate and clip gradients.",
    ),
    "diagnosis.loss_not_finite_fp16": Message(
        "The loss became {loss} at step {step}.",
        "The numbers left the narrow range of fp16.",
        "Compute in bf16, or in fp32 where the GPU has no bf16.",
    ),
    "diagnosis.bad_rows": Message(
        "{count} row(s) of the dataset cannot be used.",
        "The first is at line {line}: {reason}",
        "Mend or remove the rows that are listed, then start again.",
    ),
    "diagnosis.wrong_format": Message(
        "The rows are not in the form that was chosen.",
        "Format '{format}' was given; not one row fits it.",
        "Let the form be recognised from the rows.",
    ),
    "diagnosis.missing_file": Message(
        "A file the run needs is not there.",
        "'{path}' was moved, deleted, or lies on a disk that is not mounted.",
        "Put it back, or name the place where it lies now.",
    ),
    "diagnosis.disk_full": Message(
        "The disk is full.",
        "No room is left at '{path}'.",
        "Free some space, then resume the run; keeping fewer checkpoints needs less.",
    ),
    "diagnosis.import_error": Message(
        "The worker environment is incomplete.",
        "Python cannot import '{module}'.",
        "Install the environment again: `forge worker install`.",
    ),
    "diagnosis.killed_memory": Message(
        "The system killed the worker, most likely because memory ran out.",
        "Memory was {share} % full at its last reading.",
        "Take fewer rows at once, or end other programs.",
    ),
    "diagnosis.killed": Message(
        "The worker was killed by signal {signal}.",
        "Neither the program nor a person using it did that.",
        "Look into the system's log (`journalctl -k`); resume the run.",
    ),
    "diagnosis.nothing_trained": Message(
        "There is nothing to learn in the dataset.",
        "None of {rows} row(s) has an answer within the first {length} tokens.",
        "Cut rows later, so that answers are seen; if questions are longer still, shorten them.",
    ),
    "diagnosis.text_needs_pretrain": Message(
        "The rows are plain text.",
        "Line {line} has no questions and answers, which this stage learns from.",
        "Learn the text itself (pretraining).",
    ),
    "diagnosis.column_changes_type": Message(
        "A column holds values of two types.",
        "The reader says: {detail}",
        "Write all values of a column in one way, as texts for instance; or import the file, which lists the rows.",
    ),
    "diagnosis.not_utf8": Message(
        "A text is not UTF-8.",
        "The byte {byte} cannot stand there; the file was saved in another encoding, such as GB18030 or Latin-1.",
        "Save it as UTF-8, or bring it into the library, which knows other encodings.",
    ),
    "diagnosis.parquet_broken": Message(
        "A Parquet file cannot be read.",
        "'{path}' is cut off, or holds something else.",
        "Copy or write the file again.",
    ),
    "diagnosis.memory_in_pieces": Message(
        "Memory ran out though some was free.",
        "{free} GB lie free beside {used} GB in use, but in pieces that are too small.",
        "Set PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True where the controller is started, or take fewer rows "
        "at once.",
    ),
    "diagnosis.shared_memory": Message(
        "Processes that load data had no room to hand it over.",
        "They do so in /dev/shm, and that is too small; containers get 64 MB of it by default.",
        "Give the container more (shm_gb in the settings of its node), or enlarge /dev/shm.",
    ),
    "diagnosis.loader_killed": Message(
        "A process that loads data was killed.",
        "The system sent it the signal {signal}; most often memory had run out.",
        "End other programs, or read smaller files.",
    ),
    "diagnosis.member_killed": Message(
        "One of the run's processes was killed by the system.",
        "Most often the computer's memory ran out: each process loads the model for itself.",
        "Train in one process, or on a computer with more memory.",
    ),
    "diagnosis.hung": Message(
        "The worker hung and was ended.",
        "It said nothing for {minutes} min, the hang limit of the run.",
        "Resume it. If steps do take that long, raise the hang limit.",
    ),
    "diagnosis.too_many_threads": Message(
        "The system gives the worker no more threads.",
        "The limit of processes and threads of this person or container is reached.",
        "Work with one thread, end other programs, or raise the limit (`ulimit -u`, `--pids-limit`).",
    ),
    "diagnosis.too_many_files": Message(
        "The worker has too many files open.",
        "The system's limit for one process is reached.",
        "Raise the limit (`ulimit -n 65536`) where the controller is started.",
    ),
    "diagnosis.network_closed": Message(
        "The worker may not ask a hub.",
        "The model lies at {endpoint}, and the run's own config forbids its worker the network.",
        "Let it reach the hub.",
    ),
    "diagnosis.hub_too_many_requests": Message(
        "The hub was asked too often.",
        "It refuses further requests for a while (429).",
        "Wait some minutes and resume; with a token of yours the hub allows more (`forge secret set huggingface`).",
    ),
    "diagnosis.hub_certificate": Message(
        "A certificate is not trusted.",
        "Somebody between here and the hub shows a certificate that this computer does not know, a company's proxy "
        "most often.",
        "Add the company's certificate to the system and name it in SSL_CERT_FILE where the controller is started.",
    ),
    "diagnosis.hub_away": Message(
        "A file of a hub is not here, and the hub cannot be asked.",
        "{endpoint} does not answer, or may not be asked.",
        "Check the network, the proxy and the setting 'offline'; or choose a model that is on this computer.",
    ),
    "diagnosis.numpy_other_version": Message(
        "A package was made for an older numpy.",
        "It was compiled for numpy 1, and numpy {version} is installed.",
        "Install the worker environment again: `forge worker install`.",
    ),
    "diagnosis.torchvision_other_version": Message(
        "torchvision does not belong to the installed torch.",
        "It asks torch for a part that this version does not have.",
        "Install the worker environment again (`forge worker install`), or remove torchvision from it.",
    ),
    "diagnosis.system_library_old": Message(
        "A library of the system is too old.",
        "A package of the worker wants {version}.",
        "Use a worker image (Docker), a newer system, or an environment whose own library comes first.",
    ),
    "diagnosis.library_absent": Message(
        "A library of the system is missing.",
        "'{library}' is not installed, or lies where the worker does not look.",
        "Install the worker environment again (`forge worker install`); for a library of CUDA, its CUDA build.",
    ),
    "diagnosis.disk_read_only": Message(
        "A disk can only be read.",
        "'{path}' could not be written; a disk with errors is made read-only by the system.",
        "Look into the system's log (`journalctl -k`), mount the disk writable, then resume the run.",
    ),
    "diagnosis.not_permitted": Message(
        "A file or folder belongs to somebody else.",
        "The worker may not open '{path}'.",
        "Give the person who runs the controller the right to it, in a container user 10001; then start again.",
    ),
    "diagnosis.unknown": Message(
        "No rule knows this failure.",
        "The lines below are where it broke and what was said last.",
        "Copy the report and hand it to whoever can help; nothing in it tells who you are.",
    ),
}
