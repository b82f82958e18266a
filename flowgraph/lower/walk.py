"""Recursion without Python's stack: generators that yield the sub-problems they need solved."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

Steps = Generator[Any, Any, Any]
"""A generator that yields further `Steps`, is sent their results, and returns its own."""


def walk(steps: Steps) -> Any:
    """Run steps to their end with an explicit stack, so that depth is bounded by memory alone.

    What a sub-problem raises is raised where it was yielded, as in a call.
    """
    stack: list[Steps] = [steps]
    value: Any = None
    raised: BaseException | None = None
    while stack:
        try:
            child = stack[-1].send(value) if raised is None else stack[-1].throw(raised)
        except StopIteration as done:
            stack.pop()
            value, raised = done.value, None
        except Exception as error:
            stack.pop()
            value, raised = None, error
        else:
            stack.append(child)
            value = raised = None
    if raised is not None:
        raise raised
    return value
