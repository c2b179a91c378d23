"""Running stages: in parallel, on other machines, in Prefect. The stages are in tasks/, the DAG is in dvc.yaml."""
