"""A run of `recurra.train`: from options and files to a trained, saved and scored model, or one per seed."""
