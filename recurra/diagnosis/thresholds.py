"""The thresholds of the verdicts, with their reasons."""

VANISHED = 0.01
"""A gradient has vanished at the lag where less than this share is left: one hundredth changes weights less than the
noise of a batch does. The lag is also reported as a layer's memory."""
KEPT = 0.1
"""A gradient is kept if it stays within a factor of ten, up or down, over the horizon."""
HORIZON = 100
"""Number of lags that the verdict considers, or as many as the batch has."""
SHORTEST = 10
"""With fewer lags there is no verdict on the gradient: over a few steps any rate is close to 1."""
CHAOTIC = 0.005
"""Nats per step. A leading Lyapunov exponent above this is chaos: nearby states diverge by a factor of e within 200
steps. A smaller exponent cannot be distinguished from 0 with a few hundred steps."""
SATURATED = 0.9
"""A gate is saturated in the outer tenth of its range, above 0.9 or below 0.1 for one from 0 to 1, as in Karpathy,
Johnson & Fei-Fei (2016); beyond ±0.9 for one from -1 to 1."""
MOSTLY = 0.5
"""A share of saturated values above this is reported: most of the layer then passes little gradient."""
STUCK = 0.99
"""A unit's gate is stuck if it is saturated at the same end at this share of all steps: it has no effect."""
DEAD = 1e-6
"""A unit is dead if |h| stays below this at every step of every row."""
REMARKABLE = 0.05
"""A share of dead or stuck units above this is reported."""
USEFUL = 0.02
"""A context is as useful as any longer one if it lacks at most this share of the gain over one step."""
