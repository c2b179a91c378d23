"""How the bundled default's small models are made: `make pretrain`."""
