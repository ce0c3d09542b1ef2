"""A manifest of recordings as features, for tests of every task."""

import numpy as np


def manifest(path, count=30):
    """Writes a manifest of `count` files of features (frames, 5) next to it, of the words "a" and "b"."""
    generator, rows = np.random.default_rng(0), ["features,text"]
    folder = path.parent / "features"
    folder.mkdir()
    for number in range(count):
        word = "ab"[number % 2]
        features = generator.normal({"a": 1.0, "b": -1.0}[word], 1.0, (int(generator.integers(20, 40)), 5))
        np.save(folder / f"{number}.npy", features.astype(np.float32))
        rows.append(f"features/{number}.npy,{word} {word}")
    path.write_text("\n".join(rows) + "\n")
