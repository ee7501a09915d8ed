"""What alerts say, and what is wrong with rules and with the addresses they are sent to."""

from engine.contract.messages.base import Message

ALERTS: dict[str, Message] = {
    "alert.gpu_temperature": Message(
        "GPU {device} of '{node}' is hot: {value} °C.",
        "It has been at {threshold} °C or more for {minutes} min; the hottest was {worst} °C. A hot GPU slows down.",
        "Look at its fans and the room's air, or drain the node until it has cooled down.",
    ),
    "alert.gpu_idle": Message(
        "GPU {device} of '{node}' is hardly used: {value} %.",
        "A run holds it, and it has been at {threshold} % or less for {minutes} min.",
        "Look at the run: it may wait for data, or its batch may be too small.",
    ),
    "alert.gpu_memory_full": Message(
        "The memory of GPU {device} of '{node}' is nearly full: {value} %.",
        "A run holds it, and it has been at {threshold} % or more for {minutes} min.",
        "Lower the micro batch size or the length of rows before it runs out of memory.",
    ),
    "alert.gpu_lost": Message(
        "GPU {device} of '{node}' is lost.",
        "The node's doctor knew it, and the driver no longer sees it.",
        "Look at the driver's log (`dmesg`) and restart the computer; runs that used the GPU go on from a checkpoint.",
    ),
    "alert.disk_full": Message(
        "The disk of '{node}' is nearly full: {value} %.",
        "It has been at {threshold} % or more for {minutes} min. Runs stop when it is full.",
        "Free room where Docker or the data folder keeps its files, or let old files go sooner.",
    ),
    "alert.unreachable": Message(
        "'{node}' does not answer.",
        "It has been so for {minutes} min. Its runs go on there as far as is known; nothing has failed.",
        "Look at the computer, its network and its Docker; `forge node doctor {node}` says what is wrong.",
    ),
    "alert.run_stalled": Message(
        "'{run_name}' has made no step for {value} min.",
        "It is training, and its worker tells of no progress. The limit is {threshold} min.",
        "Look at its log, and at the readings of its node. It is ended if it stays silent.",
    ),
    "alert.queue_long": Message(
        "Runs wait long: '{run_name}' for {value} min.",
        "No node has had room for it for {threshold} min or more.",
        "Look why it waits on its page; add a node, or give it a higher priority.",
    ),
    "alert.budget": Message(
        "{value} % of the budget is spent.",
        "{spent} {currency} of {budget} {currency} for {days} days. The limit is {threshold} %.",
        "Look at the costs by node and person, or change the budget in the settings.",
    ),
    "node.no_readings": Message(
        "Node '{node}' tells nothing of itself.",
        "The container that reads it ended before it said anything.",
        "Bring the worker image of this version there: `forge image push-to {node}`.",
    ),
    "alert.over": Message("It is over: {what}"),
    "alert.test": Message(
        "This is a test.", "Somebody asked whether alerts reach you. They do.", "Nothing needs to be done."
    ),
    "alerts.refused": Message("The rules were not kept.", "Values that cannot be used: {count}.", "Correct them."),
    "alerts.not_rules": Message("", "This is no list of rules.", "Send all rules, as they were read, with changes."),
    "alerts.kind": Message("", "'{value}' is no kind of alert.", "Use one of {kinds}."),
    "alerts.number": Message("", "'{value}' is not a number.", "Write a number."),
    "alerts.range": Message("", "It must be from {least} to {most}.", "Write a number between them."),
    "alerts.recover_above": Message(
        "", "An alert cannot be over above its limit ({threshold}).", "Write a smaller number, or the limit itself."
    ),
    "alerts.recover_below": Message(
        "", "An alert cannot be over below its limit ({threshold}).", "Write a larger number, or the limit itself."
    ),
    "alerts.twice": Message("", "There are two rules of one kind for the same node.", "Keep one of them."),
    "alerts.node": Message("", "There is no node '{node}'.", "Use one of {nodes}, or none for all."),
    "alerts.unknown": Message("There is no alert {id}.", "It was never raised, or is long over.", "Look at the list."),
    "alerts.bad_address": Message(
        "Line {line} is no address that alerts can be sent to.",
        "It must begin with a service that is known, such as mailto://, slack:// or json://, and be complete.",
        "Correct the line; the addresses of all services are in the documentation of Apprise.",
    ),
    "alerts.too_many": Message("There are too many addresses.", "At most {most} are possible.", "Leave some out."),
    "alerts.no_addresses": Message(
        "No address is set.", "Alerts are shown in the window only.", "Set addresses first: `forge secret set alerts`."
    ),
    "alerts.not_sent": Message(
        "Alerts do not reach {failed} of {count} addresses.",
        "The service did not take them, or did not answer ({places}).",
        "Send a test to see which; correct the address, or look at the network.",
    ),
    "alerts.no_library": Message(
        "Alerts cannot be sent anywhere.", "The package 'apprise' is not installed.", "Install it beside the program."
    ),
}
