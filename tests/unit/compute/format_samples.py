# ruff: noqa: E501 - rows as they stand in their sources
"""Rows as public documentation shows them, each with its source, the format it is, and what must be read from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SWIFT = "modelscope/ms-swift, docs/source_en/Customization/Custom-dataset.md"
FACTORY = "hiyouga/LLaMA-Factory, data/README.md"
TRL = "huggingface.co/docs/trl/dataset_formats"
AZURE = "learn.microsoft.com/azure/ai-services/openai/how-to/fine-tuning-functions"
OPENAI = "github.com/openai/openai-openapi, FineTuneChatCompletionRequestAssistantMessage (weight) and preference input"
AUTOTRAIN = "huggingface.co/docs/autotrain/tasks/sentence_transformer"
SQUARE = "huggingface.co/datasets/Anthropic/hh-rlhf"
TATSU = "huggingface.co/datasets/tatsu-lab/alpaca"
GSM8K = "huggingface.co/datasets/openai/gsm8k"
AXOLOTL = "docs.axolotl.ai, dataset formats: conversation (roles_to_train, message property `train`)"


@dataclass(frozen=True)
class Sample:
    source: str
    row: dict[str, Any]
    format: str
    said: list[tuple[str, str]] = field(default_factory=list)
    """Roles and texts of the turns."""
    more: dict[str, Any] = field(default_factory=dict)
    """Other fields of the example."""


TWO = [("user", "<query1>"), ("assistant", "<response1>"), ("user", "<query2>"), ("assistant", "<response2>")]
SKY = {"role": "user", "content": "What color is the sky?"}
WEATHER = {
    "type": "function",
    "function": {"name": "get_current_weather", "description": "Get the current weather", "parameters": {}},
}
HELPFUL = {"role": "system", "content": "You are a useful and harmless assistant"}
TOMORROW = {"role": "user", "content": "Tell me tomorrow's weather"}
SUNNY = {"role": "assistant", "content": "Tomorrow's weather will be sunny"}

SAMPLES: dict[str, Sample] = {
    "messages": Sample(
        SWIFT,
        {"messages": [{"role": "system", "content": "<system>"}]
         + [{"role": role, "content": text} for role, text in TWO]},
        "messages", [("system", "<system>"), *TWO],
    ),
    "messages with tools": Sample(
        AZURE,
        {
            "messages": [
                {"role": "user", "content": "What is the weather in San Francisco?"},
                {"role": "assistant", "tool_calls": [{"id": "call_id", "type": "function", "function": {
                    "name": "get_current_weather",
                    "arguments": '{"location": "San Francisco, USA", "format": "celsius"}'}}]},
                {"role": "tool", "tool_call_id": "call_id", "content": "21.0"},
                {"role": "assistant", "content": "It is 21 degrees celsius in San Francisco, CA"},
            ],
            "tools": [WEATHER],
        },
        "messages",
        [("user", "What is the weather in San Francisco?"), ("assistant", ""), ("tool", "21.0"),
         ("assistant", "It is 21 degrees celsius in San Francisco, CA")],
        {"tools": (WEATHER,)},
    ),
    "messages with tools as text": Sample(
        FACTORY + " (tools is a text)",
        {"messages": [SKY, {"role": "assistant", "content": "Blue."}], "tools": '[{"name": "f", "parameters": {}}]'},
        "messages", [("user", SKY["content"]), ("assistant", "Blue.")],
        {"tools": ({"type": "function", "function": {"name": "f", "parameters": {}}},)},
    ),
    "messages as text": Sample(
        TRL + " (a CSV file holds lists as text)",
        {"messages": '[{"role": "user", "content": "What color is the sky?"}, {"role": "assistant", "content": "Blue."}]'},
        "messages", [("user", SKY["content"]), ("assistant", "Blue.")],
    ),
    "ShareGPT": Sample(
        FACTORY,
        {"conversations": [{"from": "human", "value": "human instruction"}, {"from": "gpt", "value": "model response"}],
         "system": "system prompt (optional)"},
        "sharegpt",
        [("system", "system prompt (optional)"), ("user", "human instruction"), ("assistant", "model response")],
    ),
    "ShareGPT with functions": Sample(
        FACTORY,
        {"conversations": [
            {"from": "human", "value": "human instruction"},
            {"from": "function_call", "value": '{"name": "f", "arguments": {"x": 1}}'},
            {"from": "observation", "value": "tool result"},
            {"from": "gpt", "value": "model response"},
        ], "tools": "[]"},
        "sharegpt",
        [("user", "human instruction"), ("assistant", ""), ("tool", "tool result"), ("assistant", "model response")],
    ),
    "ShareGPT with sides": Sample(
        SWIFT,
        {"system": "<system>", "conversation": [{"human": "<query1>", "assistant": "<response1>"},
                                                {"human": "<query2>", "assistant": "<response2>"}]},
        "sharegpt", [("system", "<system>"), *TWO],
    ),
    "ShareGPT with other tags": Sample(
        FACTORY + " (role_tag, content_tag)",
        {"conversations": [{"speaker": "USER", "utterance": "a"}, {"speaker": "Bot", "utterance": "b"}]},
        "sharegpt", [("user", "a"), ("assistant", "b")],
    ),
    "Alpaca": Sample(
        SWIFT,
        {"system": "<system>", "instruction": "<query-inst>", "input": "<query-input>", "output": "<response>"},
        "alpaca", [("system", "<system>"), ("user", "<query-inst>\n<query-input>"), ("assistant", "<response>")],
    ),
    "Alpaca with history": Sample(
        FACTORY,
        {"instruction": "i", "input": "", "output": "o", "history": [["q1", "a1"], ["q2", "a2"]]},
        "alpaca",
        [("user", "q1"), ("assistant", "a1"), ("user", "q2"), ("assistant", "a2"), ("user", "i"), ("assistant", "o")],
    ),
    "Alpaca with a rendered text": Sample(
        TATSU,
        {"instruction": "Give three tips for staying healthy.", "input": "", "output": "1. Eat a balanced diet",
         "text": "Below is an instruction that describes a task."},
        "alpaca", [("user", "Give three tips for staying healthy."), ("assistant", "1. Eat a balanced diet")],
    ),
    "query and response": Sample(
        SWIFT,
        {"system": "<system>", "query": "<query2>", "response": "<response2>", "history": [["<query1>", "<response1>"]]},
        "query_response", [("system", "<system>"), *TWO],
    ),
    "question and answer": Sample(
        GSM8K,
        {"question": "Natalia sold clips to 48 of her friends in April.", "answer": "Natalia sold 48/2 = 24. #### 72"},
        "query_response",
        [("user", "Natalia sold clips to 48 of her friends in April."), ("assistant", "Natalia sold 48/2 = 24. #### 72")],
    ),
    "history as text": Sample(
        SWIFT + " and core.py (`[['query1', 'response1']]`)",
        {"query": "<query2>", "response": "<response2>", "history": "[['<query1>', '<response1>']]"},
        "query_response", TWO,
    ),
    "prompt and completion": Sample(
        TRL, {"prompt": "The sky is", "completion": " blue."}, "prompt_completion",
        [("user", "The sky is"), ("assistant", " blue.")],
    ),
    "prompt and completion of messages": Sample(
        TRL, {"prompt": [SKY], "completion": [{"role": "assistant", "content": "It is blue."}]}, "prompt_completion",
        [("user", SKY["content"]), ("assistant", "It is blue.")],
    ),
    "text": Sample(TRL, {"text": "The sky is blue."}, "text", [], {"text": "The sky is blue."}),
    "preference": Sample(
        TRL, {"prompt": "The sky is", "chosen": " blue.", "rejected": " green."}, "preference", [("user", "The sky is")],
        {"chosen": ({"role": "assistant", "content": " blue."},),
         "rejected": ({"role": "assistant", "content": " green."},)},
    ),
    "preference, prompt repeated": Sample(
        TRL,
        {"chosen": [SKY, {"role": "assistant", "content": "It is blue."}],
         "rejected": [SKY, {"role": "assistant", "content": "It is green."}]},
        "preference", [("user", SKY["content"])],
        {"chosen": ({"role": "assistant", "content": "It is blue."},),
         "rejected": ({"role": "assistant", "content": "It is green."},)},
    ),
    "preference, one turn each": Sample(
        FACTORY,
        {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}, {"from": "human", "value": "r"}],
         "chosen": {"from": "gpt", "value": "chosen answer"}, "rejected": {"from": "gpt", "value": "rejected answer"}},
        "preference", [("user", "q"), ("assistant", "a"), ("user", "r")],
        {"chosen": ({"role": "assistant", "content": "chosen answer"},),
         "rejected": ({"role": "assistant", "content": "rejected answer"},)},
    ),
    "preference by instruction": Sample(
        FACTORY, {"instruction": "i", "input": "j", "chosen": "good", "rejected": "bad"}, "preference", [("user", "i\nj")],
        {"chosen": ({"role": "assistant", "content": "good"},), "rejected": ({"role": "assistant", "content": "bad"},)},
    ),
    "rejected_response": Sample(
        SWIFT, {"messages": [HELPFUL, TOMORROW, SUNNY], "rejected_response": "I don't know"}, "preference",
        [("system", HELPFUL["content"]), ("user", TOMORROW["content"])],
        {"chosen": (SUNNY,), "rejected": ({"role": "assistant", "content": "I don't know"},)},
    ),
    "preferred_output": Sample(
        OPENAI,
        {"input": {"messages": [SKY]}, "preferred_output": [{"role": "assistant", "content": "Blue"}],
         "non_preferred_output": [{"role": "assistant", "content": "Green"}]},
        "preference", [("user", SKY["content"])],
        {"chosen": ({"role": "assistant", "content": "Blue"},), "rejected": ({"role": "assistant", "content": "Green"},)},
    ),
    "dialogues in one text": Sample(
        SQUARE,
        {"chosen": "\n\nHuman: What is up?\n\nAssistant: The sky.", "rejected": "\n\nHuman: What is up?\n\nAssistant: No."},
        "preference", [("user", "What is up?")],
        {"chosen": ({"role": "assistant", "content": "The sky."},),
         "rejected": ({"role": "assistant", "content": "No."},)},
    ),
    "verdict": Sample(
        TRL, {"prompt": "The sky is", "completion": " blue.", "label": True}, "kto",
        [("user", "The sky is"), ("assistant", " blue.")], {"label": True},
    ),
    "verdict of messages": Sample(
        SWIFT, {"messages": [HELPFUL, TOMORROW, {"role": "assistant", "content": "I don't know"}], "label": False}, "kto",
        [("system", HELPFUL["content"]), ("user", TOMORROW["content"]), ("assistant", "I don't know")], {"label": False},
    ),
    "kto_tag": Sample(
        FACTORY, {"instruction": "i", "input": "", "output": "o", "kto_tag": "true"}, "kto",
        [("user", "i"), ("assistant", "o")], {"label": True},
    ),
    "prompt alone": Sample(TRL, {"prompt": "The sky is"}, "prompt_only", [("user", "The sky is")]),
    "prompt of messages with a solution": Sample(
        SWIFT + " (GRPO: other columns go to the reward)",
        {"messages": [HELPFUL, TOMORROW], "solution": "sunny"}, "prompt_only",
        [("system", HELPFUL["content"]), ("user", TOMORROW["content"])], {"extra": {"solution": "sunny"}},
    ),
    "pair": Sample(
        AUTOTRAIN, {"anchor": "how are you", "positive": "I am fine"}, "pairs", [],
        {"texts": ("how are you", "I am fine")},
    ),
    "pair with a score": Sample(
        AUTOTRAIN, {"sentence1": "hello", "sentence2": "hi", "score": 0.8}, "pairs", [],
        {"texts": ("hello", "hi"), "label": 0.8},
    ),
    "pair with a class": Sample(
        AUTOTRAIN, {"premise": "hello", "hypothesis": "hi", "label": 1}, "pairs", [],
        {"texts": ("hello", "hi"), "label": 1.0},
    ),
    "triplet": Sample(
        AUTOTRAIN, {"anchor": "hello", "positive": "hi", "negative": "bye"}, "pairs", [],
        {"texts": ("hello", "hi", "bye")},
    ),
    "class of messages": Sample(
        SWIFT, {"messages": [{"role": "user", "content": "So happy"}], "label": 1}, "classification",
        [("user", "So happy")], {"label": 1},
    ),
    "classes": Sample(
        SWIFT, {"messages": [{"role": "user", "content": "<sentence>"}], "label": [1, 3, 5]}, "classification",
        [("user", "<sentence>")], {"label": [1, 3, 5]},
    ),
    "class of a text": Sample(
        "huggingface.co/datasets/stanfordnlp/imdb", {"text": "I rented this film", "label": 0}, "classification", [],
        {"text": "I rented this film", "label": 0},
    ),
}  # fmt: skip
