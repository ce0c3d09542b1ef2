"""Every number that a verdict rests on, in one place, with its reason."""

VANISHED = 0.01
"""A gradient has vanished at the lag where less than this is left of it: one hundredth moves weights less than the
noise of a batch does. It is also the lag that is told as a layer's memory."""
KEPT = 0.1
"""A gradient is kept where it stays within a factor of ten, up or down, over the horizon."""
HORIZON = 100
"""Steps over which a gradient is judged, or as many as the batch has."""
SHORTEST = 10
"""Lags below which nothing is said of the gradient: any rate looks like 1 over a few steps."""
CHAOTIC = 0.005
"""Nats a step. A leading Lyapunov exponent above this is chaos: neighbours part e-fold in 200 steps or fewer. What is
closer to 0 cannot be told from it along a few hundred steps."""
SATURATED = 0.9
"""A gate is saturated within the outer tenth of its range, above 0.9 or below 0.1 for one from 0 to 1, as Karpathy,
Johnson & Fei-Fei (2016) count; for one from -1 to 1 beyond ±0.9."""
MOSTLY = 0.5
"""A share of saturated values that is worth a remark: most of a layer then passes little gradient."""
STUCK = 0.99
"""A unit's gate is stuck if it is saturated to one side at this share of all steps: it decides nothing."""
DEAD = 1e-6
"""A unit is dead if |h| stays below this at every step of every row."""
REMARKABLE = 0.05
"""A share of dead or stuck units that is worth a remark."""
USEFUL = 0.02
"""A context is as useful as any longer one if no more than this share of the gain over one step is missing."""
