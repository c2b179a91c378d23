"""What the frozen models see of images: backbone features and SAM's embeddings, and batches of them."""
