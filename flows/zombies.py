"""Ends flow runs that died without a word: `python -m flows.zombies` tells the server how to know them.

Whoever runs a flow tells the server every 30 seconds that it lives, as prefect.yaml asks (Prefect's own default is 180,
with which every long run would be taken for dead). When a machine is switched off, or worker and flow are killed
together, nobody is left to say so, and the run would stay Running for ever. This makes an automation that calls such a
run Crashed.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import cast

import httpx
import typer
from prefect.automations import Automation
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ActionTypes, ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL

NAME = "prosam: flow runs without a sign of life have crashed"

_ENDS = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed")}
_HEARTBEAT = "prefect.flow-run.heartbeat"


def zombies(seconds: int = typer.Option(90, min=1, help="Without a sign of life.")) -> None:
    """Let the server call a flow run Crashed that has given no sign of life for a while.

    Example: python -m flows.zombies --seconds 90
    """
    ended: list[ActionTypes] = [
        ChangeFlowRunState(
            name="Crashed",
            state=StateType.CRASHED,
            message=f"no sign of life for {seconds} s: the machine, or worker and flow, died",
            force=False,
        )
    ]
    wanted = Automation(
        name=NAME,
        trigger=EventTrigger(
            after={_HEARTBEAT},
            expect={_HEARTBEAT, *_ENDS},
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=seconds),
        ),
        actions=ended,
    )
    try:
        _put(wanted)
    except httpx.TransportError as error:
        print(f"error: no Prefect server answers at {PREFECT_API_URL.value()}; start one, or set PREFECT_API_URL",
              file=sys.stderr)  # fmt: skip
        raise typer.Exit(2) from error
    except PrefectHTTPStatusError as error:
        print(f"error: {PREFECT_API_URL.value()}: {str(error).splitlines()[0]}", file=sys.stderr)
        raise typer.Exit(2) from error


def _put(wanted: Automation) -> None:
    """Make an automation, or bring the one of its name up to date."""
    try:
        wanted.id = cast(Automation, Automation.read(name=wanted.name)).id
    except ValueError:
        wanted.create()
    else:
        wanted.update()


if __name__ == "__main__":
    typer.run(zombies)
