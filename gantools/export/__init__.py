"""Trained models as one self-contained ONNX file each, and how such files are run.

    columns   what each raw column is in a graph: its type, its levels, what a missing cell is
    modules   raw tensors to raw tensors, as torch modules
    compose   torch modules as graphs, and what is put around them: text levels, defaults, a branch
    graph     what makes up the graph of each of the four kinds of models, and its description
    proof     the file against the library, on real rows and images
    precision the same graph with nets in half precision or 8 bits
    file      all of this in order: trace, prove, describe, write
    runtime   sessions, and exported models behind the methods of the library's own
    triton, mlflow, card   what else can be written from a file; `folders` writes it whole, `served` goes into a model
              folder of MLflow

`columns`, `runtime` and what is written from a file do without torch.
"""
