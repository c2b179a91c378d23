"""How the embedded default's small models are made: `make pretrain`."""
