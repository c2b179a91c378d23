"""Methods learn a kind of object from references and find it in targets."""
