"""Load, by hand: `python -m tests.chaos.load page`, `... api`, `... segment`, `... shards`; see docs/reliability.md."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
from PIL import Image

from tests.scenes import pair, scenes

_COMMAND = [sys.executable, "-c", "from prosam.cli.main import main; main()"]
_KINDS = 5  # different images, to which the others are hard links


def main() -> None:
    """Run one of the four."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["page", "api", "segment", "shards"])
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--each", type=int, default=4000, help="images a shard")
    parser.add_argument("--kill", type=float, default=0, help="seconds of a start that is killed first")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="prosam-load-") as folder:
        if asked.what in ("page", "api"):
            load_server(asked.what, asked.clients, asked.seconds)
        elif asked.what == "segment":
            load_segment(Path(folder), asked.images, asked.seconds)
        else:
            load_shards(Path(folder), asked.images, asked.each, asked.seconds, asked.kill)


def load_server(what: str, clients: int, seconds: float) -> None:
    """Clients that send an image and ask for its mask, again and again; at the page, they also look at the image."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["demo", "--no-open"] if what == "page" else ["api"]
    words += ["--model", "bundled:shapes", "--port", str(port), "--device", "cpu"]
    server = subprocess.Popen([*_COMMAND, *words], stdout=subprocess.DEVNULL)
    try:
        while not _listens(port):
            time.sleep(0.1)
        scenes()  # drawn before the clock starts
        if what == "api":
            _learn(port)
        client, began = _client if what == "page" else _api_client, _cpu_seconds(server.pid)
        answers, times, stop = Counter[str](), list[float](), time.monotonic() + seconds
        threads = [
            threading.Thread(target=client, args=(port, number, stop, answers, times)) for number in range(clients)
        ]
        for thread in threads:
            thread.start()
        memory = []
        while any(thread.is_alive() for thread in threads):
            time.sleep(5)
            memory.append(_memory_mb(server.pid))
        print(f"{clients} clients, {seconds:.0f} s: {sum(answers.values())} answers, {dict(answers)}")
        print(f"answer: median {np.median(times):.2f} s, slowest {max(times):.2f} s")
        print(f"CPU: {(_cpu_seconds(server.pid) - began) / sum(answers.values()):.3f} s an answer")
        print(f"memory, MB: {' '.join(f'{value:.0f}' for value in memory)}")
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)


def _client(port: int, number: int, stop: float, answers: Counter[str], times: list[float]) -> None:
    import io
    import json

    buffer = io.BytesIO()
    Image.fromarray(scenes()[number % 20].image).save(buffer, "PNG")
    content = buffer.getvalue() + bytes([number])  # another file for each client
    while time.monotonic() < stop:
        started = time.monotonic()
        connection = HTTPConnection("127.0.0.1", port, timeout=120)
        try:
            connection.request("POST", f"/api/images?name={number}.png", content)
            answer = connection.getresponse()
            sent = json.loads(answer.read())
            answers[str(answer.status)] += 1
            question = {
                "reference": sent["id"],
                "target": sent["id"],
                "drawing": {"kind": "point", "points": [[60, 60]]},
            }
            for method, path, body in (
                ("POST", "/api/segment", json.dumps(question)),
                ("GET", f"/api/images/{sent['id']}", None),
            ):
                connection.request(method, path, body)
                answer = connection.getresponse()
                answer.read()
                answers[str(answer.status)] += 1
        except (OSError, ValueError, KeyError) as error:
            answers[type(error).__name__] += 1
        finally:
            connection.close()
        times.append(time.monotonic() - started)


def _form(**files: bytes) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a form."""
    parts = [
        f'--part\r\nContent-Disposition: form-data; name="{name}"; filename="file"\r\n\r\n'.encode() + content + b"\r\n"
        for name, content in files.items()
    ]
    return b"".join(parts) + b"--part--\r\n", {"Content-Type": "multipart/form-data; boundary=part"}


def _png(pixels: np.ndarray) -> bytes:
    import io

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _learn(port: int) -> None:
    reference, _, shown = pair()
    form = _form(name=b"shape", reference=_png(reference.image), mask=_png(reference.mask(shown)))
    connection = HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("POST", "/v1/concepts", *form)
    assert connection.getresponse().status == 201


def _api_client(port: int, number: int, stop: float, answers: Counter[str], times: list[float]) -> None:
    form = _form(image=_png(scenes()[number % 20].image), concept=b"shape")
    connection = HTTPConnection("127.0.0.1", port, timeout=120)
    while time.monotonic() < stop:
        started = time.monotonic()
        connection.request("POST", "/v1/segment", *form)
        answer = connection.getresponse()
        answer.read()
        answers[str(answer.status)] += 1
        times.append(time.monotonic() - started)


def load_segment(folder: Path, images: int, seconds: float) -> None:
    """A folder with hard links of a few images: the first result, the memory, a kill and the first result after it."""
    _write_photos(folder, images)
    words = ["segment", "photos", "--reference", "cat.jpg", "--mask", "cat.png", "--model", "bundled:shapes"]
    words += ["--out", "found", "--write", "masks"]
    journal = folder / "found" / "results.jsonl"
    for what in ("first start", "after the kill"):
        before = _lines(journal)
        started = time.monotonic()
        process = subprocess.Popen(
            [*_COMMAND, *words], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while _lines(journal) <= max(before, 1) and process.poll() is None:
            time.sleep(0.05)
        first, cpu = time.monotonic() - started, _cpu_seconds(process.pid)
        memory = []
        while process.poll() is None and time.monotonic() - started < first + seconds:
            time.sleep(seconds / 8)
            memory.append(_memory_mb(process.pid))
        process.kill()
        process.wait()
        print(f"{images} images, {what}: first result after {first:.1f} s ({cpu:.1f} s of CPU)")
        print(f"{_lines(journal) - 1} done")
        print(f"memory, MB: {' '.join(f'{value:.0f}' for value in memory)}", flush=True)
    shutil.rmtree(folder / "found")


def load_shards(folder: Path, images: int, each: int, seconds: float, kill: float) -> None:
    """The same folder in shards: time and memory of cutting, of computing for some time or to the end, and of joining.

    Args:
        folder: an empty one.
        images: hard links.
        each: images a shard.
        seconds: after which computing is ended; unless all shards are done then, they are not joined.
        kill: seconds of a first start that is killed; 0 for none.
    """
    _write_photos(folder, images)
    told = ["learn", "cat.safetensors", "--model", "bundled:shapes", "--reference", "cat.jpg", "--mask", "cat.png"]
    subprocess.run([*_COMMAND, *told], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    words = ["photos", "--concept", "cat.safetensors", "--model", "bundled:shapes"]
    words += ["--out", "found", "--each", str(each)]
    _followed("cut", ["shards", "cut", *words], folder, None)
    done = folder / "found" / "shards"
    if kill:
        _followed(f"segment, killed after {kill:.0f} s", ["shards", "segment", "found"], folder, kill)
        print(f"{_shards(done)} shards, {len(list(done.glob('.*')))} halves")
    before, started = _shards(done), time.monotonic()
    _followed("segment", ["shards", "segment", "found"], folder, seconds)
    rate = (_shards(done) - before) * each / (time.monotonic() - started)
    print(f"{_shards(done)} of {-(-images // each)} shards are done; {rate:.1f} images/s in whole shards")
    if _shards(done) * each >= images:
        _followed("join", ["shards", "join", "found", "--write", "coco"], folder, None)
        sizes = [
            sum(path.stat().st_size for path in (folder / "found").glob(name)) for name in ("shards/*", "coco.json")
        ]
        print(f"shards {sizes[0] / images:.0f} bytes an image, coco.json {sizes[1] / 1e6:.0f} MB")


def _followed(what: str, words: list[str], folder: Path, seconds: float | None) -> None:
    """Run a command to its end, or kill it after some time; print its time and its memory, some 20 values."""
    started, memory, cpu = time.monotonic(), list[float](), 0.0
    process = subprocess.Popen([*_COMMAND, *words], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and (seconds is None or time.monotonic() - started < seconds):
        with suppress(OSError, StopIteration):  # it has just ended
            cpu = _cpu_seconds(process.pid)
            memory.append(_memory_mb(process.pid))
        time.sleep(0.5)
    process.kill()
    process.wait()
    print(f"{what}: {time.monotonic() - started:.0f} s, {cpu:.0f} s of CPU")
    print(f"memory, MB: {' '.join(f'{value:.0f}' for value in memory[:: max(1, len(memory) // 20)])}", flush=True)


def _shards(folder: Path) -> int:
    return len(list(folder.glob("*.parquet")))


def _write_photos(folder: Path, images: int) -> None:
    """An annotated reference, and a folder `photos` of hard links to a few images."""
    photos = folder / "photos"
    reference, _, shown = pair()
    Image.fromarray(reference.image).save(folder / "cat.jpg", quality=95)
    Image.fromarray(reference.mask(shown)).save(folder / "cat.png")
    for kind in range(_KINDS):
        Image.fromarray(scenes()[kind].image).save(folder / f"{kind}.png")
    for number in range(images):
        inner = photos / f"{number // 1000:03d}"
        inner.mkdir(parents=True, exist_ok=True)
        os.link(folder / f"{number % _KINDS}.png", inner / f"{number:06d}.png")


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def _memory_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS")) / 1024


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
