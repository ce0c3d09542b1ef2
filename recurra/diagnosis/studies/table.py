"""The table of studies. A new study needs one file and one line here; command line, report and tests use the table."""

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
    "vanish": Study("The effect of an input vanishes", vanish),
    "bounded": Study("Bounded activations do not help", bounded),
    "gates": Study("Gates keep the gradient", gates),
    "memory": Study("How long dependencies a network learns", memory, trains=True),
    "truncation": Study("How truncation changes the gradient", truncation, trains=True),
}
