"""Frames of video files, by PyAV, which brings FFmpeg's libraries with it; the extra `video`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from prosam.data.formats.content_kinds import kind_of_file
from prosam.errors import InputError

if TYPE_CHECKING:
    from av.container import InputContainer

VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".wmv")


@dataclass(frozen=True)
class VideoFacts:
    """What is known of a video before it is decoded.

    Attributes:
        frames: their number, by the packets of the stream.
        rate: frames a second, on average.
    """

    frames: int
    rate: Fraction


def is_video(path: Path) -> bool:
    """Whether the name of a file is that of a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def video_facts(path: Path) -> VideoFacts:
    """Count the frames of a video without decoding them.

    Raises:
        InputError: the file is missing, damaged or has no pictures, or PyAV is not installed.
    """
    with _opened(path) as container:
        stream = container.streams.video[0]
        count = sum(packet.size > 0 for packet in container.demux(stream))
        if not count:
            raise InputError(f"{path}: the video has no frames; it may be cut")
        return VideoFacts(count, stream.average_rate or stream.guessed_rate or Fraction(25))


def video_frames(path: Path, *, every: int = 1) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """The frames of a video in order, each with its index, which counts from 0.

    Args:
        path: of the video.
        every: yield every so many frames, the first among them.

    Yields:
        The index, and (H, W, 3) uint8 RGB, upright even if the telephone was held otherwise.

    Raises:
        InputError: as `video_facts`, or when decoding fails on the way.
    """
    with _opened(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for index, frame in enumerate(container.decode(stream)):
            if index % every == 0:
                pixels = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
                turns = round(frame.rotation / 90)  # counterclockwise, as of numpy's rot90
                yield index, np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


@contextmanager
def _opened(path: Path) -> Iterator[InputContainer]:
    try:
        import av
        from av.error import FFmpegError
    except ImportError as error:
        raise InputError(f"{path}: is a video; install what reads videos: pip install 'prosam[video]'") from error
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise InputError(f"{path}: has no pictures, only sound or text")
            yield container
    except FFmpegError as error:
        kind = kind_of_file(path)
        if kind is not None and kind.what != "a video":
            raise InputError(f"{path}: cannot be read as a video: {kind}") from error
        reason = (error.strerror or str(error)).rstrip(".")
        raise InputError(f"{path}: cannot be read as a video ({reason}); it may be cut or of another format") from error
