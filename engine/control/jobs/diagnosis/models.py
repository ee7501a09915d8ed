"""Models, tokenizers and templates as transformers and its kin see them."""

from __future__ import annotations

from engine.control.jobs.diagnosis.changes import setting
from engine.control.jobs.diagnosis.rule import Rule, signs

ATTENTION = ("model.attention",)
TEMPLATE = ("model.template",)
CHATML = setting(("model.template", "chatml"))

MODELS: tuple[Rule, ...] = (
    signs(
        "weights_broken",
        "transformers",
        r"Error while deserializing header: (?P<detail>[^\n]{1,160})",
        "a file of weights is cut off, or is no such file (a web page, a pointer of git-lfs)",
        at_end=True,
    ),
    signs(
        "weights_absent",
        "transformers",
        (r"Error no file named (?P<file>[\w.-]{1,80})", r"does not appear to have a file named (?P<file>[\w.-]{1,80})"),
        "a model's folder has no weights",
        at_end=True,
    ),
    signs(
        "architecture_unknown",
        "transformers",
        r"has model type `(?P<architecture>[\w.-]{1,80})` but Transformers does not recognize this architecture",
        "a model newer than the worker's transformers",
    ),
    signs(
        "architecture_not_causal",
        "transformers",
        r"Unrecognized configuration class <class '[\w.]{0,160}?(?P<architecture>\w{1,80})'>",
        "a model that does not write text token by token",
    ),
    signs(
        "own_code",
        "transformers",
        (
            r"contains custom code which must be executed",
            r"requires you to execute the configuration file in that repo",
        ),
        "a model that needs Python of its own to be run",
        codes=("model.own_code",),
    ),
    signs(
        "flash_attention_absent",
        "transformers",
        r"FlashAttention\w{0,4} has been toggled on, but it cannot be used",
        "FlashAttention is chosen and not installed",
        advice=setting(("model.attention", "auto")),
        settings=ATTENTION,
        over=("import_error",),
    ),
    signs(
        "attention_unsupported",
        "transformers",
        r"does not support an attention implementation through torch\.nn\.functional\.scaled_dot_product_attention",
        "the architecture does not have the attention that was chosen",
        advice=setting(("model.attention", "eager")),
        settings=ATTENTION,
    ),
    signs(
        "tokenizer_newer",
        "tokenizer",
        r"data did not match any variant of untagged enum (?P<part>\w{1,40})",
        "tokenizer.json has a form that the worker's tokenizers does not know",
    ),
    signs(
        "padding_absent",
        "tokenizer",
        r"Asking to pad but the tokenizer does not have a padding token",
        "rows are filled up, and the tokenizer has nothing to fill them with",
        advice=setting(("training.micro_batch_size", 1)),
        settings=("training.micro_batch_size",),
    ),
    signs(
        "rows_ragged",
        "tokenizer",
        r"Unable to create tensor, you should probably activate truncation and/or padding",
        "rows of several lengths were to become one tensor",
        advice=setting(("training.micro_batch_size", 1)),
        settings=("training.micro_batch_size",),
    ),
    signs(
        "template_absent",
        "tokenizer",
        (r"tokenizer\.chat_template is not set",),
        "conversations, and a tokenizer without a chat template",
        advice=CHATML,
        settings=TEMPLATE,
        codes=("model.no_template",),
    ),
    signs(
        "template_refused",
        "tokenizer",
        (
            r"Conversation roles must alternate",
            r"TemplateError: (?P<detail>[^\n]{1,160})",
            r"jinja2\.exceptions\.\w{1,40}: (?P<detail>[^\n]{1,160})",
        ),
        "the chat template refuses a conversation, for two questions in a row, say",
        advice=CHATML,
        settings=TEMPLATE,
        codes=("model.template_failed",),
        params={"detail": "Conversation roles must alternate"},
        at_end=True,
    ),
    signs(
        "template_unmaskable",
        "tokenizer",
        (),
        "the chat template does not show where an answer begins",
        advice=CHATML,
        settings=TEMPLATE,
        codes=("model.template_unmaskable",),
    ),
)
