"""The measurements behind every figure in the documentation: `make bench`."""
