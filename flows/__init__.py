"""How stages run. What they do is in tasks/; the DAG is in dvc.yaml."""
