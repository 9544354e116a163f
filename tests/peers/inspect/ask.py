"""Lets Inspect solve one small task with a tool, by models of all three dialects, and prints how each evaluation went.

Standard input is {"base": URL, "models": [{"name", "dialect"}]}; dialect is "messages", "chat" or "responses".
Standard output is a JSON object: for each "dialect name" {"status", "accuracy", "said", "tools", "tokens"}.
"""

import json
import sys

from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import get_model
from inspect_ai.scorer import includes
from inspect_ai.solver import generate, use_tools
from inspect_ai.tool import tool


@tool
def multiply():
    async def execute(one: int, other: int):
        """Multiplies two numbers.

        Args:
            one: The first number.
            other: The second number.
        """
        return f"answer-{one * other}"

    return execute


def model(base, asked):
    if asked["dialect"] == "messages":
        # The first part of a name with a slash would be the name of a cloud.
        return get_model("anthropic/none/" + asked["name"], base_url=base, api_key="sk-test-dummy")
    responses = asked["dialect"] == "responses"
    return get_model("openai/" + asked["name"], base_url=base + "/v1", api_key="sk-test-dummy", responses_api=responses)


def outcome(log):
    if log.status != "success":
        return {"status": log.status, "error": str(log.error)}
    messages = log.samples[0].messages
    return {
        "status": log.status,
        "accuracy": log.results.scores[0].metrics["accuracy"].value,
        "said": [message.text for message in messages if message.role == "assistant"],
        "tools": [message.text for message in messages if message.role == "tool"],
        "tokens": sum(usage.output_tokens for usage in log.stats.model_usage.values()),
    }


asked = json.load(sys.stdin)
sample = Sample(input="What is six times seven? Multiply, please.", target="forty-two")
outcomes = {}
for each in asked["models"]:
    task = Task(dataset=[sample], solver=[use_tools(multiply()), generate()], scorer=includes())
    [log] = eval(task, model=model(asked["base"], each), display="none", log_dir="logs", max_retries=0)
    outcomes[f"{each['dialect']} {each['name']}"] = outcome(log)
json.dump(outcomes, sys.stdout)
