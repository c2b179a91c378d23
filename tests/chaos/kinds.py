"""The kinds of rounds, and how often each is drawn."""

from __future__ import annotations

from tests.chaos.campaign import Kind
from tests.chaos.damage import damage_round
from tests.chaos.disks import disk_round
from tests.chaos.kills import kill_round
from tests.chaos.order import changed_image_round, order_round
from tests.chaos.pipeline import pipeline_round
from tests.chaos.together import together_round

KINDS = {
    "damage": Kind(damage_round, 40),
    "kill": Kind(kill_round, 25),
    "disk": Kind(disk_round, 12),
    "together": Kind(together_round, 8),
    "order": Kind(order_round, 8),
    "changed": Kind(changed_image_round, 2),
    "pipeline": Kind(pipeline_round, 5),
}
