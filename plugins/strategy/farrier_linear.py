"""`linear` that spares the process of each task the collection of what the controller has loaded."""

from __future__ import annotations

import gc
from typing import Any

from ansible.plugins.strategy.linear import StrategyModule as LinearStrategy

DOCUMENTATION = """
    name: farrier_linear
    short_description: linear, with quicker processes for its tasks
    description:
        - Does as C(ansible.builtin.linear) does.
        - Leaves what is there when a play begins out of garbage collection. Each task has a process of its
          own, forked from the controller's; a collection there would touch, and so copy, all that the
          controller has loaded, which takes longer than most tasks.
    author: Farrier
"""


class StrategyModule(LinearStrategy):
    """Runs each task on all hosts before the next."""

    def run(self, *arguments: Any, **options: Any) -> Any:
        """Run the play."""
        gc.freeze()
        return super().run(*arguments, **options)
