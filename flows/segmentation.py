"""The Prefect flows `prosam/segment`, which finds objects in very many images, and `prosam/shard-gpu` and `-cpu`.

Images are cut into shards (`prosam shards`), and each shard is computed by any worker. The flows decide when and where.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed
from pydantic import Field

from flows.fleet import Fleet, ShardJob, run_shards, shard_state
from flows.machines import MachineError, require_same_code
from flows.pipeline import Jobs, StageFailedError, Where, fails_in_one_line
from flows.stage_log import StageLog
from flows.stage_processes import Ran, StageProcesses
from prosam.data.places import Place, local_or_url
from prosam.errors import InputError
from prosam.output.shards import IMAGES_EACH, ImageShard, ShardFolder

Each = Annotated[int, Field(ge=1)]


@flow(name="prosam", flow_run_name="segment {out}")
@fails_in_one_line
def segment_images(
    images: str,
    concept: str | list[str],
    out: str,
    model: str | None = None,
    each: Each = IMAGES_EACH,
    threshold: float | None = None,
    instances: bool = False,
    write: list[str] | None = None,
    where: Where = "auto",
    jobs: Jobs = 1,
) -> State:
    """Find objects in very many images, on the workers of the pools, and write shards of results.

    Args:
        images: a folder, the URL of one (s3, gs, ssh), or a text file with a path or URL in each line. Each worker
            reads them there.
        concept: a file of `prosam learn`, or several.
        out: folder or URL for the results, which each worker can write. The same flow again goes on there.
        model: as in `prosam segment`; each worker needs it.
        each: images a shard.
        threshold: a concept with a lower presence counts as absent; by default as the model says.
        instances: find each object for itself.
        write: what to make of all shards at the end: coco, labels or both.
        where: where shards run: here, on workers, or (auto) on workers if one is online.
        jobs: shards at once, if they run here.
    """
    root, folder = Path.cwd(), local_or_url(out)
    if write and Place(folder).folder is None:
        raise InputError(f"out {out}: is a URL, so nothing can be joined there; use `prosam shards join --to`")
    processes = StageProcesses(root)
    options = [("--concept", one) for one in ([concept] if isinstance(concept, str) else concept)]
    options += [("--out", folder), ("--each", str(each))]
    options += [("--model", model)] if model is not None else []
    options += [("--threshold", str(threshold))] if threshold is not None else []
    words = [word for option in options for word in option] + (["--instances"] if instances else [])
    log = get_run_logger()
    _run_command(processes, ["cut", local_or_url(images), *words], log.info)
    cut = ShardFolder.opened(Place(folder))
    left = cut.left()
    fleet = Fleet(root, folder, where=where, jobs=jobs)
    ended = run_shards(fleet, left, _Count(cut, left, folder))
    if failed := [ran for ran in ended if ran.state == "Failed"]:
        missing = len(left) - len(ended) + len(failed)
        why = f"{failed[0].stage}: {failed[0].reason}"
        raise StageFailedError(f"{missing} of {len(cut.shards)} shards are not done; {why}")
    if write:
        _run_command(processes, ["join", folder, *(word for form in write for word in ("--write", form))], log.info)
    total = sum(shard.images for shard in cut.shards)
    return Completed(message=f"{total} images; {len(left)} of {len(cut.shards)} shards ran")


@flow(name="prosam", flow_run_name="{job.shard}")
@fails_in_one_line
def segment_on_worker(job: ShardJob) -> State:
    """Compute a shard that another machine hands over. Other flows start this flow; people do not.

    Args:
        job: the shard, its folder, and the commit of the code.
    """
    root = Path.cwd()
    require_same_code(root, job.shard, job.commit)
    processes = StageProcesses(root)
    try:
        return shard_state(processes, job.folder, job.shard, StageLog(job.shard))
    except BaseException:
        processes.stop()
        raise


class _Count:
    """Shows how many images are done, at which rate, and how long the rest will take: a progress artifact."""

    def __init__(self, cut: ShardFolder, left: list[ImageShard], folder: str):
        self._total = sum(shard.images for shard in cut.shards)
        self._before = self._total - sum(shard.images for shard in left)
        self._left, self._done, self._start = len(left), 0, time.monotonic()
        self._log = StageLog(f"segment-{folder.rstrip('/').rpartition('/')[2]}")

    def __call__(self, ran: Ran, shard: ImageShard) -> None:
        self._left -= 1
        if ran.state == "Failed":
            self._log(f"{shard.name} failed: {ran.reason}")
            return
        self._done += shard.images
        elapsed = time.monotonic() - self._start
        rate = self._done / elapsed
        done = self._before + self._done
        words = [f"segment: {done}/{self._total} image", f"{elapsed:.0f} s", f"ETA {(self._total - done) / rate:.0f} s"]
        self._log(", ".join([*words, f"{rate:.1f} images/s", f"{self._left} shards left"]))


def _run_command(processes: StageProcesses, words: list[str], tell: Callable[[str], None]) -> None:
    lines = list[str]()
    code = processes.run_module("prosam.cli.shards", words, lines.append)
    for line in lines:
        tell(line)
    if code:
        reason = next((line for line in lines if line.startswith("error:")), f"prosam shards {words[0]}: status {code}")
        raise MachineError(reason.removeprefix("error: "))
