"""Why a network learns or not: gradients through time, gates, memory; the classic experiments; what the units do."""

from recurra.diagnosis.context import Context
from recurra.diagnosis.diagnose import diagnose
from recurra.diagnosis.diagnosis import Diagnosis
from recurra.diagnosis.findings import Layer, Measures, Verdict
from recurra.diagnosis.gates import GateUse
from recurra.diagnosis.monitor import TrainingMonitor

__all__ = ["Context", "Diagnosis", "GateUse", "Layer", "Measures", "TrainingMonitor", "Verdict", "diagnose"]
