"""Models as files.

| file | what it holds |
|---|---|
| `loading.py` | `load_method`: a trained model and its frozen SAM and backbone, on any machine |
| `training_free.py` | `load_training_free`: a method that trains nothing, and the frozen models that it is given |
| `model_source.py` | `open_model`: a model from a folder, an exported file, an archive, a URL or a hub |
| `trained.py` | the folder of a trained model: prompt encoder and description |
| `exported.py` | the single file of `prosam export` |
| `bundled.py` | paths of the weights that come with the package |
| `published.py` | addresses of the published checkpoints of SAM and the backbones |
| `sizes.py` | the pairs of SAM and backbone behind `--size` |
| `obtain.py` | the checkpoint that params.yaml asks for: a file, a URL, the bundled or the published one |
| `backbone_conversion.py` | published backbone checkpoints as state dicts of our modules |
| `vrp_sam.py` | checkpoints of the public VRP-SAM code as trained models |
| `frozen_weights.py` | the folder that the stages `sam` and `backbone` write: weights and their origin |
| `frozen_search.py` | where the frozen SAM and backbone of a trained model are, by SHA-256 |
| `frozen_given.py` | the frozen SAM and backbone that a user names, or the bundled ones |
| `frozen.py`, `sam.py` | SAM and backbone modules with their weights |
| `weights.py` | state dicts on disk: reading, checking and writing |
"""
