"""Trained models as one self-contained ONNX file each, and how such files are run.

    columns   what each raw column is in a graph: its type, its levels, what a missing cell is
    modules   raw tensors to raw tensors, as torch modules
    graph     such a module as a file: traced, composed with text levels and the explanation, described
    proof     the file against the library, on real rows and images
    precision the same graph with nets in half precision or 8 bits
    file      all of this in order: trace, prove, describe, write
    runtime   sessions, and exported models behind the methods of the library's own
    triton, mlflow, card   what else can be written from a file; `folders` writes it whole, `served` goes into a model
              folder of MLflow

`columns`, `runtime` and what is written from a file do without torch.
"""
