"""The formula of a cell as machine code for this processor: the whole time loop, forward and backward."""
