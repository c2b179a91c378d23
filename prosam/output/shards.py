"""A folder of shards: concepts that are looked for in a long list of images, cut into pieces for several machines.

    plan.json                 what determines the results, and the name of each shard
    concepts/0.safetensors    what is looked for
    lists/<shard>.json        names of the shard's images
    shards/<shard>.parquet    the shard's results, see `prosam.output.shard_files`

The folder may be at a URL. A shard's name depends on its list alone, and its results appear when they are whole.
Therefore any machine may compute any shard at any time, and a shard that is computed twice is the same file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from prosam.data.formats.image_files import NOT_ALWAYS_READ
from prosam.data.places import Place
from prosam.data.sources.own_voc import IMAGE_SUFFIXES
from prosam.errors import InputError, unknown_name
from prosam.files import digest_of_json
from prosam.predictor.concept import Concept
from prosam.predictor.image_folders import images_below
from prosam.predictor.predictor import Asked

IMAGES_EACH = 4000  # of a shard: some minutes with the bundled model for photographs

_PLAN, _VERSION = "plan.json", 1
_LIST_SUFFIX = ".txt"
_CHANGES = {
    "images": "other images",
    "loading": "another model",
    "asked": "other options",
    "concepts": "other concepts",
    "each": "another number of images each",
}


@dataclass(frozen=True)
class ImageShard:
    """A piece of the list of images.

    Attributes:
        name: its number, and a digest of its list.
        images: their number.
    """

    name: str
    images: int


@dataclass(frozen=True)
class ImageList:
    """Images to segment.

    Attributes:
        place: where they are.
        names: their paths from there; an absolute path or a URL leads elsewhere.
    """

    place: Place
    names: Sequence[str]

    @classmethod
    def of(cls, images: str, *, without: Place | None = None) -> ImageList:
        """The images that a user names: a folder, the URL of one, or a text file with a path or URL in each line.

        Args:
            images: the folder or the text file. Paths in a text file start from its own folder.
            without: a folder that is left out if it lies among the images.

        Raises:
            InputError: there is no such folder or file, or it has no images.
        """
        if images.endswith(_LIST_SUFFIX):
            folder, _, name = images.rpartition("/")
            place = Place(folder or ".")
            try:
                lines = place.read(name).decode("utf-8").splitlines()
            except UnicodeDecodeError as error:
                raise InputError(f"{place.shown(name)}: is not UTF-8 text; save it as a list of paths") from error
            names = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
        else:
            place = Place(images)
            if place.folder is None:
                suffixes = (*IMAGE_SUFFIXES, *NOT_ALWAYS_READ)
                own = "" if without is None else without.url.removeprefix(f"{place.url.rstrip('/')}/")
                found = place.names_below()
                names = [name for name in found if PurePosixPath(name).suffix.lower() in suffixes]
                names = [name for name in names if not own or not name.startswith(f"{own}/")]
            else:
                if place.folder.is_file():
                    raise InputError(f"{images}: is a file; name a folder, or a list of paths called {_LIST_SUFFIX}")
                own_folder = [] if without is None or without.folder is None else [without.folder]
                paths = images_below(place.folder, without=own_folder)
                names = [path.relative_to(place.folder).as_posix() for path in paths]
        if not names:
            raise InputError(f"{place.shown('')}: has no images; image files end with {', '.join(IMAGE_SUFFIXES)}")
        return cls(place, names)


@dataclass(frozen=True)
class ShardFolder:
    """A folder whose list has been cut.

    Attributes:
        place: where it is.
        images: place of the images.
        loading: arguments of `Predictor.load` that determine the results.
        asked: options of the segmentation.
        concepts: names of what is looked for.
        shards: all of them, in the order of the list.
    """

    place: Place
    images: Place
    loading: Mapping[str, Any]
    asked: Asked
    concepts: tuple[str, ...]
    shards: tuple[ImageShard, ...]

    @classmethod
    def cut(
        cls,
        place: Place,
        images: ImageList,
        concepts: Sequence[Path],
        *,
        loading: Mapping[str, Any],
        asked: Asked,
        each: int = IMAGES_EACH,
    ) -> ShardFolder:
        """Cut a list of images into shards, and write down everything that a machine needs to compute one.

        In a folder that has been cut before, shards stay as they are, and images that have come since then make further
        shards.

        Args:
            place: the folder.
            images: the images.
            concepts: files of what to look for, which are copied.
            loading: arguments of `Predictor.load`, as JSON values.
            asked: options of the segmentation.
            each: images a shard.

        Raises:
            InputError: the folder has shards of other images, concepts, models or options.
            OSError: the folder cannot be written.
        """
        settings = {
            "images": images.place.url,
            "loading": dict(loading),
            "asked": dict(asked),
            "concepts": [[one.name, one.digest] for one in map(Concept.load, concepts)],
            "each": each,
        }
        earlier = _plan(place)
        if earlier is not None:
            for key, changed in _CHANGES.items():
                if earlier.get(key) != settings[key]:
                    raise InputError(f"{place.shown('')}: holds shards made with {changed}; name another folder")
        shards = [] if earlier is None else [ImageShard(*entry) for entry in earlier["shards"]]
        known = {name for shard in shards for name in _list(place, shard.name)}
        fresh = [name for name in images.names if name not in known]
        if earlier is None:
            for number, concept in enumerate(concepts):
                place.write(f"concepts/{number}.safetensors", concept.read_bytes())
        for start in range(0, len(fresh), each):
            names = fresh[start : start + each]
            shard = ImageShard(f"{len(shards):06d}-{digest_of_json(names)}", len(names))
            place.write(f"lists/{shard.name}.json", json.dumps(names).encode())
            shards.append(shard)
        if fresh:
            entries = [[shard.name, shard.images] for shard in shards]
            plan = {"prosam_shards": _VERSION, **settings, "shards": entries}
            place.write(_PLAN, json.dumps(plan, indent=1).encode())
        return cls.opened(place)

    @classmethod
    def opened(cls, place: Place) -> ShardFolder:
        """A folder that has been cut.

        Raises:
            InputError: it has not been.
        """
        plan = _plan(place)
        if plan is None:
            raise InputError(f"{place.shown(_PLAN)}: not found; make the shards with `prosam shards cut`")
        shards = tuple(ImageShard(*entry) for entry in plan["shards"])
        names = tuple(name for name, _ in plan["concepts"])
        return cls(place, Place(plan["images"]), plan["loading"], plan["asked"], names, shards)

    def names(self, shard: ImageShard) -> list[str]:
        """Names of a shard's images."""
        return _list(self.place, shard.name)

    def load_concepts(self) -> Iterator[Concept]:
        """What is looked for."""
        for number in range(len(self.concepts)):
            with self.place.as_file(f"concepts/{number}.safetensors") as path:
                yield Concept.load(path)

    def named(self, names: Sequence[str]) -> list[ImageShard]:
        """Shards by their names; without names, all of them.

        Raises:
            InputError: there is no shard of a name.
        """
        by_name = {shard.name: shard for shard in self.shards}
        for name in names:
            if name not in by_name:
                raise InputError(f"{self.place.shown('')}: {unknown_name('shard', name, list(by_name)[:20])}")
        return [by_name[name] for name in names] if names else list(self.shards)

    def left(self, shards: Sequence[ImageShard] | None = None) -> list[ImageShard]:
        """Those of some shards, by default of all, whose results do not exist yet."""
        done = self.place.names("shards")
        return [shard for shard in (self.shards if shards is None else shards) if f"{shard.name}.parquet" not in done]

    def results(self, shard: ImageShard) -> str:
        """The name of a shard's results in the folder."""
        return f"shards/{shard.name}.parquet"


def _plan(place: Place) -> dict[str, Any] | None:
    if _PLAN not in place.names():
        return None
    try:
        plan = json.loads(place.read(_PLAN))
        known = plan.get("prosam_shards")
    except (ValueError, AttributeError) as error:
        raise InputError(f"{place.shown(_PLAN)}: is damaged; name another folder") from error
    if known != _VERSION or not {*_CHANGES, "shards"} <= plan.keys():
        raise InputError(f"{place.shown(_PLAN)}: is not a plan of this version's `prosam shards`; name another folder")
    return plan


def _list(place: Place, shard: str) -> list[str]:
    name = f"lists/{shard}.json"
    try:
        return list(map(str, json.loads(place.read(name))))
    except ValueError as error:
        raise InputError(f"{place.shown(name)}: is damaged; name another folder") from error
