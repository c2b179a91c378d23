"""A temporary clone of the repository, in which the real DAG runs at a small size."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.pipeline.forked_python import with_forks

REPOSITORY = Path(__file__).parents[2]
DATASET = "shapes-5i"
DATA = ("data/raw", "data/folds", "data/annotations", "data/weights", "data/embeddings")
OUTPUTS = (*DATA, "models", "results", "report")

SMALL = {
    f"datasets.{DATASET}.download.train_images": 100,  # few, yet two for each class of each fold
    f"datasets.{DATASET}.download.val_images": 80,
    f"datasets.{DATASET}.protocol.min_area": 24,
    "pipeline.runs": ["prosam", "vrp-sam"],
    "pipeline.folds": [0],
    "folds.episodes": 60,
    "folds.monitor_episodes": 15,
    "embeddings.shard_size": 16,
    "train.steps": 40,
    "train.batch_size": 8,
    "train.schedule.warmup": 10,
    "train.monitor_every": 20,
    "train.checkpoint_every": 10,
    "evaluate.batch_size": 50,
    "report.bootstrap": 100,
    "report.pictures": 1,
    "device": "cpu",
    "threads": 1,
}

_DATE = "1767225600 +0000"  # seconds and zone: the one form that git and dvc both read
_RUNNING = re.compile(r"^Running stage '(.+)':$", re.MULTILINE)


@dataclass(frozen=True)
class Done:
    """A command that has ended.

    Attributes:
        code: exit status.
        output: stdout and stderr together, in order.
    """

    code: int
    output: str

    @property
    def executed(self) -> set[str]:
        """The stages whose command DVC ran, by its own account."""
        return set(_RUNNING.findall(self.output))


class Clone:
    """A clone of the working tree: its tracked and new files as they are now, committed in a repository of its own.

    Attributes:
        root: its folder.
        forked: `run` starts stages and DVC by the fork server, which spares them the import of torch; `start`, whose
            commands are killed, never does.
    """

    def __init__(self, root: Path, *, forked: bool = True):
        self.root, self.forked = root, forked

    @classmethod
    def of_working_tree(cls, root: Path, changes: Mapping[str, Any], *, forked: bool = True) -> Clone:
        """Clone with some parameters changed; no dvc.lock, no data, no tests."""
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=REPOSITORY, check=True, capture_output=True, text=True,
        )  # fmt: skip
        for name in listed.stdout.split("\0"):
            source = REPOSITORY / name
            if not name or name == "dvc.lock" or name.startswith("tests/") or not source.is_file():
                continue
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, root / name)
        clone = cls(root, forked=forked)
        clone.change(changes)
        clone.run("git", "init", "--quiet")
        clone.run("git", "config", "user.name", "Test")
        clone.run("git", "config", "user.email", "test@example.org")
        clone.commit()
        return clone

    def copy(self, root: Path) -> Clone:
        """The same state at another place; what is only ever replaced, never written into, is shared by hard links."""
        shared = [Path(".dvc/cache"), Path(".scratch")]
        shutil.copytree(self.root, root, ignore=lambda folder, names: _skipped(self.root, Path(folder), names, shared))
        for folder in shared:
            if (self.root / folder).is_dir():
                shutil.copytree(self.root / folder, root / folder, copy_function=os.link)
        return Clone(root, forked=self.forked)

    def run(self, *command: str, check: bool = True) -> Done:
        """Run a command in the clone; with `check`, an exit status other than 0 is an AssertionError."""
        environment = with_forks(self.environment()) if self.forked else self.environment()
        ended = subprocess.run(
            command, cwd=self.root, env=environment, text=True, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert not check or ended.returncode == 0, f"{' '.join(command)}: exit {ended.returncode}\n{ended.stdout}"
        return Done(ended.returncode, ended.stdout)

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command in a process group of its own.

        SIGINT ends it, though these tests may run in the background of a shell, where it is ignored and inherited so.
        """
        return subprocess.Popen(
            command, cwd=self.root, env=self.environment(), text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip

    def dvc(self, *words: str, check: bool = True) -> Done:
        """Run `dvc`."""
        return self.run("python", "-m", "dvc", *words, check=check)

    def local(self, jobs: int = 2, check: bool = True) -> Done:
        """Run `python -m flows.local`."""
        return self.run("python", "-m", "flows.local", "--jobs", str(jobs), check=check)

    def stage(self, name: str, *words: str, check: bool = True) -> Done:
        """Run a stage's module without DVC."""
        return self.run("python", "-m", f"tasks.{name}", *words, check=check)

    def commit(self) -> None:
        """Commit all that git does not ignore."""
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--allow-empty", "--message", "State")

    def forget_runs(self, keep: str) -> None:
        """Remove what runs have made: outputs, caches and dvc.lock, all but one folder that git ignores."""
        self.run("git", "clean", "-xdf", "--quiet", "--exclude", keep)

    def environment(self) -> dict[str, str]:
        """What a user has who activated the environment, and git and dvc without the settings of whoever runs tests."""
        dropped = ("PYTHON", "DVC_", "GIT_", "PROSAM_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        return kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_AUTHOR_DATE": _DATE,  # so that the same state is the same commit, which models record
            "GIT_COMMITTER_DATE": _DATE,
            "DVC_SITE_CACHE_DIR": str(self.root / ".dvc/tmp/site"),  # else left behind in /var/tmp
        }

    def change(self, changes: Mapping[str, Any]) -> None:
        """Set entries of params.yaml by their dotted keys."""
        yaml = YAML()
        path = self.root / "params.yaml"
        params = yaml.load(path)
        for key, value in changes.items():
            *sections, name = key.split(".")
            section = params
            for part in sections:
                section = section[part]
            section[name] = value
        with path.open("w") as file:
            yaml.dump(params, file)

    def lock(self) -> dict[str, dict[str, str]]:
        """For each stage of dvc.lock, the MD5 of each of its outputs by path."""
        stages = YAML(typ="safe").load(self.root / "dvc.lock")["stages"]
        return {name: {out["path"]: out["md5"] for out in stage["outs"]} for name, stage in stages.items()}

    def outputs(self) -> dict[str, str]:
        """SHA-256 of each file under the outputs' folders, by path."""
        files = sorted(path for folder in OUTPUTS for path in (self.root / folder).rglob("*") if path.is_file())
        return {str(path.relative_to(self.root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _skipped(root: Path, folder: Path, names: list[str], shared: list[Path]) -> set[str]:
    left_out = {root / ".dvc/tmp", *(root / path for path in shared)}
    return {name for name in names if folder / name in left_out}
