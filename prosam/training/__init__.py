"""Training a prompt encoder; resumable to the last bit."""
