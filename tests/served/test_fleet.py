"""`prosam/segment` on a fleet: two workers, of which one dies in the middle of a shard."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from PIL import Image

from flows.serve import Served
from prosam.predictor.predictor import Predictor
from tests.pipeline.clone import Clone
from tests.scenes import pair, scenes
from tests.served.conftest import Prefect, wait_until
from tests.served.test_faults import processes

pytestmark = pytest.mark.served
HELD = "held.png"


class Photos(http.server.ThreadingHTTPServer):
    """Serves a folder; whoever asks first for the image HELD waits for it.

    Attributes:
        asked: set once somebody waits.
        free: to be set when nobody has to wait any more.
    """

    def __init__(self, folder: Path):
        self.folder, self.asked, self.free = folder, threading.Event(), threading.Event()
        super().__init__(("127.0.0.1", 0), _Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Photos)
        name = self.path.strip("/")
        if name == HELD and not server.asked.is_set():
            server.asked.set()
            server.free.wait(300)
        content = (server.folder / name).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def photos(tmp_path: Path) -> Iterator[Photos]:
    (tmp_path / "photos").mkdir()
    for number, scene in enumerate(scenes()[:6]):
        Image.fromarray(scene.image).save(tmp_path / "photos" / f"{number}.png")
    Image.fromarray(scenes()[6].image).save(tmp_path / "photos" / HELD)
    server = Photos(tmp_path / "photos")
    yield server
    server.free.set()
    server.shutdown()


@pytest.fixture
def workers(prefect: Prefect, tmp_path: Path) -> Iterator[list[Clone]]:
    """Two clones at the coordinator's commit, with a worker of the pool gpu in each."""
    prefect.clone.commit()
    clones, started = list[Clone](), list[Served]()
    try:
        for number in (1, 2):
            clone = Clone(tmp_path / f"worker{number}")
            prefect.clone.run("git", "clone", "--quiet", ".", str(clone.root))
            clones.append(clone)
            started.append(Served(clone.root, prefect.served.port))
            started[-1].start_worker("gpu", name=f"fleet-{number}")
        yield clones
    finally:
        for served in started:
            served.stop()


def test_a_worker_that_dies_in_mid_shard_leaves_the_bytes_of_an_undisturbed_run(
    prefect: Prefect, workers: list[Clone], photos: Photos, tmp_path: Path
):
    scene, _, shown = pair()
    concept = tmp_path / "cat.safetensors"
    Predictor.load("bundled:shapes", device="cpu").learn([(scene.image, scene.mask(shown))], "cat").save(concept)
    (tmp_path / "photos/bad.png").write_text("no picture")
    listed = ["photos/0.png", photos.url(HELD), "photos/1.png", "photos/2.png", "photos/bad.png", "photos/3.png"]
    (tmp_path / "wanted.txt").write_text("\n".join([*listed, "photos/4.png", "photos/5.png"]))

    given = {"images": str(tmp_path / "wanted.txt"), "concept": str(concept), "model": "bundled:shapes", "each": 2}
    run = prefect.start("prosam/segment", **given, out=str(tmp_path / "found"), write=["coco"], where="workers")
    wait_until(photos.asked.is_set, "a shard in the middle of its images", 300)
    (dying,) = (clone for clone in workers if at_work(clone, "000000-"))
    tree = [process for word in ("worker", "prefect.engine") for process in processes(dying, word)]
    tree += [child for process in tree for child in process.children(recursive=True)]
    for process in tree:
        if process.is_running():
            process.kill()
    psutil.wait_procs(tree, timeout=20)
    photos.free.set()
    held = [path.name for path in (tmp_path / "found/shards").glob("000000-*")]
    assert held == []  # nothing of a half shard

    assert prefect.end(run, 600) == "Completed"
    wait_until(lambda: "8/8 image" in prefect.log(run), "the progress in the log")
    assert "Retry 1/2" in prefect.log(run)

    command = [sys.executable, "-m", "prosam.cli.shards"]
    words = ["cut", given["images"], "--concept", given["concept"], "--model", "bundled:shapes", "--each", "2"]
    for rest in ([*words, "--out", str(tmp_path / "plain")], ["segment", str(tmp_path / "plain")]):
        subprocess.run([*command, *rest], check=True, cwd=prefect.clone.root, env=prefect.clone.environment())
    subprocess.run([*command, "join", str(tmp_path / "plain"), "--write", "coco"], check=True, cwd=prefect.clone.root)
    ours, theirs = (contents(tmp_path / name) for name in ("found", "plain"))
    assert ours == theirs
    assert len([name for name in ours if name.endswith(".parquet")]) == 4


def at_work(clone: Clone, shard: str) -> bool:
    """Whether a clone has a process that computes a shard whose name begins so."""
    found = processes(clone, "prosam.cli.shards")
    return any(word.startswith(shard) for process in found for word in process.cmdline())


def contents(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(paths)}
