"""Language models: a text in, a network that predicts, scores and writes."""
