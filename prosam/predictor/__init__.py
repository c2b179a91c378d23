"""Using a trained model: learn a kind from annotated references, find it in one's own images."""
