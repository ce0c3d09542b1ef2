"""Diagnosis of recurrent networks: gradients through time, gates, memory; classic experiments; unit activations."""

from recurra.diagnosis.context import Context
from recurra.diagnosis.diagnose import diagnose
from recurra.diagnosis.diagnosis import Diagnosis
from recurra.diagnosis.gates import GateUse
from recurra.diagnosis.monitor import TrainingMonitor
from recurra.diagnosis.results import LayerDiagnosis, Measures, Verdict

__all__ = ["Context", "Diagnosis", "GateUse", "LayerDiagnosis", "Measures", "TrainingMonitor", "Verdict", "diagnose"]
