"""Ends flow runs that died silently: `python -m flows.zombies` sets up the server to recognise them.

The process of a flow run sends the server a sign of life every 30 seconds, as prefect.yaml asks. (Prefect's own default
is 180, with which every long run would be taken for dead.) If a machine is switched off, or worker and flow are killed
together, no process is left to report it, and the run would stay Running forever. The automation made here marks such a
run as Crashed.
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

from prosam.cli import console

NAME = "prosam: flow runs without a sign of life have crashed"

_ENDS = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed")}
_HEARTBEAT = "prefect.flow-run.heartbeat"


def zombies(seconds: int = typer.Option(90, min=1, help="Seconds without a sign of life.")) -> None:
    """Make the server mark a flow run as Crashed after a while without a sign of life.

    Example: `python -m flows.zombies --seconds 90`
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
    """Make an automation, or update the one with the same name."""
    try:
        wanted.id = cast(Automation, Automation.read(name=wanted.name)).id
    except ValueError:
        wanted.create()
    else:
        wanted.update()


if __name__ == "__main__":
    console.run(zombies)
