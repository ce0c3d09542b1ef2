"""A run that diverged ends in a line and exit code 1; one that learned little, in a notice."""
