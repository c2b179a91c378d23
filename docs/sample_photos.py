"""Make the photos of `prosam demo` and of README's first screen, and its picture: `python docs/sample_photos.py`.

The photos come with scikit-image (a development dependency) and matplotlib. CREDITS.md, beside the results, has their
authors and terms. Nothing but the file format changes.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from matplotlib.cbook import get_sample_data
from PIL import Image
from skimage import data

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "prosam/demo/photos"
FIRST = ROOT / "docs/first"
PHOTOS = ("cameraman", "portrait", "rocket")  # in which the first command looks for the astronaut's like

_QUALITY = 88


def originals() -> dict[str, Image.Image]:
    """The photos by name, as they come with their packages."""
    read = {
        "astronaut": data.astronaut,
        "cameraman": data.camera,
        "cat": data.chelsea,
        "coins": data.coins,
        "cup": data.coffee,
        "rocket": data.rocket,
    }
    portrait = Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)).convert("RGB")
    return {name: Image.fromarray(pixels()) for name, pixels in read.items()} | {"portrait": portrait}


def main() -> None:
    """Write the samples of the demo, then the copies of README's first screen."""
    SAMPLES.mkdir(exist_ok=True)
    for name, photo in originals().items():
        photo.save(SAMPLES / f"{name}.jpg", quality=_QUALITY, optimize=True)
    (FIRST / "photos").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(SAMPLES / "astronaut.jpg", FIRST / "astronaut.jpg")
    for name in PHOTOS:
        shutil.copyfile(SAMPLES / f"{name}.jpg", FIRST / "photos" / f"{name}.jpg")
    shutil.copyfile(SAMPLES / "CREDITS.md", FIRST / "CREDITS.md")
    make_picture()


def make_picture() -> None:
    """Run the command of README's first screen and keep its overview, which the bundled weights determine."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    command = next(line for line in readme.splitlines() if line.startswith("    prosam segment docs/first"))
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*shlex.split(command)[:-1], folder], cwd=ROOT, check=True)
        shutil.copyfile(Path(folder) / "overview.jpg", ROOT / "docs/segment.jpg")


if __name__ == "__main__":
    main()
