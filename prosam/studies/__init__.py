"""Studies: what the paper claims beside its scores, measured."""
