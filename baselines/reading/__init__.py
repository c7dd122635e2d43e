"""Methods are read, not run: their files (`sources`), their classes (`lookup`) and hyperparameters (`fields`)."""
