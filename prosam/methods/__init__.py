"""Methods: learn a kind from references, find it in targets."""
