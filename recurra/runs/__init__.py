"""One run of `recurra.train`: options and files to a trained, saved and scored model."""
