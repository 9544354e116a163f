"""Reads answers with the vendors' Python SDKs and prints what they made of them.

Standard input is a JSON array of jobs {name, base_url, dialect, streamed, request}; dialect is "messages" or "chat".
Standard output is a JSON object: for each name {"events": [...], "final": {...}}, or {"error": "<class>: <text>"}.
"""

import json
import sys

import anthropic
import openai

KEY = "sk-test-dummy"


def plain(model):
    return model.model_dump(mode="json", exclude_unset=True, warnings=False)


def arguments(request):
    """The request as an SDK's arguments: what every generation has a parameter for, and the rest as it is."""
    common = {k: request[k] for k in ("model", "messages", "max_tokens") if k in request}
    return {**common, "extra_body": {k: v for k, v in request.items() if k not in common and k != "stream"}}


def messages(job):
    client = anthropic.Anthropic(base_url=job["base_url"], api_key=KEY, max_retries=0, timeout=60)
    request = arguments(job["request"])
    if not job["streamed"]:
        return {"events": [], "final": plain(client.messages.create(**request))}
    with client.messages.stream(**request) as stream:
        events = [plain(event) for event in stream]
        return {"events": events, "final": plain(stream.get_final_message())}


def chat(job):
    client = openai.OpenAI(base_url=job["base_url"] + "/v1", api_key=KEY, max_retries=0, timeout=60)
    request = arguments(job["request"])
    if not job["streamed"]:
        return {"events": [], "final": plain(client.chat.completions.create(**request))}
    events = [plain(chunk) for chunk in client.chat.completions.create(stream=True, **request)]
    with client.chat.completions.stream(**request) as stream:
        for _ in stream:
            pass
        return {"events": events, "final": plain(stream.get_final_completion())}


def read(job):
    try:
        return {"messages": messages, "chat": chat}[job["dialect"]](job)
    except Exception as error:  # whatever an SDK raises is the result
        return {"error": f"{type(error).__name__}: {error}"}


json.dump({job["name"]: read(job) for job in json.load(sys.stdin)}, sys.stdout)
