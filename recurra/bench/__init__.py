"""How fast a cell runs, beside what else runs it: the measurements behind `recurra bench`."""
