"""Why a network learns or not: gradients through time, gates, memory; the classic experiments; what the units do."""
