"""Classic experiments on gradients through time, one per file: measurement, figure and summary."""

from recurra.diagnosis.studies.run import check_names, run_studies
from recurra.diagnosis.studies.study import Setting, Study, StudyResult
from recurra.diagnosis.studies.table import STUDIES

__all__ = ["STUDIES", "Setting", "Study", "StudyResult", "check_names", "run_studies"]
