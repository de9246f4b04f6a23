"""One file for each kind of trained model: how it becomes a graph, what proves it, and how it runs from a file.

`registry.runtime(kind)` finds the class. A file may import torch in functions only: running an export does without.
"""
