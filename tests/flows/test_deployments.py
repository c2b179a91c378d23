"""prefect.yaml, and what the documentation says of it."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import runpy
import shlex
import sys
from typing import Any

import pytest
from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.schedules import CronSchedule
from ruamel.yaml import YAML

from flows import serve, zombies
from flows.fleet import POOLS as POOLS_OF_SHARDS
from tests.conftest import REPOSITORY

WRITTEN: dict[str, Any] = YAML(typ="safe").load(REPOSITORY / "prefect.yaml")
DEPLOYMENTS: dict[str, dict[str, Any]] = {deployment["name"]: deployment for deployment in WRITTEN["deployments"]}
POOLS = {stage["meta"]["pool"] for stage in YAML(typ="safe").load(REPOSITORY / "dvc.yaml")["stages"].values()}
DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]

PARAMETERS = {
    "pipeline": {"params", "jobs", "where"},
    "train-fold": {"fold", "dataset", "run", "params", "jobs", "where"},
    "retrain": {"jobs", "where"},
    "stage": {"job"},
    "segment": {"images", "concept", "out", "model", "each", "threshold", "instances", "write", "where", "jobs"},
    "shard-gpu": {"job"},
    "shard-cpu": {"job"},
}


def deployed(name: str) -> Flow[..., Any]:
    """The flow at a deployment's entrypoint."""
    file, _, function = DEPLOYMENTS[name]["entrypoint"].partition(":")
    assert (REPOSITORY / file).is_file()
    flow = getattr(importlib.import_module(file.removesuffix(".py").replace("/", ".")), function)
    assert isinstance(flow, Flow)
    return flow


def commands() -> list[list[str]]:
    """The words of each `prefect deployment run` that a reader is told to type, comments left out."""
    texts = [path.read_text(encoding="utf-8") for path in DOCUMENTS] + [
        serve._READY.format(ui="", api="", logs="", proxy="")
    ]
    lines = (line for text in texts for line in re.findall(r"prefect deployment run (prosam/[^`\n]+)", text))
    return [shlex.split(line, comments=True) for line in lines]


def test_there_is_a_deployment_for_each_flow():
    assert set(DEPLOYMENTS) == set(PARAMETERS)
    assert {deployed(name).name for name in DEPLOYMENTS} == {"prosam"}  # so they are called prosam/NAME


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_deployment_has_the_parameters_that_are_documented_and_its_help_tells_of_each(name: str):
    known = deployed(name).parameters.properties
    assert set(known) == PARAMETERS[name]
    assert all(known[parameter].get("description") for parameter in known)


def test_the_documented_commands_name_deployments_and_their_parameters():
    assert {words[0] for words in commands()} >= {"prosam/pipeline", "prosam/train-fold"}
    for deployment, *words in commands():
        name = deployment.removeprefix("prosam/")
        given = [words[i + 1] for i, word in enumerate(words) if word in ("-p", "--param")]
        for key, _, value in (word.partition("=") for word in given):
            assert key in PARAMETERS[name]
            if key in ("params", "fold", "jobs"):
                json.loads(value)


def test_stages_ask_for_the_pools_that_deployments_are_in():
    assert {deployment["work_pool"]["name"] for deployment in DEPLOYMENTS.values()} == POOLS == {"cpu", "gpu"}
    assert DEPLOYMENTS["stage"]["work_pool"]["name"] == "gpu"


def test_shards_may_run_in_either_pool():
    for pool, deployment in POOLS_OF_SHARDS.items():
        assert DEPLOYMENTS[deployment.removeprefix("prosam/")]["work_pool"]["name"] == pool
    assert set(POOLS_OF_SHARDS) == POOLS


def test_retraining_has_a_schedule_and_never_runs_twice_at_once():
    deployment = DEPLOYMENTS["retrain"]
    (schedule,) = deployment["schedules"]
    assert schedule.pop("active") is True
    CronSchedule(**schedule)  # which refuses what is no cron expression
    assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    assert not [name for name, other in DEPLOYMENTS.items() if "schedules" in other and name != "retrain"]


def test_deployments_fetch_nothing():
    text = (REPOSITORY / "prefect.yaml").read_text()
    assert re.findall(r"\w+://|pypi|index[-_]url|pip_install|git_clone|requirements", text, re.IGNORECASE) == []
    assert [list(step) for step in WRITTEN["pull"]] == [["prefect.deployments.steps.set_working_directory"]]


@pytest.mark.parametrize(("module", "option"), [("flows.serve", "--port"), ("flows.zombies", "--seconds")])
def test_help_is_there(module: str, option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr("sys.argv", [module, "--help"])
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.delitem(sys.modules, module, raising=False)  # else it would be there twice
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(module, run_name="__main__")
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert option in printed
    assert f"Example: `python -m {module}" in printed


def test_whoever_tells_the_server_of_zombies_again_changes_what_is_there(server: None):
    for seconds in (90, 30):
        zombies.zombies(seconds=seconds)
    with get_client(sync_client=True) as client:
        (automation,) = client.read_automations_by_name(zombies.NAME)
    trigger: Any = automation.trigger
    assert trigger.within.total_seconds() == 30
    assert automation.enabled


def test_three_signs_of_life_may_be_missed_before_a_run_is_called_dead():
    limit = inspect.signature(zombies.zombies).parameters["seconds"].default.default
    for deployment in DEPLOYMENTS.values():
        every = deployment["work_pool"]["job_variables"]["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"]
        assert 3 * int(every) <= limit
