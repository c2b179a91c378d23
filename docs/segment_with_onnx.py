"""Segment a photograph by a marked example with ONNX Runtime, NumPy and Pillow alone; no torch, no ProSAM.

    prosam export bundled:photos prosam-onnx/ --onnx
    python docs/segment_with_onnx.py prosam-onnx/ reference.jpg 20,30,200,180 photo.jpg mask.png

The numbers are a box around the object in the reference: left, top, right, bottom, px.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

folder, reference, box, target, out = sys.argv[1:]
described = json.loads(Path(folder, "model.json").read_text())
size, cells = described["image_size"], described["grid"]
graphs = {name: onnxruntime.InferenceSession(Path(folder, f"{name}.onnx")) for name in described["graphs"]}


def run(name, known):
    """What a graph gives, by name; it takes its inputs from what is known."""
    graph = graphs[name]
    outputs = [output.name for output in graph.get_outputs()]
    found = graph.run(outputs, {given.name: known[given.name] for given in graph.get_inputs()})
    return dict(zip(outputs, found, strict=True))


def encoded(photo):
    """What the encoder sees in a photograph, squashed to a square."""
    pixels = np.asarray(photo.resize((size, size), Image.Resampling.BILINEAR))
    image = np.ascontiguousarray(pixels.transpose(2, 0, 1))[None]
    return run("encoder", {"image": image}) | {"image": image}


# learn: the cells of the feature grid that the box covers by half or more, or else the most covered ones
photo = Image.open(reference).convert("RGB")
left, top, right, bottom = map(int, box.split(","))
marked = np.zeros((photo.height, photo.width), np.float32)
marked[top:bottom, left:right] = 1
covered = np.asarray(Image.fromarray(marked).resize((cells, cells), Image.Resampling.BOX))
annotation = ((covered >= min(0.5, covered.max())) & (covered > 0)).astype(np.float32)[None, None]
concept = run("reference", encoded(photo) | {"annotation": annotation})

# find
photo = Image.open(target).convert("RGB")
seen = encoded(photo)
asked = run("prompts", seen | concept)
presence = float(asked["presence"][0])
logits = run("decoder", seen | asked)["logits"][0]
whole = Image.fromarray(logits).resize(photo.size, Image.Resampling.BILINEAR)
mask = (np.asarray(whole) > 0) & (presence >= described["present_from"])
Image.fromarray(mask.astype(np.uint8) * 255).save(out)
print(f"{out}: presence {presence:.3f}, {mask.mean():.1%} of the photo")
