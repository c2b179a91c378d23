"""ProSAM: probabilistic prompts for SAM-based visual reference segmentation.

Data flows one way: data -> models -> training -> evaluation -> report.
"""

__version__ = "0.1.0"
