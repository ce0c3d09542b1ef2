"""The measurements of `recurra bench`: the speed of a cell compared with other implementations."""
