"""Time series: files to values on regular grids."""
