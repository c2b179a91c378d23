"""A run with other parameters in a clone of its own, recorded as a DVC experiment; the repository is not touched."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.commits import git, head, uncommitted
from flows.graph import DVC, DvcError
from flows.machines import CARRIED
from prosam.errors import InputError
from prosam.files import write_text
from prosam.params import PARAMS_FILE, load_params
from prosam.params.editing import edited

CLONES = Path(".scratch/experiments")
_COMPLETE = ".git/prosam-complete"


@dataclass(frozen=True)
class Experiment:
    """A clone of the repository's last commit in which some parameters differ.

    It shares DVC's cache and the scratch folder, so that only the stages that the parameters affect run there.

    Attributes:
        name: name made from the parameters' digest, so that the same parameters resume the same experiment.
        root: root of the clone.
        repository: root of the repository that is cloned.
        params: text of the clone's params.yaml.
    """

    name: str
    root: Path
    repository: Path
    params: str

    @classmethod
    def of(cls, repository: Path, overrides: Mapping[str, Any]) -> Experiment:
        """An experiment that is not yet on disk, or that a failed run has left there.

        Args:
            repository: the repository's root.
            overrides: entries of params.yaml, nested as in the file; they replace the file's current ones.

        Raises:
            InputError: an override is wrong, or the code has uncommitted changes.
        """
        if changed := uncommitted(repository, CARRIED):
            raise InputError(f"{changed}: has uncommitted changes, which an experiment cannot record; commit them")
        params = _merged(repository / PARAMS_FILE, overrides)
        name = f"flow-{hashlib.sha256(params.encode()).hexdigest()[:8]}"
        return cls(name, repository / CLONES / name, repository, params)

    def prepare(self) -> None:
        """Make the clone, or bring the existing one to the repository's commit."""
        if not (self.root / _COMPLETE).exists():
            shutil.rmtree(self.root, ignore_errors=True)
            git(self.repository, "clone", "--quiet", str(self.repository), str(self.root))
            _share(self.repository, self.root)
            (self.root / _COMPLETE).touch()
        git(self.root, "fetch", "--quiet", "origin", head(self.repository))
        git(self.root, "checkout", "--quiet", "--force", "--detach", "FETCH_HEAD")
        write_text(self.root / PARAMS_FILE, self.params)
        if (self.repository / "dvc.lock").exists():
            shutil.copyfile(self.repository / "dvc.lock", self.root / "dvc.lock")

    def record(self, stages: Iterable[str]) -> None:
        """Record the results as a DVC experiment of the repository, and remove the clone.

        Args:
            stages: the stages that ran, or were found unchanged, here.
        """
        _dvc(self.root, "exp", "save", "--quiet", "--force", "--name", self.name, *sorted(stages))
        commit = head(self.root)
        saved = f"refs/exps/{commit[:2]}/{commit[2:]}/{self.name}"
        git(self.repository, "fetch", "--quiet", "--force", str(self.root), f"{saved}:{saved}")
        shutil.rmtree(self.root)


def _merged(path: Path, overrides: Mapping[str, Any]) -> str:
    """The text of params.yaml with some entries replaced."""
    load_params(path)  # an error that is in the file already is reported as an error in the file
    try:
        return edited(path, overrides)
    except InputError as error:
        raise InputError(f"flow parameter params: {str(error).removeprefix(f'{path}: ')}") from error


def _share(root: Path, clone: Path) -> None:
    """Give a clone the repository's DVC settings and cache, and the images that neither git nor DVC stores."""
    local = root / ".dvc/config.local"
    if (root / "data/own").is_dir():
        shutil.copytree(root / "data/own", clone / "data/own", copy_function=_link, dirs_exist_ok=True)
    if (root / "data/sources").is_dir():
        (clone / "data/sources").symlink_to((root / "data/sources").resolve())
    (clone / ".scratch").symlink_to((root / ".scratch").resolve())
    (clone / ".git/info/exclude").write_text("/.scratch\n/data/sources\n")  # .gitignore names folders, not links
    if local.exists():
        shutil.copyfile(local, clone / ".dvc/config.local")
    _dvc(clone, "cache", "dir", "--local", str((root / ".dvc/cache").resolve()))


def _link(source: str, target: str) -> None:
    if not Path(target).exists():  # git has brought data/own/README.md
        os.link(source, target)


def _dvc(root: Path, *words: str) -> None:
    done = subprocess.run([*DVC, *words], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DvcError(f"dvc {words[0]}: {_last_line(done.stderr or done.stdout)}")


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]
