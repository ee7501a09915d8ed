"""What a worker has to say about model, data, training and its own environment."""

from engine.contract.messages.base import Message

_WORKER: dict[str, Message] = {
    "worker.bug": Message("The worker hit a bug.", "{detail}", "Please report it with the run's log."),
    "worker.killed": Message(
        "The worker was killed by signal {signal}.",
        "",
        "If nobody did that, the system was probably out of memory: lower training.micro_batch_size, or cache_mb and "
        "parallel of an instance that serves.",
    ),
    "worker.vanished": Message(
        "The worker ended without saying why (exit code {code}).", "", "The last lines of the run's log tell more."
    ),
    "worker.no_order": Message("The worker found no order.", "There is no file '{path}'.", "Start the run again."),
    "worker.bad_order": Message("The worker cannot read its order.", "{detail}", "Start the run again."),
    "worker.other_protocol": Message(
        "The worker and the controller do not fit together.",
        "The order has version {theirs}; this worker knows version {ours}.",
        "Install the worker environment again.",
    ),
    "worker.bad_command": Message(
        "A command to the worker cannot be read.", "The file is '{file}'.", "Give the command again."
    ),
    "worker.not_training": Message(
        "The command came too late.", "The run is not training any more.", "Use its result instead."
    ),
    "worker.disk_full": Message(
        "The disk is full.", "No room is left at '{path}'.", "Free some space, then start the run again."
    ),
    "memory.exhausted": Message(
        "Memory ran out.",
        "The model, its gradients and {size} row(s) at once do not fit.",
        "Set micro_batch_size to {smaller} and raise accumulation; gradient_checkpointing: true and a smaller "
        "max_length save more.",
    ),
    "environment.import": Message(
        "The worker environment is incomplete.", "{detail}", "Install it again: `forge worker install`."
    ),
    "environment.no_gpu": Message(
        "No GPU can be used here.",
        "The run asks for one, and torch finds none.",
        "Set gpus to 0, or install a worker environment with CUDA.",
    ),
    "query.invalid": Message("The query cannot be understood.", "{detail}", "Correct it."),
    "query.disk_full": Message(
        "The disk is full.",
        "No room is left for what was to be written; nothing was kept of it ({detail}).",
        "Free some space and try again.",
    ),
    "query.unreadable": Message("The files cannot be read.", "{detail}", "Check the path and who may read it."),
    "query.unknown": Message("There is no query '{kind}'.", "", "Known are: {known}."),
}

_DATA: dict[str, Message] = {
    "data.refused": Message(
        "The dataset cannot be used.",
        "{count} row(s) of '{path}' are wrong; {shown} are listed.",
        "Mend or remove these rows; nothing was read from the file.",
    ),
    "data.missing": Message("The dataset is not there.", "There is nothing at '{path}'.", "Check the path."),
    "data.unreadable": Message("'{path}' cannot be read.", "{detail}", "Check who may read the file."),
    "data.not_here": Message(
        "The dataset '{path}' is not on the worker's computer.", "", "Bundled datasets are: {choices}."
    ),
    "data.unknown_file": Message(
        "'{path}' is no dataset this program reads.", "", "Use a file that ends in one of: {known}."
    ),
    "data.empty_folder": Message(
        "The folder '{path}' holds no dataset.", "", "Put files in it that end in one of: {known}."
    ),
    "data.no_rows": Message("The dataset has no rows.", "'{path}' is empty.", "Choose a file with rows."),
    "data.binary": Message(
        "'{path}' is not text.", "It holds zero bytes.", "Choose a JSONL, JSON, CSV, Parquet or text file."
    ),
    "data.bad_arrow": Message("'{path}' is no valid Parquet or Arrow file.", "{detail}", "Write the file again."),
    "data.unknown_format": Message(
        "The form of the rows is not known.",
        "The columns are: {columns}.",
        "Use messages, prompt and completion, instruction and output, conversations, or text; or name the format.",
    ),
    "data.nothing_trained": Message(
        "There is nothing to learn in the dataset.",
        "None of {rows} row(s) has an answer within the first {max_length} tokens.",
        "Raise max_length, or set assistant_only_loss: false.",
    ),
    "data.nothing_trained_of": Message(
        "There is nothing to learn in '{name}'.",
        "None of its {rows} row(s) has an answer within the first {max_length} tokens.",
        "Raise max_length, set its true format, choose another template, or take it out.",
    ),
    "data.nothing_measured_of": Message(
        "The validation rows of '{name}' measure nothing.",
        "None of its {rows} row(s) has an answer within the first {max_length} tokens.",
        "Raise max_length, set its true format, choose another template, or take it out.",
    ),
    "data.text_needs_pretrain": Message(
        "The rows are plain text.",
        "Line {line} has no questions and answers, which the stage sft learns from.",
        "Choose stage: pretrain.",
    ),
    "data.no_question": Message(
        "A held-out row has no question.",
        "Line {line} has no answer after a first message.",
        "Give each held-out row a question and its answer.",
    ),
    "data.rows_cut": Message(
        "{cut} of {rows} rows were cut.", "They are longer than {max_length} tokens.", "Raise max_length to keep them."
    ),
    "data.rows_dropped": Message(
        "{dropped} of {rows} rows were left out.",
        "Nothing in them is learned, often because the answer lies behind the cut (first lines: {lines}).",
        "Raise max_length, or shorten the questions.",
    ),
    "data.read": Message(
        "Read {rows} rows of '{name}' as {format}.",
        "The column '{column}' says so.",
        "Name the format in the config if that is wrong.",
    ),
    "data.read_given": Message("Read {rows} rows of '{name}' as {format}.", "The config says so."),
    "data.bad_json": Message("", "This is no valid JSON: {detail} at column {column}.", "Correct the line."),
    "data.bad_bytes": Message("", "Byte {at} of the line is not UTF-8.", "Save the file as UTF-8."),
    "data.bad_csv": Message(
        "", "This is no valid CSV: {detail}.", "Check the quotes around this line; rows after it cannot be read."
    ),
    "data.csv_columns": Message(
        "", "The row has {found} columns; the header has {expected}.", "Put quotes around values that hold commas."
    ),
    "data.line_too_long": Message(
        "", "The line is longer than {limit} MB.", "Write one row a line; is this a JSON array? Then name it .json."
    ),
    "data.not_an_object": Message(
        "", "The row is a {found}, not an object with named columns.", 'Write {{"name": value}} rows.'
    ),
    "data.missing_column": Message("", "The column '{column}' is missing.", "Add it, or choose another format."),
    "data.empty_column": Message("", "The column '{column}' is empty.", "Fill it, or remove the row."),
    "data.not_text": Message("", "The column '{column}' is a {found}, not a text.", "Write a text in quotes."),
    "data.no_turns": Message("", "'{column}' is no list of messages, or an empty one.", "Give at least one message."),
    "data.no_answer": Message("", "No message in '{column}' is from the assistant.", "Add the answer to learn."),
    "data.late_system": Message("", "A system message stands behind other messages.", "Put it first."),
    "data.turn_not_an_object": Message("", "The message is a {found}.", "Write a role and a content."),
    "data.unknown_role": Message("", "'{role}' is no known role.", "Use one of: {known}."),
    "data.turn_not_text": Message("", "The content is a {found}, not a text.", "Write a text in quotes."),
    "data.not_only_text": Message("", "The content holds a part of type '{kind}'.", "Only text can be learned."),
    "data.empty_answer": Message("", "The assistant's answer is empty.", "Fill it, or remove the row."),
}

_MODEL: dict[str, Message] = {
    "model.missing": Message("The model is not there.", "There is no folder '{path}'.", "Check the path."),
    "model.not_here": Message(
        "The model '{path}' is not on the worker's computer.", "", "Bundled models are: {choices}."
    ),
    "model.no_config": Message(
        "The model cannot be used.",
        "The folder '{path}' holds no config.json.",
        "Choose the folder of a transformers model.",
    ),
    "model.no_weights": Message(
        "The model cannot be used.",
        "The folder '{path}' holds no .safetensors weights.",
        "Choose a folder with safetensors weights; pickled ones are never loaded.",
    ),
    "model.bad_tokenizer": Message(
        "The model's tokenizer cannot be loaded.", "{detail}", "Check the tokenizer files in '{path}'."
    ),
    "model.cannot_load": Message("The model cannot be loaded.", "{detail}", "Check the files in '{path}'."),
    "model.weights_incomplete": Message(
        "The model cannot be used.",
        "{count} of its weights are missing in '{path}' or of another shape: {names}.",
        "Get the model's files again.",
    ),
    "model.template_own": Message("Conversations become text by the tokenizer's own chat template."),
    "model.template_chatml": Message(
        "Conversations become text by the ChatML template.", "The tokenizer has no template of its own."
    ),
    "model.template_chatml_given": Message(
        "Conversations become text by the ChatML template.", "The config says so, though the tokenizer has its own."
    ),
    "model.no_template": Message(
        "The model has no chat template of its own.", "", "Set template: auto, or template: chatml."
    ),
    "model.no_end_token": Message(
        "The model has no token that ends an answer.",
        "Its tokenizer knows neither <|im_end|> nor an end-of-sequence token.",
        "Add eos_token to tokenizer_config.json.",
    ),
    "model.template_failed": Message(
        "The chat template refused a conversation.", "{detail}", "Set template: chatml, or change the rows."
    ),
    "model.template_unmaskable": Message(
        "The chat template does not let answers be told from questions.",
        "Message {turn} of a row cannot be found again in the text.",
        "Set template: chatml, or assistant_only_loss: false.",
    ),
}

_INSPECT: dict[str, Message] = {
    "model.bad_json": Message("A file of the model cannot be read.", "'{path}': {detail}", "Get the file again."),
    "model.bad_safetensors": Message(
        "", "The weights file '{file}' is damaged: {detail}.", "Get the file again; the download may have stopped."
    ),
    "model.missing_shards": Message(
        "", "{count} of the files with weights are missing: {names}.", "Get the model's files again."
    ),
    "model.not_causal": Message(
        "", "{architecture} does not write text token by token.", "Choose a causal language model."
    ),
    "inspect.targets": Message("{count} kinds of linear layers can take an adapter.", "All of them learn most."),
    "inspect.chat_by_name": Message("The name '{name}' is that of a chat model."),
    "inspect.base_by_name": Message("The name '{name}' is that of a base model."),
    "inspect.chat_by_template": Message("It comes with a chat template."),
    "inspect.base_by_template": Message("It comes without a chat template."),
    "inspect.format_by_column": Message("Recognised by the column '{column}'."),
    "inspect.format_given": Message("The format is given."),
}

_TRAINING: dict[str, Message] = {
    "config.target_unknown": Message(
        "The model has no module '{target}'.", "It has: {known}.", "Did you mean {near}? Or use all-linear."
    ),
    "config.targets_mixed": Message(
        "'all-linear' stands among other target modules.", "", "Use it alone, or name the modules."
    ),
    "config.fp16_needs_gpu": Message(
        "fp16 cannot be used on the processor.", "", "Set precision to fp32 or bf16, or use a GPU."
    ),
    "config.fp16_weights": Message(
        "Weights held in fp16 cannot be trained.",
        "Their updates are too small for fp16.",
        "Set the model's dtype to fp32; the arithmetic stays fp16.",
    ),
    "training.loss_not_finite": Message(
        "The loss became {loss} at step {step}.",
        "The weights have left the range of numbers.",
        "Lower learning_rate, keep max_grad_norm at 1, or use bf16 or fp32 in place of fp16.",
    ),
    "training.gradient_not_finite": Message(
        "The gradient became {norm} at step {step}.",
        "The next weights would not be numbers any more.",
        "Lower learning_rate, keep max_grad_norm at 1, or use fp32.",
    ),
    "training.time_limit": Message(
        "The time limit of {hours} h is reached.", "", "The run stops at this step and saves its result."
    ),
    "training.precision_given": Message(
        "Arithmetic in {chosen}, weights held in {weights}, on {device}.", "The config says so."
    ),
    "training.precision_cpu": Message(
        "Arithmetic in {chosen}, weights held in {weights}, on {device}.",
        "On a processor fp32 is exact, and bf16 is seldom faster for small models.",
    ),
    "training.precision_bf16": Message(
        "Arithmetic in {chosen}, weights held in {weights}, on {device}.",
        "The GPU computes bf16 in hardware, with the range of fp32.",
    ),
    "training.precision_fp16": Message(
        "Arithmetic in {chosen}, weights held in {weights}, on {device}.",
        "The GPU has no bf16; fp16 with loss scaling is the fastest it has.",
    ),
    "training.precision_old_gpu": Message(
        "Arithmetic in {chosen}, weights held in {weights}, on {device}.",
        "The GPU is too old for fast half precision.",
    ),
    "training.full_logits": Message(
        "Logits are computed at every position.",
        "This architecture ({architecture}) cannot leave out positions that are not learned.",
        "Training is right, only slower and larger in memory.",
    ),
}

WORKER: dict[str, Message] = {**_WORKER, **_DATA, **_MODEL, **_INSPECT, **_TRAINING}
