"""What is said about settings, worker environments, the place of the data, and diagnostics."""

from engine.contract.messages.base import Message

HOUSE: dict[str, Message] = {
    "settings.refused": Message("The settings were not changed.", "Some of them cannot be used.", "Correct them."),
    "settings.number": Message("", "'{value}' is no number.", "Write a number."),
    "settings.least": Message("", "It must be {least} or more.", "Write a larger number."),
    "settings.most": Message("", "It must be {most} or less.", "Write a smaller number."),
    "settings.value": Message("", "{detail}.", "Correct it."),
    "settings.currency": Message("", "'{value}' is no currency.", "Write its three letters, such as USD, EUR or CNY."),
    "settings.price": Message("", "{price} is no price for an hour in lane '{lane}'.", "Write 0 or more."),
    "settings.hub": Message("", "There is no hub '{hub}'.", "Choose one of: {hubs}."),
    "settings.address": Message("", "'{value}' is no web address.", "Write it as https://host or https://host:port."),
    "settings.proxy": Message("", "'{value}' is no proxy.", "Write it as http://host:port."),
    "settings.proxy_secret": Message(
        "", "User and password do not belong here.", "Keep them as the secret 'proxy'; write http://host:port here."
    ),
    "settings.hosts": Message("", "'{value}' is no name of a host.", "Write names with commas between."),
    "settings.time": Message("", "'{value}' is no time of day.", "Write it as 22:00."),
    "environment.unknown": Message("There is no worker environment '{name}'.", "", "`forge worker list` lists them."),
    "environment.busy": Message(
        "Another worker environment is being made.", "It is '{name}'.", "Wait for it, or cancel it."
    ),
    "environment.in_use": Message(
        "The worker environment '{name}' is in use.",
        "A run is at work, or waits, and would lose its programs.",
        "Wait for the runs, or pause them, or use another environment first.",
    ),
    "environment.not_ours": Message(
        "The interpreter '{name}' is not deleted.", "This program did not make it.", "Delete it yourself if you want."
    ),
    "environment.no_space": Message(
        "There is not enough room for a worker environment.",
        "It needs about {needed}; {free} are free at '{folder}'.",
        "Free some space, or choose the build for the processor.",
    ),
    "environment.no_folder": Message(
        "There is no folder of packages '{folder}'.", "It is missing, or holds no wheel files.", "Choose another."
    ),
    "environment.incomplete": Message(
        "The worker environment is incomplete.", "'{python}' lacks {missing}.", "Make it anew, or use another one."
    ),
    "environment.interrupted": Message(
        "The making of the worker environment was interrupted.",
        "Its process is gone; what was fetched is kept.",
        "Go on with it, or delete it.",
    ),
    "home.missing": Message(
        "The folder that holds all data is not there.",
        "'{home}' is missing; '{pointer}' names it. A disk may not be connected.",
        "Connect it, or correct or delete that file. Nothing was changed.",
    ),
    "home.bad_pointer": Message(
        "The file that names the data's folder cannot be read.",
        "'{pointer}': {detail}",
        "Correct it, or delete it to use the usual folder. Nothing was changed.",
    ),
    "home.fixed": Message(
        "The data cannot be moved from here.",
        "The variable FORGE_HOME names its folder, '{home}'.",
        "Move the folder yourself while nothing runs, and change FORGE_HOME.",
    ),
    "home.target_taken": Message(
        "'{target}' cannot take the data.", "The folder is not empty.", "Choose an empty one."
    ),
    "home.target_locked": Message(
        "'{target}' cannot take the data.", "Nothing can be written there: {detail}", "Choose another folder."
    ),
    "home.target_inside": Message(
        "'{target}' cannot take the data.",
        "It lies inside the folder that is to be moved, or around it.",
        "Choose a folder elsewhere.",
    ),
    "home.target_small": Message(
        "'{target}' cannot take the data.", "{needed} are needed and {free} are free there.", "Free some space."
    ),
    "home.target_network": Message(
        "'{target}' is on a network drive ({kind}).",
        "The run history can be damaged there when the network breaks.",
        "Choose a disk of this computer, or move all the same if you know it is safe.",
    ),
    "home.runs_live": Message(
        "The data cannot be moved while runs are at work.",
        "At work or waiting: {number}.",
        "Wait for them, or have them paused for the time of the move.",
    ),
    "home.still_runs": Message(
        "The runs did not pause in time.", "Still at work: {number}.", "Wait for them, then try again."
    ),
    "home.controller_stays": Message(
        "The job controller did not end.", "It holds '{home}'.", "Try again; nothing was changed."
    ),
    "home.copy_differs": Message(
        "The copy is not like the original.",
        "'{file}' is different after it was written.",
        "The disk may be damaged. Everything goes on in the old folder.",
    ),
    "home.move_failed": Message(
        "The data was not moved.", "{detail}", "Everything goes on in the old folder; try again."
    ),
    "home.cancelled": Message("The move was cancelled.", "", "Everything goes on in the old folder."),
    "home.no_old": Message(
        "There is no old folder to delete.", "The data is in '{home}' and was not moved.", "Nothing is to be done."
    ),
    "home.not_old": Message(
        "'{folder}' is not deleted.", "It is not a folder whose data was moved away.", "Delete it yourself if you want."
    ),
    "diagnostics.failed": Message(
        "The diagnostics could not be gathered.", "{detail}", "Send the files in 'logs' of the data folder instead."
    ),
    "diagnostics.unwritable": Message("'{file}' could not be written.", "{detail}", "Choose another place."),
}
