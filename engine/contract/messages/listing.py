"""What the search, the queue and deeds for many runs have to say."""

from engine.contract.messages.base import Message

LISTING: dict[str, Message] = {
    "search.refused": Message("The search cannot be understood.", "Problems in it: {count}.", "Correct them."),
    "search.operator": Message(
        "", "There is no search operator '{name}'.", "There are {choices}. Or put the word in quotes."
    ),
    "search.operator_near": Message(
        "", "There is no search operator '{name}'.", "Did you mean '{near}'? Or put the word in quotes."
    ),
    "search.value": Message("", "'{value}' is not possible here.", "Choose one of: {choices}."),
    "search.value_near": Message("", "'{value}' is not possible here.", "Did you mean '{near}'? There are: {choices}."),
    "search.no_value": Message("", "Nothing follows the operator '{name}'.", "For example: {example}."),
    "search.number": Message("", "'{value}' is no number.", "For example: {example}."),
    "search.moment": Message(
        "",
        "'{value}' is neither a date nor an age.",
        "Write a date (2026-01-31), with a time if need be (2026-01-31T18:30), or an age: 45m, 12h, 7d, 2w.",
    ),
    "search.span": Message("", "'{value}' is no length of time.", "Write seconds, or 45m, 12h, 7d, 2w."),
    "search.comparison": Message("", "'{name}' cannot be compared with '{sign}'.", "For example: {example}."),
    "settings.price_form": Message(
        "'{word}' is no price.", "", "Write LANE=PRICE with a lane of {lanes}: gpu=2.50; gpu=none takes it away."
    ),
    "queue.not_waiting": Message(
        "Run '{run}' is not in the queue.", "It is {state}.", "Only runs that wait have a place there."
    ),
    "queue.retry": Message(
        "Run '{run}' has no place in the queue yet.", "It waits for its next retry.", "Start it to end that wait."
    ),
    "queue.other_lane": Message(
        "Run '{run}' cannot move before '{other}'.",
        "They wait in different lanes, {lane} and {theirs}, which do not wait for each other.",
        "Choose a run of its own lane.",
    ),
    "queue.itself": Message("Run '{run}' cannot move before itself.", "", "Choose another run."),
    "bulk.no_runs": Message("No run was named.", "", "Name runs, or give --search."),
    "bulk.none_found": Message("No run was found for '{search}'.", "", "`forge runs --search` shows what is found."),
    "bulk.too_many": Message(
        "{count} runs are too many at once.", "At most {most} are changed by one command.", "Narrow the search."
    ),
    "bulk.no_tags": Message("No tag was named.", "", "Name at least one."),
}
