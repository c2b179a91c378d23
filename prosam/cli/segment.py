"""`prosam segment`: find objects in your own images."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prosam.cli.ordered import options_in_order
from prosam.cli.references import (
    BackboneOption,
    BoxOption,
    DeviceOption,
    FusionOption,
    ImagesOption,
    LabelOption,
    MaskOption,
    MethodOption,
    ModelOption,
    MostOption,
    NameOption,
    PointOption,
    ReferenceOption,
    ReferencesOption,
    SamOption,
    ScribbleOption,
    SizeOption,
    ThreadsOption,
    all_references,
    check_name,
    cores_of,
)
from prosam.cli.targets import results_of, target_jobs
from prosam.errors import InputError, unknown_name
from prosam.remarks import printable, say_remarks

if TYPE_CHECKING:
    from prosam.output.jobs import ImageJob
    from prosam.output.results_folder import Format
    from prosam.predictor.predictor import Asked

SEGMENT_EXAMPLES = """\b
Examples:
  prosam segment photos/ --reference cat.jpg --mask cat.png --out found/
  prosam segment photos/ --reference cat.jpg --box 10,20,80,90 --out found/
  prosam segment photos/ --concept cat.safetensors --model models/shapes-5i/prosam/0 --out found/
  prosam segment photos/ --references labelled.json --label cat --out found/ --write coco
  prosam segment photos/ --name coin --reference coins.jpg --box 30,12,75,60 --instances --out counted/
  prosam segment photos/ --method gf-sam --reference cat.jpg --mask cat.png --out found/
  prosam segment photos/ --method gf-sam --size small --reference cat.jpg --mask cat.png --out found/
  prosam segment clip.mp4 --reference cat.jpg --mask cat.png --out found/ --every 5

Several references for several concepts; an image is followed by its annotations:

\b
  prosam segment photos/ --out found/ \\
      --name cat --reference a.jpg --point 40,60 --point 45,70 --reference b.jpg --mask b.png \\
      --name dog --reference c.jpg --scribble "5,5 30,40 60,42"
"""
_SHOWN_UNREADABLE = 10


def segment(
    context: typer.Context,
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTOS...", help="Images, folders of images, and videos.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Folder for the results; existing results are kept.")
    ],
    reference: ReferenceOption = None,
    mask: MaskOption = None,
    box: BoxOption = None,
    point: PointOption = None,
    scribble: ScribbleOption = None,
    name: NameOption = None,
    concept: Annotated[
        list[Path] | None, typer.Option("--concept", metavar="FILE", help="A concept written by `prosam learn`.")
    ] = None,
    references: ReferencesOption = None,
    label: LabelOption = None,
    most: MostOption = 5,
    images: ImagesOption = None,
    model: ModelOption = None,
    method: MethodOption = None,
    sam: SamOption = None,
    backbone: BackboneOption = None,
    size: SizeOption = None,
    fusion: FusionOption = "average",
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            metavar="0..1",
            min=0,
            max=1,
            help="A concept with a lower presence counts as absent; with 0, none does.",
        ),
    ] = None,
    samples: Annotated[
        int,
        typer.Option(
            "--samples",
            metavar="NUMBER",
            min=0,
            help="Number of sampled prompts per image for uncertainty; 0 for none.",
        ),
    ] = 0,
    refine: Annotated[
        bool | None,
        typer.Option(
            "--refine/--no-refine",
            help="Give masks edges at the image's own resolution, in up to twice the time; by default, the bundled "
            "model for photographs does.",
        ),
    ] = None,
    instances: Annotated[
        bool, typer.Option("--instances", help="Find each object for itself, and count them.")
    ] = False,
    write: Annotated[
        list[str] | None,
        typer.Option(
            "--write",
            metavar="FORM",
            help="masks, labels, overlays, labelme, coco or uncertainty; by default all. Repeatable.",
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option("--batch", metavar="NUMBER", min=1, help="Images processed at once; by default 1, on a GPU 8."),
    ] = None,
    every: Annotated[
        int, typer.Option("--every", metavar="NUMBER", min=1, help="Of a video, take every so many frames only.")
    ] = 1,
    again: Annotated[bool, typer.Option("--again", help="Compute and replace existing results too.")] = False,
    device: DeviceOption = "auto",
    threads: ThreadsOption = "auto",
) -> None:
    """Find the objects of annotated references in images; write masks, overlays, labelme JSON and COCO JSON.

    After a kill, the same command resumes. Unreadable images are reported at the end, with exit status 1.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is a file; name a folder")
    cores = cores_of(threads)
    jobs = target_jobs(photos, out, every=every)

    from prosam.distributed.device import share_cores
    from prosam.files import one_at_a_time
    from prosam.output.overview import reference_tiles
    from prosam.output.results_folder import Provenance, ResultsFolder
    from prosam.output.videos import OverlayVideos
    from prosam.predictor.concept import Concept
    from prosam.predictor.predictor import Predictor
    from prosam.progress import Progress

    _check_forms(write or (), samples)
    saved = [Concept.load(path) for path in concept or []]
    for one in saved:
        check_name(one.name)
    options = {
        "reference": reference,
        "mask": mask,
        "box": box,
        "point": point,
        "scribble": scribble,
        "name": name,
        "references": references,
    }
    given = all_references(options_in_order(context), options, labels=label or [], most=most, images=images)
    if not saved and not given:
        raise InputError("nothing to look for: pass --reference with an annotation, --concept or --references")
    predictor = Predictor.load(
        model, method=method, device=device, sam=sam, backbone=backbone, size=size, fusion=fusion
    )
    workers = share_cores(predictor.finder.models.device, small=predictor.model.small, cores=cores)
    asked: Asked = {
        "samples": samples,
        "seed": 0,
        "threshold": predictor.model.present_from if threshold is None else threshold,
        "refine": predictor.model.refines if refine is None else refine,
    }
    if instances:  # not named otherwise, so that folders of earlier results stay what they are
        asked["instances"] = True
    learned = [predictor.learn(pairs, concept) for concept, pairs in given.items()]
    concepts = predictor.checked([*saved, *learned], samples=samples)
    say_remarks()
    print(predictor.model)
    if threshold is None and not asked["threshold"]:
        print("note: no presence threshold is known for this model, so no concept counts as absent; set --threshold")

    maker = Provenance(
        str(predictor.model),
        tuple(one.name for one in concepts),
        {"model": predictor.model.digest, "concepts": [one.digest for one in concepts], "fusion": fusion, **asked},
    )
    formats = _formats(write, several=len(concepts) > 1 or instances, samples=samples)
    tiles = reference_tiles(maker.concepts, given)  # read now, because the references may be gone hours later
    unreadable: list[tuple[ImageJob, str]] = []
    out.mkdir(parents=True, exist_ok=True)
    with one_at_a_time(out / ".lock", str(out)), ResultsFolder(out, jobs, maker, formats, again=again) as results:
        left = [job for job in jobs if not results.is_done(job)]
        videos = OverlayVideos(out, jobs, [job.name for job in left])
        if len(left) < len(jobs):
            print(f"{out}: {len(jobs) - len(left)} of {len(jobs)} images are done from an earlier start")
        with Progress("segment", len(jobs), "image", done=len(jobs) - len(left)) as progress:

            def note(job: ImageJob, error: InputError) -> None:
                unreadable.append((job, str(error)))
                progress.advance()

            found = results_of(predictor, left, concepts, batch=batch, workers=workers, on_unreadable=note, asked=asked)
            try:
                for job, result in found:
                    results.add(job, result)
                    progress.advance()
            except KeyboardInterrupt:
                print(f"stopped; the same command{' without --again' if again else ''} resumes from here")
                raise typer.Exit(130) from None
        counts = results.finish(unreadable, tiles)
        objects = results.objects() if instances else {}
        for path in videos.write(str(predictor.model)) if "overlays" in formats else ():
            print(path)
    _report(jobs, counts, objects, out, unreadable)


def _check_forms(wanted: Sequence[str], samples: int) -> None:
    from prosam.output.results_folder import FORMATS

    for form in wanted:
        if form not in FORMATS:
            raise InputError(f"--write {form}: {unknown_name('form', form, FORMATS)}")
    if "uncertainty" in wanted and not samples:
        raise InputError("--write uncertainty: needs --samples, as in --samples 10")


def _formats(wanted: Sequence[str] | None, *, several: bool, samples: int) -> list[Format]:
    from prosam.output.results_folder import FORMATS

    if not wanted:  # for one concept, a label map equals the mask
        unneeded = {*(() if several else ("labels",)), *(() if samples else ("uncertainty",))}
        return [form for form in FORMATS if form not in unneeded]
    return [form for form in FORMATS if form in wanted]


def _report(
    jobs: Sequence[ImageJob],
    counts: dict[str, int],
    objects: dict[str, int],
    out: Path,
    unreadable: Sequence[tuple[ImageJob, str]],
) -> None:
    done = len(jobs) - len(unreadable)
    if objects:
        print(f"{out}: {'; '.join(f'{c} in {counts[c]} of {done} images, {objects[c]} in all' for c in counts)}")
    else:
        print(f"{out}: {', '.join(f'{concept} in {count}' for concept, count in counts.items())} of {done} images")
    if not unreadable:
        return
    print(f"error: {len(unreadable)} of {len(jobs)} images could not be read:", file=sys.stderr)
    for _, why in unreadable[:_SHOWN_UNREADABLE]:
        print(f"  {printable(why)}", file=sys.stderr)
    if len(unreadable) > _SHOWN_UNREADABLE:
        print(f"  and {len(unreadable) - _SHOWN_UNREADABLE} more: {out / 'unreadable.txt'}", file=sys.stderr)
    raise typer.Exit(1)
