"""The inventory contract of Farrier, checked on the controller before any host is touched."""

from .explain import app_problems
from .inventory import GROUPS, MISSING, HostView, inventory_problems
from .locations import locations
from .mistakes import Hidden, MistakeError, Problem, Unresolved, render
from .model import App, Certificate, Edge, EdgePath, Hooks, Source
from .sizing import WorkerCount, worker_count
from .versions import core_problems

__all__ = [
    "GROUPS",
    "MISSING",
    "App",
    "Certificate",
    "Edge",
    "EdgePath",
    "Hidden",
    "Hooks",
    "HostView",
    "MistakeError",
    "Problem",
    "Source",
    "Unresolved",
    "WorkerCount",
    "app_problems",
    "core_problems",
    "inventory_problems",
    "locations",
    "render",
    "worker_count",
]
