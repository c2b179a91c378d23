"""Using a trained model: learn a kind of object from annotated references and find it in one's own images."""
