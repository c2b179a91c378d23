"""SAM's image embeddings, computed once and read by every training and evaluation."""
