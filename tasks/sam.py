"""Stage sam: get the frozen SAM's weights, check them, and write them in our own format."""

from __future__ import annotations

from prosam import layout
from prosam.cli import console
from prosam.params import load_params


def sam() -> None:
    """Write the weights of params.yaml's SAM to data/weights/sam. Weights that are not on disk are downloaded.

    Example: `python -m tasks.sam`
    """
    settings = load_params().models.sam

    from prosam.checkpoints.bundled import PHOTO_SAM_WEIGHTS, SAM_WEIGHTS
    from prosam.checkpoints.frozen_weights import Origin, write_frozen_weights
    from prosam.checkpoints.obtain import obtain_checkpoint
    from prosam.checkpoints.published import PUBLISHED_SAM
    from prosam.checkpoints.sam import sam_state
    from prosam.files import sha256_of
    from prosam.models.sam import BUNDLED_SAM, PHOTOGRAPH_SAM

    checkpoint = obtain_checkpoint(
        settings,
        what="models.sam",
        bundled={BUNDLED_SAM: SAM_WEIGHTS, PHOTOGRAPH_SAM: PHOTO_SAM_WEIGHTS}.get(settings.name),
        published=PUBLISHED_SAM.get(settings.name),
        folder=layout.sources("weights"),
    )
    state = sam_state(settings.name, checkpoint)
    origin = Origin(settings.name, checkpoint.name, sha256_of(checkpoint))
    write_frozen_weights(layout.sam_weights(), state, origin)
    print(f"SAM {settings.name} from {origin.checkpoint}, SHA-256 {origin.sha256[:16]}...")


if __name__ == "__main__":
    console.run(sam)
