"""Figures. Nothing in the tests is timed; what is timed is here, with its conditions."""
