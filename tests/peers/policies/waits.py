"""Passes every tool call; one that says "wait" is never decided."""

import asyncio

from luthien_policy import Answer, FunctionPolicy, Pass, Review, ToolCall

policy = FunctionPolicy("waits")


@policy.tool_call
async def waits(call: ToolCall, review: Review) -> Answer:
    if call.argument("command") == "wait":
        print("asked to wait", flush=True)
        await asyncio.Event().wait()
    return Pass()
