"""How the embedded default's two small models are made: `make pretrain`."""
