"""The studies by name. Adding a study is one file and one line here; the command line, the report and tests read it."""

from __future__ import annotations

from recurra.diagnosis.studies.bounded import bounded
from recurra.diagnosis.studies.explode import explode
from recurra.diagnosis.studies.gates import gates
from recurra.diagnosis.studies.memory import memory
from recurra.diagnosis.studies.study import Study
from recurra.diagnosis.studies.truncation import truncation
from recurra.diagnosis.studies.vanish import vanish

STUDIES = {
    "explode": Study("Activations explode", explode),
    "vanish": Study("The trace of an input vanishes", vanish),
    "bounded": Study("Bounded activations do not help", bounded),
    "gates": Study("Gates keep the gradient", gates),
    "memory": Study("How far back a network learns to look", memory, trains=True),
    "truncation": Study("What truncation leaves of the gradient", truncation, trains=True),
}
