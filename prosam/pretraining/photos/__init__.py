"""How the models for photographs are made: `make pretrain PHOTOS=folder`."""
