"""Why a run goes where it goes, why it waits, and what an order may not ask of nodes."""

from engine.contract.messages.base import Message

PLACEMENT: dict[str, Message] = {
    "placement.fits": Message("The run can start on {node}."),
    "placement.asked_for": Message("Placed on {node}.", "The run asks for it."),
    "placement.only_one": Message("Placed on {node}.", "It is the only node that can take the run now."),
    "placement.not_where_it_failed": Message("Placed on {node}.", "The last start failed on another node."),
    "placement.data_there": Message("Placed on {node}.", "The model or the data lies there already."),
    "placement.cooler": Message("Placed on {node}.", "Its GPU is cooler than those of other nodes."),
    "placement.less_busy": Message("Placed on {node}.", "It has nothing else to do."),
    "placement.cheaper": Message("Placed on {node}.", "It costs less than other nodes that are free."),
    "placement.first": Message("Placed on {node}.", "Others are as good; it comes first."),
    "placement.moving": Message("The run is being moved to {node}.", "It starts there when all of it has come.", ""),
    "placement.moved": Message("Placed on {node}.", "The run was moved there."),
    "placement.at_work": Message("The run is at work on {node}."),
    "network.nothing": Message("A container of this run has no network.", "Nothing it needs lies elsewhere."),
    "network.hub": Message(
        "A container of this run has a network.", "Its model comes from {hub}, unless it lies here already."
    ),
    "network.open": Message("A container of this run has a network.", "The run asks for it (compute.network)."),
    "network.none": Message("A container of this run has no network.", "The run asks for it (compute.network)."),
    "placement.slots": Message(
        "{node} is full.", "All of its {slots} slots are taken.", "It starts when one is free; or choose another node."
    ),
    "placement.gpus_busy": Message(
        "The GPUs of {node} are taken.",
        "All {gpus} are held by other runs.",
        "It starts when one is free. Runs that allow it (compute.share) can use one together.",
    ),
    "placement.gpus_wanted": Message(
        "Too few GPUs of {node} are free.",
        "The run wants {wanted} at once; {free} can be had now.",
        "It starts when so many are free; nobody who came later takes one before.",
    ),
    "placement.too_few_gpus": Message(
        "{node} has too few GPUs.",
        "The run wants {wanted} on one node, and there are {gpus}.",
        "Set compute.gpus lower, or choose another node.",
    ),
    "placement.no_gpu": Message("{node} has no GPU.", "The run wants one.", "Set compute.gpus to 0 for the processor."),
    "placement.memory": Message(
        "The GPUs of {node} have too little free memory.",
        "The weights alone take {need} GB; {free} GB are free.",
        "Wait, or choose a smaller model.",
    ),
    "placement.hot": Message(
        "The GPUs of {node} are too hot.",
        "The coolest has {temperature} °C; above {limit} °C none is given.",
        "Look at its cooling. The run starts when one has cooled down.",
    ),
    "placement.labels": Message(
        "{node} lacks labels the run asks for.", "Missing: {labels}.", "Change compute.labels or the node's labels."
    ),
    "placement.executor": Message(
        "{node} does not start workers as the run asks.",
        "compute.executor is '{executor}'.",
        "Leave it at auto, or choose another node.",
    ),
    "placement.image": Message(
        "{node} does not use containers.",
        "The run names an image.",
        "Leave compute.image empty, or choose another node.",
    ),
    "placement.offline": Message("{node} is offline.", "Somebody took it offline.", "Put it back online."),
    "placement.draining": Message(
        "{node} takes no new runs.", "It is being drained.", "Put it back online, or choose another node."
    ),
    "placement.unreachable": Message(
        "{node} does not answer.", "Nothing is known of it now.", "The run starts when it answers again."
    ),
    "placement.checking": Message("{node} is being asked.", "It has not answered yet.", ""),
    "placement.held": Message(
        "{node} failed to start a run.", "{detail}", "It is tried again in {seconds} s; its doctor may say more."
    ),
    "placement.all_busy": Message(
        "All nodes are taken.", "{nodes} nodes could take the run.", "It starts when a slot and a GPU are free."
    ),
    "placement.nowhere": Message(
        "No node can take the run now.", "{nodes} were looked at.", "The run waits; each node has its own reason."
    ),
    "placement.owner_limit": Message(
        "{owner} has as many runs at work as one person may.",
        "The limit is {limit}.",
        "It starts when one of them has ended.",
    ),
    "placement.behind": Message("{ahead} runs are before it in the queue.", "It starts after them.", ""),
    "placement.retry": Message(
        "The run waits before it is tried again.", "{seconds} s are left.", "Start it to go on now."
    ),
    "placement.unknown_node": Message(
        "There is no node '{node}' any more.", "It was removed.", "Choose another node, or add it again."
    ),
    "nodes.unknown": Message("There is no node '{node}'.", "", "`forge node list` lists them."),
    "nodes.unknown_near": Message(
        "There is no node '{node}'.", "Did you mean '{near}'?", "`forge node list` lists them."
    ),
    "nodes.exists": Message(
        "There is a node '{node}' already.", "Names are unique.", "Choose another name, or edit it."
    ),
    "nodes.local_stays": Message(
        "The node '{node}' cannot be removed.", "It is this computer.", "Take it offline if it is to take no runs."
    ),
    "nodes.local_fixed": Message(
        "This cannot be changed of the node '{node}'.",
        "It is this computer; '{field}' is fixed.",
        "Its price, most runs, labels and notes can be changed.",
    ),
    "nodes.renamed": Message(
        "A node keeps its name.", "'{node}' cannot become '{name}'.", "Remove it and add another."
    ),
    "nodes.has_runs": Message(
        "The node '{node}' cannot be removed.",
        "At work there: {count}.",
        "Drain it and wait, or stop or move the runs.",
    ),
    "nodes.is_waited_for": Message(
        "The node '{node}' cannot be removed.",
        "Runs that wait ask for it: {count}.",
        "Stop them, or let them ask for another node.",
    ),
    "nodes.other_engine": Message(
        "'{node}' is another Docker engine than before.",
        "Runs are at work on the old one, and they must not be started twice.",
        "Correct the address; or stop the runs first.",
    ),
    "nodes.image_on_its_way": Message(
        "An image is on its way to '{node}' already.", "One is copied at a time.", "Wait until it is there."
    ),
    "nodes.no_copy": Message("No image was copied to '{node}'.", "None was asked for since the start.", "Begin one."),
    "nodes.no_containers": Message(
        "'{node}' does not use containers.", "There is nothing to check or copy there.", "Choose a Docker node."
    ),
    "nodes.import_refused": Message(
        "The nodes were not imported.", "{count} problems were found.", "Correct them; nothing was changed."
    ),
    "nodes.refused": Message("The node was refused.", "{count} problems were found.", "Correct them."),
    "nodes.file_unreadable": Message(
        "'{file}' cannot be read as nodes.", "{detail}", "Give the file that an export wrote."
    ),
    "nodes.label_form": Message("'{word}' is no label.", "", "Write it as KEY=VALUE."),
    "nodes.not_an_export": Message(
        "This is no export of nodes.", "It needs version 1 and a list of nodes.", "Give what an export wrote."
    ),
    "nodes.twice": Message("", "The name '{node}' stands there twice.", "Give each node a name of its own."),
    "nodes.bad_name": Message(
        "", "'{node}' is no name of a node.", "The word means something else here. Choose another."
    ),
    "nodes.broken": Message(
        "The node '{node}' cannot be used.", "{detail}", "Edit it, or run its doctor: `forge node doctor {node}`."
    ),
    "run.unreachable": Message(
        "The node {node} does not answer.",
        "Nothing is known of the worker since then: it most likely goes on.",
        "Nothing is to be done; the run catches up when the node answers.",
    ),
    "run.reachable": Message("The node {node} answers again.", "It was away for {seconds} s.", ""),
    "run.node_fault": Message(
        "The run could not start on {node}.", "{detail}", "That was not its fault: it waits, and is tried again."
    ),
    "run.node_answers": Message(
        "'{run}' is not started elsewhere.",
        "Its node {node} is not known to be lost, and two workers of one run must not be.",
        "Move it, or stop and resume it.",
    ),
    "run.same_node": Message("'{run}' is not started elsewhere.", "{node} is where it is.", "Choose another node."),
    "run.given_up": Message(
        "The attempt on {node} was given up.",
        "The node did not answer, and a person let the run go on elsewhere.",
        "It begins with its last checkpoint here; should the node come back, the old worker is ended.",
    ),
    "worker.out_of_memory": Message(
        "The worker was ended because its memory ran out.",
        "The node's limit for the container was reached.",
        "Lower training.micro_batch_size, or raise the node's memory limit.",
    ),
    "config.node_unknown": Message("", "There is no node '{value}'.", "Choose one of: {known}."),
    "config.node_near": Message("", "There is no node '{value}'.", "Did you mean '{near}'?"),
    "config.node_process": Message(
        "",
        "The node '{node}' starts workers as processes, not in containers.",
        "Set compute.executor to auto or process.",
    ),
    "config.node_docker": Message(
        "", "The node '{node}' starts workers in containers.", "Set compute.executor to auto or docker."
    ),
    "config.no_such_executor": Message(
        "", "No node starts workers like this ('{value}').", "Set compute.executor to auto, or add such a node."
    ),
    "config.image_without_docker": Message(
        "", "The node '{node}' uses no containers, so an image means nothing there.", "Leave compute.image empty."
    ),
    "config.node_labels": Message(
        "", "The node '{node}' does not have the labels {labels}.", "Leave compute.labels empty, or label the node."
    ),
}
