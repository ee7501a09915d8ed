"""What is said of hubs, downloads, tokens and proxies."""

from engine.contract.messages.base import Message

HUBS: dict[str, Message] = {
    "config.push_repo": Message("", "'{value}' is no name on a hub.", "Write it as owner/name."),
    "config.push_network": Message(
        "", "The result is to go to a hub, and the worker is to reach nothing.", "Set network to auto or open."
    ),
    "push.begun": Message("The result goes to {hub} as {repo}.", "", ""),
    "push.done": Message("The result is at {url} (commit {commit}).", "", ""),
    "push.ended": Message("The push was ended; the result is kept here.", "", "Go on with it: forge push {run}."),
    "push.failed": Message(
        "The result could not be pushed; it is kept here.", "{detail}", "Try again: forge push {run}."
    ),
    "push.no_token": Message(
        "Nothing can be pushed to {hub}.", "There is no token for it.", "Set one: forge secret set {hub}."
    ),
    "push.refused": Message(
        "The hub did not take the result.", "{detail}", "Look at the token's rights and at the name, then push again."
    ),
    "push.disk_full": Message(
        "The disk is full; nothing was pushed.", "No room is left at '{path}'.", "Free some space, then push again."
    ),
    "push.public": Message(
        "Nothing was pushed: {repo} is public there.",
        "The result was to be private.",
        "Choose another name, make it private on the hub, or say private=false.",
    ),
    "push.not_asked": Message(
        "It is not said where the result goes.",
        "The run's config has no outputs.push.",
        "Say it: forge push RUN --to huggingface:OWNER/NAME.",
    ),
    "push.no_result": Message("There is nothing to push.", "The run has no adapter and no model.", "Let it end first."),
    "hub.unknown": Message(
        "There is no model '{path}' there.",
        "{endpoint} knows none of this name.",
        "Check the id; it is written as on the model's page, like 'Qwen/Qwen3-0.6B'.",
    ),
    "hub.unknown_near": Message(
        "There is no model '{path}' there.", "{endpoint} knows none of this name.", "Did you mean {near}?"
    ),
    "hub.unknown_or_private": Message(
        "There is no model '{path}' that anybody may see.",
        "{endpoint} does not say whether it is private or not there at all.",
        "Check the id. If the model is private, set your token in the settings, or with 'forge secret set {hub}'.",
    ),
    "hub.revision_unknown": Message(
        "The model '{path}' has no revision '{revision}'.",
        "{endpoint} knows no such branch, tag or commit of it.",
        "Correct the revision, or leave it empty for the newest.",
    ),
    "hub.gated": Message(
        "The model '{path}' is not open to this token.",
        "Its owner gives access to those who accepted its licence.",
        "Accept it at {page} with the account the token belongs to, then start the run again.",
    ),
    "hub.gated_no_token": Message(
        "The model '{path}' needs a token.",
        "Its owner gives access to those who accepted its licence.",
        "Accept it at {page}, then set your token in the settings, or with 'forge secret set {hub}'.",
    ),
    "hub.token_rejected": Message(
        "{endpoint} does not accept the token.",
        "It was withdrawn, has expired, or was not copied whole.",
        "Set a new one in the settings, or with 'forge secret set {hub}'.",
    ),
    "hub.token_unsafe": Message(
        "{endpoint} asks for a token, and it is not sent there.",
        "The way there is not encrypted, so that others could read it.",
        "Give the hub an address that begins with https://.",
    ),
    "hub.nothing_there": Message(
        "There is no archive at '{path}'.", "The server answers with status {status}.", "Check the address."
    ),
    "hub.unreachable": Message(
        "{endpoint} cannot be reached.",
        "{detail}.",
        "Check the network, and the proxy and the addresses of hubs in the settings.",
    ),
    "hub.stalled": Message(
        "The download stands still.",
        "{endpoint} has sent nothing for {minutes} min.",
        "Start the run again; what is here already stays.",
    ),
    "hub.strange_answer": Message(
        "{endpoint} gave an answer that makes no sense.",
        "{detail}",
        "Check the addresses of hubs in the settings.",
    ),
    "hub.proxy_login": Message(
        "The proxy '{proxy}' asks for a login.",
        "None is set, or not the right one.",
        "Set user:password in the settings, or with 'forge secret set proxy'.",
    ),
    "hub.proxy_refused": Message(
        "The proxy '{proxy}' does not let this through.",
        "{detail}.",
        "Check the proxy in the settings, or name the hub among the hosts that are reached directly.",
    ),
    "hub.offline": Message(
        "The model '{path}' is not on this computer.",
        "Asking hubs is switched off (the setting 'offline', or HF_HUB_OFFLINE).",
        "Switch it on again, or choose a model that is here.",
    ),
    "hub.only_pickles": Message(
        "The model '{path}' cannot be used.",
        "Its weights are there only as pickles ({found}), which can run code when they are loaded.",
        "Choose a model with safetensors; pickled weights are never fetched.",
    ),
    "hub.no_weights": Message(
        "'{path}' holds no model.", "There is no *.safetensors in it.", "Choose a model whose weights are safetensors."
    ),
    "hub.no_config": Message(
        "'{path}' holds no model.", "There is no config.json in it.", "Choose a model that transformers can load."
    ),
    "hub.checksum": Message(
        "'{file}' of '{path}' came damaged.",
        "Its checksum is wrong, also the second time it was fetched from {endpoint}.",
        "Try again later, or another address for the hub.",
    ),
    "hub.moved": Message(
        "The commit {commit} of '{path}' cannot be had any more.",
        "The run has worked with it, and the hub offers another one now.",
        "Copy the run and start the copy: it begins with what is there now.",
    ),
    "hub.no_room": Message(
        "There is no room for the model '{path}'.",
        "{need} bytes are still to come, and {free} are free for '{folder}'.",
        "Free space on that disk, for example with 'forge models remove', and start the run again.",
    ),
    "hub.archive_unsafe": Message(
        "The archive '{file}' is refused.",
        "'{member}' in it is a link, or leads out of the folder.",
        "Use an archive that holds plain files only.",
    ),
    "hub.archive_too_large": Message(
        "The archive '{file}' is refused.", "{detail}", "Use an archive that holds one model and no more."
    ),
    "hub.archive_damaged": Message(
        "The archive '{file}' cannot be unpacked.", "{detail}", "Check that the address leads to a whole archive."
    ),
    "hub.not_cached": Message(
        "The model '{path}' is not in the cache.", "Nothing of {hub} has this name there.", "See 'forge models'."
    ),
    "hub.being_fetched": Message(
        "The model '{path}' is being fetched.", "A run is at it now.", "Stop that run first, or wait for it."
    ),
    "hub.in_use": Message(
        "The model '{path}' is in use.", "The run '{run}' works with it now.", "Wait for that run, or stop it first."
    ),
    "hub.waiting": Message("Another run fetches '{path}' at the moment; this one waits for it."),
    "hub.fetching": Message("Fetching '{path}' at commit {commit}: {files} files, {megabytes} MB."),
    "hub.fetched": Message("'{path}' is here: {megabytes} MB in {seconds} s, in '{folder}'."),
    "hub.from_cache": Message("'{path}' at commit {commit} was here already."),
    "hub.used_cache": Message(
        "'{path}' at commit {commit} is used as it is here, for its hub does not answer: {detail}"
    ),
    "config.hub_id": Message(
        "", "'{value}' is no id of a model.", "Write it as on the model's page: 'owner/name', like 'Qwen/Qwen3-0.6B'."
    ),
    "config.revision_empty": Message("", "The revision is empty.", "Leave it out for the newest, or name one."),
    "config.revision_of_folder": Message(
        "", "A folder or a bundled model has no revision '{value}'.", "Leave it out, or choose a hub as the source."
    ),
    "config.url": Message(
        "",
        "'{value}' is no address a model is fetched from.",
        "Give one that begins with https:// and holds no password.",
    ),
    "config.url_archive": Message(
        "", "'{value}' is no archive.", "Give the address of one archive of a model's folder: {known}."
    ),
    "config.url_sha256": Message(
        "", "'{value}' is no sha256.", "Give the 64 hexadecimal digits of the archive's sha256, or leave it out."
    ),
    "settings.hub": Message("", "'{value}' is no hub.", "Known are: {known}."),
    "settings.endpoint": Message(
        "", "'{value}' is no address of a hub.", "Write it like https://huggingface.co, without user and password."
    ),
    "settings.proxy": Message("", "'{value}' is no address of a proxy.", "Write it like http://proxy.example:3128."),
    "settings.proxy_login": Message(
        "",
        "The proxy's address holds a user or a password, and settings are no place for those.",
        "Leave them out and set them with 'forge secret set proxy'.",
    ),
    "settings.no_proxy": Message(
        "", "'{value}' is no host.", "Write names or addresses with commas between: localhost, .example.com."
    ),
    "settings.endpoint_form": Message("'{word}' is no address of a hub.", "", "Write HUB=URL with a hub of {hubs}."),
    "secret.unknown": Message("There is no secret '{name}'.", "", "Known are: {known}."),
    "secret.not_set": Message("The secret '{name}' is not set.", "", "Set it with 'forge secret set {name}'."),
    "secret.bad": Message(
        "The secret '{name}' cannot be used.",
        "It is empty, longer than 4096 characters, or holds what no token holds.",
        "Copy it once more, whole and without blanks.",
    ),
    "secret.proxy_form": Message(
        "The proxy's login cannot be used.", "It has no colon between user and password.", "Write user:password."
    ),
    "secret.keyring_closed": Message(
        "The keyring does not give the secret '{name}'.", "{detail}", "Unlock the keyring, or set the secret again."
    ),
    "secret.unreadable": Message(
        "The file of secrets '{file}' cannot be read.", "{detail}", "Correct it, or remove it and set them again."
    ),
    "secret.no_proxy": Message(
        "There is no proxy to check the login with.", "None is set.", "Set one first: 'forge settings --proxy URL'."
    ),
}
