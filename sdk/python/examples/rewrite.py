"""Rewrites: mail addresses in answers become [mail address], and `git push --force` becomes `--force-with-lease`.

    python -m luthien_policy examples/rewrite.py --port 8900
"""

from __future__ import annotations

import dataclasses
import re

from luthien_policy import Answer, FunctionPolicy, Pass, Replace, Review, Text, ToolCall

policy = FunctionPolicy("rewrite", description="Takes mail addresses out of answers, and the force out of pushes.")

ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")
FORCE = re.compile(r"(\bgit\s+push\b[^;&|\n]*?\s)(?:--force|-f)(?=\s|$)")


@policy.text
async def no_addresses(text: str, review: Review) -> Answer:
    new = ADDRESS.sub("[mail address]", text)
    return Pass() if new == text else Replace([Text(new)], reason="mail addresses")


@policy.tool_call
async def gently(call: ToolCall, review: Review) -> Answer:
    command = call.argument("command")
    if not isinstance(command, str):
        return Pass()
    new = FORCE.sub(r"\1--force-with-lease", command)
    if new == command:
        return Pass()
    # The call keeps its id, so that the result is the call's.
    changed = dataclasses.replace(call, arguments={**call.arguments, "command": new})
    return Replace([changed], notices=["A forced push was made a careful one."], reason="forced push")
