"""A policy that looks at every tool call and lets it pass: what the way to it costs."""

from luthien_policy import Answer, Pass, Policy, Review, ToolCall, Watches


class Passes(Policy):
    watches = Watches(tool_calls=True)

    async def tool_call(self, call: ToolCall, review: Review) -> Answer:
        return Pass()
