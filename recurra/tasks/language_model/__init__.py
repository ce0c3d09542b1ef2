"""Language models: networks that predict the next token of a text; they generate text and score it."""
