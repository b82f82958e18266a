"""Recursion without Python's stack: generators that yield the sub-problems they need solved."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

Steps = Generator[Any, Any, Any]
"""A generator that yields further `Steps`, is sent their results, and returns its own."""


def walk(steps: Steps) -> Any:
    """Run steps to their end with an explicit stack, so that depth is bounded by memory alone."""
    stack: list[Steps] = [steps]
    value: Any = None
    while stack:
        try:
            child = stack[-1].send(value)
        except StopIteration as done:
            stack.pop()
            value = done.value
        else:
            stack.append(child)
            value = None
    return value
