"""What can be wrong with an instance that answers requests, and with requests."""

from engine.contract.messages.base import Message

SERVING: dict[str, Message] = {
    "serve.from_scratch": Message(
        "", "A model with fresh weights has learned nothing it could answer.", "Choose a model that was trained."
    ),
    "serve.name_taken": Message(
        "", "The name '{name}' is taken already, by {by}.", "Give each adapter a name of its own; auto is the router's."
    ),
    "serve.idle": Message(
        "Nobody asked for {minutes} minutes: it ended.", "", "Start it again, or raise idle_minutes; 0 never ends it."
    ),
    "serve.int8_llama": Message(
        "", "llama.cpp holds its weights itself.", "Set int8 to false, and llama_storage to q8_0."
    ),
    "serve.quantised_llama": Message(
        "", "llama.cpp reads the weights as they are in the files, not as {value}.", "Set model.quantisation to none."
    ),
    "llama.missing": Message(
        "llama.cpp is not there.",
        "The package llama_cpp is missing in the worker's environment, or its library cannot be loaded.",
        "Install it there (pip install llama-cpp-python; it is compiled), or set backend to torch.",
    ),
    "llama.refused": Message(
        "llama.cpp does not take the model '{path}'.", "Its log says why.", "Set backend to torch."
    ),
    "llama.no_context": Message(
        "llama.cpp has no room for {tokens} tokens.", "", "Lower cache_mb, context or parallel."
    ),
    "llama.adapter": Message(
        "llama.cpp does not take the adapter '{name}'.", "Its log says why.", "Set backend to torch."
    ),
    "llama.failed": Message(
        "llama.cpp could not compute the answer.", "It said {code}.", "Ask again, or set backend to torch."
    ),
    "serve.int8_unfit": Message(
        "The model cannot answer in 8 bits.",
        "That is for linear layers in bf16 on a processor; these are {dtype} on {device}.",
        "Set model.dtype to bf16 and gpus to 0, or int8 to false.",
    ),
    "serve.no_model": Message("No model was named.", "", "Name one: --model demo, or --run RUN for what a run made."),
    "serve.key_form": Message(
        "The key cannot be used.", "It needs 16 to 200 visible ASCII characters.", "Choose another, or leave it out."
    ),
    "serve.adapter_unfit": Message(
        "",
        "'{value}' is neither a .lora.arrow file nor the folder of an adapter.",
        "Choose outputs/adapter or a checkpoint of a run, a .lora.arrow file, or leave it out.",
    ),
    "serve.adapter_lost": Message(
        "The adapter '{name}', loaded while the instance served before, is not there.",
        "{detail}",
        "Load it again where it lies now.",
    ),
    "serve.broke_off": Message(
        "The answer broke off.",
        "The instance that gave it ended, or the line to it broke.",
        "Ask again in a moment: an instance that died is started again; if it stays away look at its log.",
    ),
    "serve.route_model": Message(
        "The router's model cannot be used.",
        "{path}: {detail}",
        "Set route_model to the folder of a sentence-embedding model, as sentence-transformers writes it, or leave it "
        "empty: the base model compares texts then.",
    ),
    "serve.route_model_unfit": Message(
        "",
        "'{value}' is not the folder of a sentence-embedding model: it has no modules.json.",
        "Choose one that sentence-transformers or a run that learns embeddings wrote, or leave route_model empty.",
    ),
    "serve.no_sentences": Message(
        "The router's model cannot be used.",
        "The worker's environment has no {package}.",
        "Install it there (pip install {package}), or leave route_model empty: the base model compares texts then.",
    ),
    "serve.not_serving": Message(
        "The run '{run}' does not serve a model.", "It is of the kind {kind}.", "Choose a run of the kind serve."
    ),
    "serve.not_ready": Message(
        "The instance '{run}' does not answer yet.", "It is {state}.", "Wait until it is ready, or start it."
    ),
    "serve.unreachable": Message(
        "The instance '{run}' cannot be reached.", "{detail}", "Look at its log; start it again if it hangs."
    ),
    "serve.key_unknown": Message(
        "The instance '{run}' has no key {id}.", "", "List its keys: forge serve-keys '{run}'."
    ),
    "serve.too_many_keys": Message(
        "The instance '{run}' has {count} keys already.", "", "Revoke one that is not used any more."
    ),
    "serve.open_to_all": Message(
        "",
        "Without keys everyone who reaches {host} could ask.",
        "Set host to 127.0.0.1, or open to false and make keys.",
    ),
    "serve.refused": Message(
        "The model cannot be served.",
        "What is wrong with it: {count}.",
        "Mend them, then start again.",
    ),
    "serve.port_taken": Message(
        "Nothing can listen on port {port} of {host}.",
        "Another program has it, or it is reserved.",
        "Choose another port, or 0 for any that is free.",
    ),
    "serve.host_not_here": Message(
        "Nothing can listen on {host}.",
        "It is no address of this computer.",
        "Set host to 127.0.0.1, 0.0.0.0 or an address of this computer.",
    ),
    "serve.redis_missing": Message(
        "The counts cannot be kept in {where}.",
        "The package redis is missing in the worker's environment.",
        "Install it there (pip install redis), or set limits_in to memory://.",
    ),
    "serve.redis": Message(
        "The counts cannot be kept in {where}.",
        "Redis was asked and failed: {detail}.",
        "Check its address and FORGE_REDIS_PASSWORD, or set limits_in to memory://.",
    ),
    "serve.counts_away": Message(
        "The request cannot be counted now.",
        "Where the counts are kept does not answer ({detail}).",
        "Ask again in a moment; if that goes on, check Redis.",
    ),
    "serve.tracing_missing": Message(
        "Traces cannot be sent to {address}.",
        "Packages are missing in the worker's environment: {packages}.",
        "Install opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http there, or leave tracing empty.",
    ),
    "serve.cache_small": Message(
        "The cache is too small for one request.",
        "{megabytes} MB hold {tokens} tokens, and the context is {context}.",
        "Set cache_mb to {needed} or more, or lower context.",
    ),
    "serve.invalid": Message(
        "The request was not understood.",
        "{count} things in it are wrong.",
        "Mend what is listed, then ask again.",
    ),
    "serve.field": Message(
        "",
        "{detail}.",
        "See docs/server.md for what it may be.",
    ),
    "serve.unsupported": Message(
        "",
        "'{name}' is not supported: {detail}.",
        "{advice}",
    ),
    "serve.role": Message(
        "",
        "There is no role '{role}'; known are {known}.",
        "Use one of them.",
    ),
    "serve.text": Message(
        "",
        "The text holds {character} at place {place}, which no text may hold.",
        "Take it out.",
    ),
    "serve.not_json": Message(
        "",
        "The request is no JSON: {detail}.",
        "Send a JSON object, with Content-Type: application/json.",
    ),
    "serve.not_http": Message(
        "The request cannot be read.",
        "It is no HTTP/1.1: {detail}.",
        "Check the address (it begins with http://) and what stands between client and instance.",
    ),
    "serve.not_utf8": Message(
        "The request cannot be read.",
        "From byte {place} on it is no UTF-8.",
        "Send it in UTF-8.",
    ),
    "serve.no_path": Message(
        "There is nothing at {path}.",
        "",
        "See docs/server.md for what there is.",
    ),
    "serve.method": Message(
        "{path} does not take {method}.",
        "",
        "See docs/server.md for what it takes.",
    ),
    "serve.no_key": Message(
        "A key is needed.",
        "The request has no header Authorization: Bearer.",
        "Send your key in that header; one is made with `forge serve-keys`.",
    ),
    "serve.bad_key": Message(
        "The key is not known.",
        "It was revoked, or never made here.",
        "Check it for missing characters, or ask for a new one.",
    ),
    "serve.key_over": Message(
        "The key {key} is over.",
        "Its time has passed.",
        "Use the one that took its place, or ask for a new one.",
    ),
    "serve.scope": Message(
        "The key may not do this.",
        "It needs the scope {scope} and has {has}.",
        "Use a key that has it.",
    ),
    "serve.too_many_requests": Message(
        "The key has asked too often.",
        "{limit} requests a minute are allowed.",
        "Ask again in {seconds} s.",
    ),
    "serve.too_many_tokens": Message(
        "The key has used its tokens.",
        "{limit} a minute are allowed, those of this prompt included.",
        "Ask again in {seconds} s, or for less.",
    ),
    "serve.full": Message(
        "Too many requests at once.",
        "No more than {most} are answered and wait.",
        "Ask again in a moment.",
    ),
    "serve.body": Message(
        "The request is too large.",
        "{limit} kB are allowed.",
        "Send less at once, or raise body_kb.",
    ),
    "serve.body_slow": Message(
        "The request did not arrive.",
        "All of it may take {seconds} s.",
        "Check the connection, then ask again.",
    ),
    "serve.long_prompt": Message(
        "The prompt is too long.",
        "Of {characters} characters at most {most} can fit into {context} tokens.",
        "Shorten it, or raise the instance's context.",
    ),
    "serve.model": Message(
        "There is no model '{model}'.",
        "Known are: {known}.",
        "Name one of them; GET /v1/models lists all.",
    ),
    "serve.adapters_twice": Message(
        "Adapters are named twice.",
        "model is '{model}', and adapters names some as well.",
        "Set model to '{base}', or leave adapters out.",
    ),
    "serve.timeout": Message(
        "The answer was broken off.",
        "The request allows {seconds} s, which passed at its stage {stage}.",
        "Raise its timeout, or ask for fewer tokens.",
    ),
    "serve.draining": Message(
        "The instance is ending.",
        "It answers what it has begun and takes nothing more.",
        "Ask another instance, or again when it has started anew.",
    ),
    "serve.out_of_memory": Message(
        "Memory ran out.",
        "The hidden states of the text did not fit beside the model and its cache.",
        "Send shorter texts, or lower the instance's cache_mb or parallel.",
    ),
    "serve.broken": Message(
        "The request failed by a bug.",
        "The log has its place under the trace {trace}.",
        "Please report it with the log.",
    ),
    "serve.alert_first_token": Message(
        "Answers begin late.",
        "One in twenty waits more than 5 s for its first token.",
        "Lower the load, or raise parallel where memory is left.",
    ),
    "serve.alert_queue": Message(
        "Nearly as many requests wait as may.",
        "More than four fifths of waiting are taken.",
        "Lower the load, or start another instance.",
    ),
    "serve.alert_errors": Message(
        "Many requests fail.",
        "Of the last ones more than a tenth ended with an error of the server.",
        "Look into the log and the audit for their codes.",
    ),
    "serve.alert_cache": Message(
        "The cache is full.",
        "Requests at work have nearly all of its blocks, and new ones wait.",
        "Raise cache_mb, or lower context or parallel.",
    ),
}
