"""Reads answers with the vendors' Python SDKs and prints what they made of them.

Standard input is {"bases": [URL], "jobs": [{name, dialect, streamed, request}]}; dialect is "messages", "chat" or "responses".
Standard output is an array with, for each base, an object: for each name {"events": [...], "final": {...}}; what raised is
{"error": "<class>: <text>"}.
"""

import json
import sys

import anthropic
import openai

OPTIONS = {"api_key": "sk-test-dummy", "max_retries": 0, "timeout": 60}


def plain(model):
    return model.model_dump(mode="json", exclude_unset=True, warnings=False)


def arguments(request):
    """The request as an SDK's arguments: what every generation has a parameter for, and the rest as it is."""
    common = {k: request[k] for k in ("model", "messages", "max_tokens", "input") if k in request}
    return {**common, "extra_body": {k: v for k, v in request.items() if k not in common and k != "stream"}}


def guarded(work):
    """What the work gives, or the error that it raises: whatever an SDK does is the result."""
    try:
        return work()
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


class Reader:
    """The SDKs as clients of one server."""

    def __init__(self, base):
        self.anthropic = anthropic.Anthropic(base_url=base, **OPTIONS)
        self.openai = openai.OpenAI(base_url=base + "/v1", **OPTIONS)

    def messages(self, streamed, request):
        if not streamed:
            return [], guarded(lambda: plain(self.anthropic.messages.create(**request)))
        events = []

        def read():
            with self.anthropic.messages.stream(**request) as stream:
                for event in stream:
                    events.append(plain(event))
                return plain(stream.get_final_message())

        return events, guarded(read)

    def chat(self, streamed, request):
        completions = self.openai.chat.completions
        if not streamed:
            return [], guarded(lambda: plain(completions.create(**request)))

        def read():
            with completions.stream(**request) as stream:
                for _ in stream:
                    pass
                return plain(stream.get_final_completion())

        return guarded(lambda: [plain(chunk) for chunk in completions.create(stream=True, **request)]), guarded(read)

    def responses(self, streamed, request):
        responses = self.openai.responses
        if not streamed:
            return [], guarded(lambda: plain(responses.create(**request)))

        def read():
            with responses.stream(**request) as stream:
                for _ in stream:
                    pass
                return plain(stream.get_final_response())

        return guarded(lambda: [plain(event) for event in responses.create(stream=True, **request)]), guarded(read)

    def result(self, job):
        events, final = getattr(self, job["dialect"])(job["streamed"], arguments(job["request"]))
        return {"events": events, "final": final}


asked = json.load(sys.stdin)
readers = [Reader(base) for base in asked["bases"]]
json.dump([{job["name"]: reader.result(job) for job in asked["jobs"]} for reader in readers], sys.stdout)
