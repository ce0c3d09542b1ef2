"""Features in NumPy's .npy files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from recurra.data.lines import open_bytes
from recurra.errors import InputError

_MAGIC = b"\x93NUMPY"


def read_features(path: Path | str) -> npt.NDArray[np.float32]:
    """Reads features from a .npy file of any real number type.

    Returns:
        (T, F) float32.

    Raises:
        InputError: the file cannot be read, is not a .npy file or cut short, contains Python objects (which are not
            unpickled), is not a matrix, has no frames, or numbers that are not finite in float32.
    """
    path = Path(path)
    with open_bytes(path) as file:
        magic = file.read(len(_MAGIC))
    if not magic:
        raise InputError(f"{path}: the file is empty, expected features in NumPy's format .npy")
    if magic != _MAGIC:
        raise InputError(f"{path}: not a .npy file, expected features saved with numpy.save")
    try:
        # Mapped, so that a shape in the header that is larger than the file is an error rather than an allocation.
        stored = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:  # whatever a damaged header causes, of any type
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read as a .npy file ({reason})") from None
    if stored.dtype.kind not in "fiu":
        raise InputError(f"{path}: numbers of type {stored.dtype}, expected real numbers")
    if stored.ndim != 2 or 0 in stored.shape:
        raise InputError(f"{path}: an array of shape {stored.shape}, expected (frames, coefficients)")
    with np.errstate(over="ignore"):
        features = np.array(stored, dtype=np.float32)
    if not np.isfinite(features).all():
        frame, coefficient = (int(index) for index in np.argwhere(~np.isfinite(features))[0])
        raise InputError(
            f"{path}: frame {frame}, coefficient {coefficient} is {stored[frame, coefficient]}, expected finite "
            "float32 numbers"
        )
    return features
