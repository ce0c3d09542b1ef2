"""recurra: sequence modelling with recurrent networks."""
