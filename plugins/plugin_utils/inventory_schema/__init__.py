"""The inventory contract of Farrier, checked on the controller before any host is touched."""

from ..addresses import endpoint
from ..kit_groups import GROUPS, OTHER_GROUPS
from . import requirements  # noqa: F401 - it checks that pydantic is there, before the others import it
from .backup_settings import Backup, Keep
from .batches import staying
from .explain import app_problems, model_problems
from .extra_variables import extra_variable_problems
from .fleet_settings import Fleet, private_address, resolved_address
from .guard_settings import Allowed, Guard
from .hosts import MISSING, HostView, site
from .inventory import SETTINGS, inventory_problems
from .locations import locations
from .mistakes import Hidden, MistakeError, Problem, Unresolved, render
from .model import (
    App,
    Certificate,
    Edge,
    EdgePath,
    Hooks,
    Needs,
    Postgresql,
    Process,
    Sandbox,
    Source,
    Timer,
    Valkey,
)
from .monitoring_settings import Monitoring, Receiver
from .running_settings import running_settings, travelling_settings
from .shared_domains import leading_apps, site_apps
from .sizing import WorkerCount, worker_count
from .versions import core_problems

__all__ = [
    "GROUPS",
    "MISSING",
    "OTHER_GROUPS",
    "SETTINGS",
    "Allowed",
    "App",
    "Backup",
    "Certificate",
    "Edge",
    "EdgePath",
    "Fleet",
    "Guard",
    "Hidden",
    "Hooks",
    "HostView",
    "Keep",
    "MistakeError",
    "Monitoring",
    "Needs",
    "Postgresql",
    "Problem",
    "Process",
    "Receiver",
    "Sandbox",
    "Source",
    "Timer",
    "Unresolved",
    "Valkey",
    "WorkerCount",
    "app_problems",
    "core_problems",
    "endpoint",
    "extra_variable_problems",
    "inventory_problems",
    "leading_apps",
    "locations",
    "model_problems",
    "private_address",
    "render",
    "resolved_address",
    "running_settings",
    "site",
    "site_apps",
    "staying",
    "travelling_settings",
    "worker_count",
]
