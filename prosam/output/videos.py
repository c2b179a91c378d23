"""The overlays of a video's frames as a video."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from fractions import Fraction
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image

from prosam.data.formats.video_files import video_facts
from prosam.files import atomic_path
from prosam.output.jobs import FrameJob, ImageJob

VIDEOS = "videos"  # a folder of the results

# Quality near what the eye can tell, at a fraction of the time. x264's look ahead reads memory beside the pictures, so
# that pictures with flat areas would give other bytes now and then.
_OPTIONS = {"crf": "20", "preset": "veryfast", "x264-params": "rc-lookahead=0:mbtree=0"}
_CONTAINER = {"fflags": "+bitexact", "movflags": "+faststart"}  # no time of writing; playable while it loads


class OverlayVideos:
    """The videos of one run of `prosam segment`."""

    def __init__(self, folder: Path, jobs: Sequence[ImageJob], left: Collection[str]):
        """Remove those that are about to become incomplete.

        Args:
            folder: of the results.
            jobs: of the run.
            left: names of those that have to be computed.
        """
        self._folder, self._left = folder, set(left)
        frames = [job for job in jobs if isinstance(job, FrameJob)]
        self._frames = {video: list(of_video) for video, of_video in groupby(frames, key=lambda job: job.path)}
        for of_video in self._frames.values():
            if not self._left.isdisjoint(job.name for job in of_video):
                self._path(of_video[0]).unlink(missing_ok=True)

    def write(self, model: str) -> list[Path]:
        """Write the videos that are missing.

        Args:
            model: that made the overlays.

        Returns:
            The paths of all of them.
        """
        for video, of_video in self._frames.items():
            overlays = (self._folder / "overlays" / f"{job.stem}.jpg" for job in of_video)
            pictures = [path for path in overlays if path.is_file()]
            if pictures and not self._path(of_video[0]).is_file():
                every = of_video[1].index - of_video[0].index if len(of_video) > 1 else 1
                write_video(self._path(of_video[0]), pictures, video_facts(video).rate / every, model)
        return [path for of_video in self._frames.values() if (path := self._path(of_video[0])).is_file()]

    def _path(self, frame: FrameJob) -> Path:
        return self._folder / VIDEOS / Path(frame.name).parent.with_suffix(".mp4")


def write_video(path: Path, pictures: Sequence[Path], rate: Fraction, model: str) -> None:
    """Write pictures of one size as an MP4 in H.264, which every browser plays, atomically.

    Args:
        path: of the video.
        pictures: paths of the frames' pictures, in order. An odd row or column at the edge is cut off, as H.264 asks.
        rate: frames a second.
        model: that made them, for the file's comment.
    """
    import av

    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="mp4", options=_CONTAINER) as container:
        container.metadata["comment"] = f"ProSAM, {model}"
        stream = container.add_stream("libx264", rate=rate, options=_OPTIONS)
        stream.pix_fmt, stream.thread_count = "yuv420p", 1  # the bytes depend on the number of threads
        for number, picture in enumerate(pictures):
            with Image.open(picture) as image:
                pixels = np.asarray(image.convert("RGB"))
            height, width = (side // 2 * 2 for side in pixels.shape[:2])
            if not number:
                stream.height, stream.width = height, width
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[:height, :width]), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
