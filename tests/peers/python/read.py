"""Reads answers with the vendors' Python SDKs and prints what they made of them.

Standard input is a JSON array of jobs {name, base_url, dialect, streamed, request}; dialect is "messages" or "chat".
Standard output is a JSON object: for each name {"events": [...], "final": {...}}; what raised is {"error": "<class>: <text>"}.
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


def guarded(work):
    """What the work gives, or the error that it raises: whatever an SDK does is the result."""
    try:
        return work()
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def messages(job):
    client = anthropic.Anthropic(base_url=job["base_url"], api_key=KEY, max_retries=0, timeout=60)
    request = arguments(job["request"])
    if not job["streamed"]:
        return [], guarded(lambda: plain(client.messages.create(**request)))
    events = []

    def read():
        with client.messages.stream(**request) as stream:
            for event in stream:
                events.append(plain(event))
            return plain(stream.get_final_message())

    return events, guarded(read)


def chat(job):
    client = openai.OpenAI(base_url=job["base_url"] + "/v1", api_key=KEY, max_retries=0, timeout=60)
    request = arguments(job["request"])
    if not job["streamed"]:
        return [], guarded(lambda: plain(client.chat.completions.create(**request)))

    def read():
        with client.chat.completions.stream(**request) as stream:
            for _ in stream:
                pass
            return plain(stream.get_final_completion())

    chunks = guarded(lambda: [plain(chunk) for chunk in client.chat.completions.create(stream=True, **request)])
    return chunks, guarded(read)


def result(job):
    events, final = {"messages": messages, "chat": chat}[job["dialect"]](job)
    return {"events": events, "final": final}


json.dump({job["name"]: result(job) for job in json.load(sys.stdin)}, sys.stdout)
