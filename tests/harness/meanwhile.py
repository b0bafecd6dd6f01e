"""What goes on in another thread while a test does something."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Result = TypeVar("Result")


@contextmanager
def repeated(action: Callable[[], Result], *, every_seconds: float) -> Iterator[list[Result]]:
    """Do something again and again, and yield what it returns; what it raises is raised in the end.

    Args:
        action: called in one thread.
        every_seconds: pause before each call.
    """
    results: list[Result] = []
    is_over = threading.Event()

    def repeat() -> None:
        while not is_over.wait(every_seconds):
            results.append(action())

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(repeat)
        try:
            yield results
        finally:
            is_over.set()
        running.result()
