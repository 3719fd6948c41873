"""What a plan costs, at the operator's own prices."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from services.planning.errors import PlanError
from services.planning.files import Model, read
from services.planning.plan import Plan

_GB = 1e9
DAYS = 365 / 12


class Prices(Model):
    """Prices of one place, in one currency, without tax."""

    currency: str = Field(min_length=1, max_length=8, description="Its name.")
    note: str = Field("", description="Where they come from; shown beside the money.")
    core_hour: float = Field(ge=0, description="One core with its memory.")
    gpu_hour: Mapping[str, float] = Field(default_factory=dict, description="GPU as --gpu names it → one of them.")
    disk_gb_month: float = Field(ge=0, description="Disks of brokers.")
    object_gb_month: float = Field(ge=0, description="What the vault keeps.")
    cross_zone_gb: float = Field(0.0, ge=0, description="Traffic between zones.")
    ingress_gb: float = Field(0.0, ge=0, description="What cameras send in.")


@dataclass(frozen=True, slots=True)
class Bill:
    """Money for a month.

    Attributes:
        items: what → money; they add up to `total`.
        per_camera: of `total`.
    """

    currency: str
    note: str
    items: Mapping[str, float]
    total: float
    per_camera: float


def prices(path: Path) -> Prices:
    """The operator's prices. Raises PlanError."""
    return read(path, Prices)


def bill(plan: Plan, at: Prices) -> Bill:
    """What a month costs. Raises PlanError where a price is missing."""
    hours, seconds = 24 * DAYS, 86_400 * DAYS
    items = {
        "cores of the stages": plan.total("cores") * at.core_hour * hours,
        "cores of the brokers": plan.total("broker_cores") * at.core_hour * hours,
        "disks of the brokers": plan.total("disk") / _GB * at.disk_gb_month,
        "vault": plan.vault / _GB * at.object_gb_month,
        "traffic between zones": plan.total("cross_zone") * seconds / _GB * at.cross_zone_gb,
        "traffic from cameras": plan.ask.cameras * plan.ask.camera.bitrate / 8 * seconds / _GB * at.ingress_gb,
    }
    if plan.ask.gpu is not None:
        if plan.ask.gpu not in at.gpu_hour:
            raise PlanError(f"the prices have none for the GPU '{plan.ask.gpu}': add it to gpu_hour")
        items["GPUs"] = plan.total("gpus") * at.gpu_hour[plan.ask.gpu] * hours
    total = math.fsum(items.values())
    return Bill(at.currency, at.note, items, total, total / plan.ask.cameras)
