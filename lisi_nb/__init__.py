"""A Jupyter-first research environment for lithium battery anodes and their interphases."""
