"""What `prosam segment` is to look at: images, folders of images, and videos."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from prosam.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from prosam.output.jobs import FrameJob, ImageJob
    from prosam.predictor.concept import Concept
    from prosam.predictor.predictor import Asked, Predictor
    from prosam.predictor.result import Result


def target_jobs(given: Sequence[Path], out: Path, *, every: int) -> list[ImageJob]:
    """The jobs of all images below the paths that were given, and of the frames of videos among these paths.

    Args:
        given: images, videos, and folders of images.
        out: folder of the results, which are left out.
        every: of a video, take every so many frames.

    Raises:
        InputError: a path does not exist, is the folder of the results, or is a video that cannot be read; or two
            images would get results of the same name.
    """
    from prosam.data.formats.video_files import is_video, video_facts
    from prosam.data.walking import files_below
    from prosam.output.jobs import frame_jobs, jobs_of
    from prosam.output.results_folder import results_among
    from prosam.predictor.image_folders import images_below

    named: dict[Path, str] = {}  # an image that is given twice, as in `photos photos/1.jpg`, is processed once
    videos: dict[Path, str] = {}
    for path in given:
        if path.is_dir():
            prefix = f"{path.resolve().name}/" if len(given) > 1 else ""
            if path.resolve() == out.resolve():
                raise InputError(f"--out {out}: is the folder of the images; name another one, for example inside it")
            files = files_below(path)
            for image in images_below(path, without=[out, *results_among(files)], files=files):
                named.setdefault(image, prefix + image.relative_to(path).as_posix())
            if left_out := sum(is_video(file) for file in files):
                print(f"{path}: videos are left out ({left_out}); name a video itself to segment it")
        elif path.is_file():
            (videos if is_video(path) else named).setdefault(path, path.name)
        else:
            raise InputError(f"{path}: no such file or folder")
    jobs = jobs_of(named.items())
    for video in jobs_of(videos.items()):
        jobs += frame_jobs(video.path, video.name, range(0, video_facts(video.path).frames, every))
    return jobs


def results_of(
    predictor: Predictor,
    jobs: Iterable[ImageJob],
    concepts: Sequence[Concept],
    *,
    batch: int | None,
    workers: int,
    on_unreadable: Callable[[ImageJob, InputError], None],
    asked: Asked,
) -> Iterator[tuple[ImageJob, Result]]:
    """Segment images, then videos frame by frame, little more than what is asked for.

    Args:
        predictor: the model.
        jobs: images and frames.
        concepts: to find.
        batch: see `Predictor.segment_files`.
        workers: threads, for images and frames.
        on_unreadable: called with each image or frame that cannot be read.
        asked: options of the segmentation.
    """
    from prosam.data.reading_ahead import mapped
    from prosam.output.jobs import FrameJob

    everything = list(jobs)
    images = {job.path: job for job in everything if not isinstance(job, FrameJob)}

    def note(path: Path, error: InputError) -> None:
        on_unreadable(images[path], error)

    found = predictor.segment_files(list(images), concepts, batch=batch, workers=workers, on_unreadable=note, **asked)
    for result in found:
        if result.image is not None:
            yield images[result.image], result
    frames = [job for job in everything if isinstance(job, FrameJob)]
    for video, wanted in groupby(frames, key=lambda job: job.path):
        of_video = _frames_of(video, {job.index: job for job in wanted}, on_unreadable)

        def segmented(frame: tuple[FrameJob, NDArray[np.uint8]]) -> tuple[ImageJob, Result]:
            return frame[0], predictor.segment(frame[1], concepts, **asked)

        yield from mapped(segmented, of_video, workers)


def _frames_of(
    video: Path, wanted: dict[int, FrameJob], on_unreadable: Callable[[ImageJob, InputError], None]
) -> Iterator[tuple[FrameJob, NDArray[np.uint8]]]:
    """The frames of a video that are wanted, (H, W, 3) uint8 RGB, in order.

    Args:
        video: the file.
        wanted: jobs by the index of their frame; those that were yielded are removed.
        on_unreadable: called at the end with each frame that could not be read.
    """
    from prosam.data.formats.video_files import video_frames

    reason = InputError(f"{video}: ends before this frame")
    try:
        for index, pixels in video_frames(video):
            if (job := wanted.pop(index, None)) is not None:
                yield job, pixels
            if not wanted:
                return
    except InputError as error:
        reason = error
    for index, job in sorted(wanted.items()):
        on_unreadable(job, InputError(f"{video}: frame {index}: {str(reason).removeprefix(f'{video}: ')}"))
