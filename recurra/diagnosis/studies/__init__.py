"""The classic experiments on gradients through time, each a file: what it measures, its figure and its sentences."""

from recurra.diagnosis.studies.run import check_names, run_studies
from recurra.diagnosis.studies.study import Finding, Setting, Study
from recurra.diagnosis.studies.table import STUDIES

__all__ = ["STUDIES", "Finding", "Setting", "Study", "check_names", "run_studies"]
